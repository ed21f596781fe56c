/** A small client of the API server for the bed itself: requests, and lists that are followed. Not the mesh's own client. */

import http from 'node:http';
import https from 'node:https';

export type Json = null | boolean | number | string | readonly Json[] | { [key: string]: Json };

export interface Meta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
}

export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: Meta;
}

/** An answer that is not 2xx; `status` is the code of HTTP. */
export class ApiError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

/** Where the API server is: behind a Unix socket that needs no proof, or at an address with a token. */
export type ApiTarget =
  | { readonly socketPath: string }
  | { readonly server: string; readonly ca: string; readonly token: string };

export type PatchKind = 'merge' | 'strategic-merge' | 'apply' | 'json';

const PATCH_TYPES: Readonly<Record<PatchKind, string>> = {
  merge: 'application/merge-patch+json',
  'strategic-merge': 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
  json: 'application/json-patch+json',
};

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly type?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What becomes of the objects of a followed list. `synced` follows each whole list. */
export interface Follower<T extends KubeObject> {
  put(object: T): void;
  drop(object: T): void;
  synced?(objects: readonly T[]): void;
}

const REQUEST_TIMEOUT_MS = 30_000;
/** A watch is renewed so often: one that a cut node does not know to be dead would tell it nothing for minutes. */
const WATCH_SECONDS = 20;
const WATCH_SILENCE_MS = (WATCH_SECONDS + 10) * 1_000;
const RETRY_MS = 250;

export class Api {
  readonly #agent: http.Agent;
  readonly #base: http.RequestOptions;
  readonly #request: (
    options: https.RequestOptions,
    then: (response: http.IncomingMessage) => void,
  ) => http.ClientRequest;

  constructor(target: ApiTarget) {
    if ('socketPath' in target) {
      this.#agent = new http.Agent({ keepAlive: true });
      this.#base = { socketPath: target.socketPath, headers: { host: 'localhost' } };
      this.#request = http.request;
      return;
    }
    const { hostname, port } = new URL(target.server);
    this.#agent = new https.Agent({ keepAlive: true, ca: target.ca });
    this.#base = { hostname, port, headers: { authorization: `Bearer ${target.token}` } };
    this.#request = https.request;
  }

  get<T>(path: string, timeoutMs?: number): Promise<T> {
    return this.#json<T>({
      method: 'GET',
      path,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
  }

  /** The object, or undefined when there is none. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  create<T>(path: string, body: unknown): Promise<T> {
    return this.#json<T>({ method: 'POST', path, body });
  }

  patch<T>(path: string, body: unknown, kind: PatchKind = 'merge'): Promise<T> {
    return this.#json<T>({ method: 'PATCH', path, body, type: PATCH_TYPES[kind] });
  }

  remove<T>(path: string, body?: unknown): Promise<T> {
    return this.#json<T>({ method: 'DELETE', path, body });
  }

  /** A text, such as that of /readyz or of a pod behind the API server. */
  async text(path: string, timeoutMs?: number): Promise<string> {
    const call = { method: 'GET', path, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    return await this.#whole(call);
  }

  /** Lists and watches until aborted; what goes wrong is tried again. `path` may have a query. */
  async follow<T extends KubeObject>(
    path: string,
    follower: Follower<T>,
    signal: AbortSignal,
  ): Promise<void> {
    const known = new Map<string, T>();
    while (!signal.aborted) {
      try {
        const list = await this.get<{ metadata: { resourceVersion: string }; items: T[] }>(path);
        const fresh = new Map(list.items.map((item) => [keyOf(item), item]));
        for (const [key, item] of known) if (!fresh.has(key)) follower.drop(item);
        for (const item of list.items) follower.put(item);
        known.clear();
        for (const [key, item] of fresh) known.set(key, item);
        follower.synced?.(list.items);
        let version: string | undefined = list.metadata.resourceVersion;
        while (version !== undefined && !signal.aborted) {
          version = await this.#watch(path, version, signal, (type, changed) => {
            const object = changed as T;
            if (type === 'DELETED') {
              known.delete(keyOf(object));
              follower.drop(object);
            } else {
              known.set(keyOf(object), object);
              follower.put(object);
            }
          });
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ApiError) && !isNetwork(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** One watch; gives the version to go on from, or undefined when a new list is needed. */
  async #watch(
    path: string,
    from: string,
    signal: AbortSignal,
    on: (type: string, object: KubeObject) => void,
  ): Promise<string | undefined> {
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${from}`;
    const response = await this.#open({
      method: 'GET',
      path: `${path}${path.includes('?') ? '&' : '?'}${query}`,
      timeoutMs: WATCH_SILENCE_MS,
      signal,
    });
    if (response.statusCode !== 200) {
      response.resume();
      return undefined;
    }
    let version = from;
    let rest = '';
    for await (const text of response.setEncoding('utf8') as AsyncIterable<string>) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { type, object } = JSON.parse(line) as { type: string; object: KubeObject };
        if (type === 'ERROR') return undefined;
        version = object.metadata.resourceVersion ?? version;
        if (type !== 'BOOKMARK') on(type, object);
      }
    }
    return version;
  }

  async #json<T>(call: Call): Promise<T> {
    return JSON.parse(await this.#whole(call)) as T;
  }

  async #whole(call: Call): Promise<string> {
    const response = await this.#open(call);
    let text = '';
    for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) text += part;
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return text;
    let [reason, message] = ['', text.slice(0, 500)];
    try {
      const parsed = JSON.parse(text) as { reason?: string; message?: string };
      reason = parsed.reason ?? '';
      message = parsed.message ?? message;
    } catch {
      // Not every answer of a proxy in between is a Status object; its text says what it is.
      reason = 'NotAStatus';
    }
    throw new ApiError(status, reason, `${call.method} ${call.path}: ${status} ${message}`);
  }

  #open({ method, path, body, type, timeoutMs, signal }: Call): Promise<http.IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const request = this.#request(
        {
          ...this.#base,
          agent: this.#agent,
          method,
          path,
          timeout: timeoutMs ?? REQUEST_TIMEOUT_MS,
          ...(signal === undefined ? {} : { signal }),
          headers: {
            ...(this.#base.headers as http.OutgoingHttpHeaders),
            accept: 'application/json, */*',
            ...(text === undefined
              ? {}
              : {
                  'content-type': type ?? 'application/json',
                  'content-length': Buffer.byteLength(text),
                }),
          },
        },
        resolve,
      );
      request.on('timeout', () =>
        request.destroy(
          Object.assign(new Error(`No answer in time: ${method} ${path}`), { code: 'ETIMEDOUT' }),
        ),
      );
      request.on('error', reject);
      request.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** Errors of sockets have a code; defects of this code have none. */
export function isNetwork(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
