/** The API server's client: requests, server-side apply and streams over connections that are kept open. No cache, no retries but one. */

import type { Clock } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { silentLog } from '../../base/log.ts';
import type { Log } from '../../base/log.ts';
import { readVersion } from '../../base/version.ts';
import { isRecord } from '../../base/record.ts';
import { ApiError, refusalOf } from './api-error.ts';
import type { Connection } from './connection.ts';
import { Exchange, readBody } from './exchange.ts';
import { JsonLines } from './json-lines.ts';
import { makeAgents } from './proxy.ts';
import type { Agents } from './proxy.ts';

/** A request that is not told otherwise is given up after this time. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Owner of the fields that maesh writes. */
export const FIELD_MANAGER = 'maesh';

export type KubeRecord = Readonly<Record<string, unknown>>;
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface RequestOptions {
  readonly method: Method;
  /** As `resourcePath()` writes it. */
  readonly path: string;
  readonly query?: Query | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`; of patches it says what they are. */
  readonly contentType?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For the whole of it; default 30,000. */
  readonly timeoutMs?: number | undefined;
}

type CallOptions = Pick<RequestOptions, 'query' | 'signal' | 'timeoutMs'>;

export interface StreamOptions {
  readonly path: string;
  readonly query?: Query;
  readonly signal: AbortSignal;
  /** Without a byte for this long the stream is cut. */
  readonly silenceMs: number;
  /** One per line, in order. What it throws ends the stream and is thrown. */
  readonly onValue: (value: unknown) => void;
  /** The server agreed: from here on values follow. */
  readonly onOpen?: () => void;
}

export interface KubeClientOptions {
  readonly clock: Clock;
  readonly log?: Log;
  /** Default `maesh/<version>`. */
  readonly userAgent?: string;
}

/**
 * All methods throw an `ApiError` for an answer of 400 and above (429 among them: its `retryAfterMs` is for the caller to
 * honour), and a `MeshError` when there was no usable answer. A 401 makes it look for a renewed token, once.
 */
export class KubeClient {
  readonly server: string;
  readonly namespace: string;
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #userAgent: string;
  readonly #agents: Agents;
  readonly #closed = new AbortController();

  constructor(connection: Connection, options: KubeClientOptions) {
    this.server = connection.server;
    this.namespace = connection.namespace;
    this.#connection = connection;
    this.#clock = options.clock;
    this.#log = options.log ?? silentLog;
    this.#userAgent = options.userAgent ?? `maesh/${readVersion()}`;
    this.#agents = makeAgents(connection.proxy);
  }

  /** The answer as parsed JSON; undefined when it has no body. */
  async request(options: RequestOptions): Promise<unknown> {
    const exchange = await this.#exchange({
      ...options,
      timeoutMs: options.timeoutMs ?? REQUEST_TIMEOUT_MS,
    });
    try {
      return await exchange.json();
    } finally {
      exchange.end();
    }
  }

  get(path: string, options: CallOptions = {}): Promise<KubeRecord> {
    return this.#record({ ...options, method: 'GET', path });
  }

  /** One page: `items`, `metadata.resourceVersion` and perhaps `metadata.continue`. */
  list(path: string, options: CallOptions = {}): Promise<KubeRecord> {
    return this.get(path, options);
  }

  /** `path` is that of the collection. An object that is there already is a 409, `AlreadyExists`. */
  create(path: string, object: unknown, options: CallOptions = {}): Promise<KubeRecord> {
    const query = { fieldManager: FIELD_MANAGER, ...options.query };
    return this.#record({ ...options, method: 'POST', path, body: object, query });
  }

  /**
   * Server-side apply: makes or changes the object so that it has these fields, and takes away those that we applied
   * before and no longer do. Without `force`, a field of another manager is a 409, `Conflict`.
   */
  apply(
    path: string,
    object: unknown,
    options: CallOptions & { readonly force?: boolean } = {},
  ): Promise<KubeRecord> {
    const { force = false, ...call } = options;
    const query = { fieldManager: FIELD_MANAGER, force, ...call.query };
    // JSON is YAML, and all that servers before 1.32 take.
    const contentType = 'application/apply-patch+yaml';
    return this.#record({ ...call, method: 'PATCH', path, body: object, contentType, query });
  }

  /** `merge` (RFC 7386, the default), `strategic`, or `json` (RFC 6902, a list of operations). */
  patch(
    path: string,
    patch: unknown,
    options: CallOptions & { readonly type?: 'merge' | 'strategic' | 'json' } = {},
  ): Promise<KubeRecord> {
    const { type = 'merge', ...call } = options;
    const kind = type === 'strategic' ? 'strategic-merge' : type;
    const query = { fieldManager: FIELD_MANAGER, ...call.query };
    const contentType = `application/${kind}-patch+json`;
    return this.#record({ ...call, method: 'PATCH', path, body: patch, contentType, query });
  }

  /** With `uid` or `resourceVersion`, only the object that has it: another one is a 409, `Conflict`. */
  delete(
    path: string,
    options: CallOptions & { readonly uid?: string; readonly resourceVersion?: string } = {},
  ): Promise<KubeRecord> {
    const { uid, resourceVersion, ...call } = options;
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', preconditions };
    return this.#record({ ...call, method: 'DELETE', path, body });
  }

  /** Reads JSON lines until the server ends them, which is when it resolves; throws when they break off. */
  async stream(options: StreamOptions): Promise<void> {
    const exchange = await this.#exchange({
      ...options,
      method: 'GET',
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
    const lines = new JsonLines();
    try {
      options.onOpen?.();
      exchange.watchSilence(options.silenceMs);
      for await (const chunk of exchange.chunks()) lines.push(chunk, options.onValue);
    } finally {
      exchange.end();
    }
  }

  /** Ends everything under way with an error; requests after it fail. */
  close(): void {
    this.#closed.abort(new MeshError('unknown', 'The client of the API server was closed'));
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  async #record(options: RequestOptions): Promise<KubeRecord> {
    const value = await this.request(options);
    if (isRecord(value)) return value;
    throw new MeshError(
      'invalid_input',
      `Cannot ${options.method} "${options.path}": the answer of "${this.server}" is not an object; is it an API server?`,
    );
  }

  /** An answer below 400, its body not read yet; whoever gets it ends it. */
  async #exchange(options: RequestOptions & { readonly timeoutMs: number }): Promise<Exchange> {
    for (let isAgain = false; ; isAgain = true) {
      const exchange = await this.#open(options);
      if (exchange.status < 300) return exchange;
      const error = await this.#refusal(exchange, options);
      if (!error.isUnauthorized || isAgain) throw error;
      this.#log.debug('The API server does not take the credentials: reading them again');
      this.#connection.forget();
    }
  }

  async #open(options: RequestOptions & { readonly timeoutMs: number }): Promise<Exchange> {
    const access = await this.#connection.access();
    const send = (): Promise<Exchange> =>
      Exchange.open({
        ...options,
        server: this.server,
        access,
        agents: this.#agents,
        proxy: this.#connection.proxy,
        clock: this.#clock,
        userAgent: this.#userAgent,
        signals: [this.#closed.signal, ...(options.signal === undefined ? [] : [options.signal])],
      });
    try {
      return await send();
    } catch (error) {
      // The server may close an idle connection in the moment that it is used again.
      const isStale = error instanceof MeshError && error.code === 'connection_reset';
      if (!isStale || options.method !== 'GET') throw error;
      return send();
    }
  }

  async #refusal(exchange: Exchange, { method, path }: RequestOptions): Promise<ApiError> {
    try {
      const body = await readBody(exchange);
      const refusal = refusalOf(exchange.status, body, exchange.header('retry-after'));
      return new ApiError(`Cannot ${method} "${path}"`, refusal);
    } finally {
      exchange.end();
    }
  }
}
