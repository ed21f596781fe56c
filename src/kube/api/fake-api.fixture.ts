/** An API server in memory for tests: objects by path, versions, conflicts, preconditions, patches, watches, and faults on demand. */

import { setImmediate } from 'node:timers/promises';

import type { ManualClock } from '../../base/clock.ts';
import { ApiError } from './api-error.ts';
import type { KubeClient, KubeRecord, Query, StreamOptions } from './client.ts';
import { isRecord } from '../../base/record.ts';
import type { Api } from './api.ts';

export type FakeRequest = Parameters<Api['request']>[0];
type FakeObject = Record<string, unknown> & { metadata: Record<string, unknown> };

export class FakeApiError extends ApiError {
  constructor(status: number, reason: string, retryAfterMs = 0) {
    super('Cannot test', { status, reason, detail: '', causes: [], retryAfterMs });
  }
}

interface WatchEvent {
  readonly version: number;
  readonly path: string;
  readonly type: 'MODIFIED' | 'DELETED';
  readonly object: FakeObject;
}

export class FakeApi implements Pick<KubeClient, 'request' | 'list' | 'stream'> {
  readonly objects = new Map<string, FakeObject>();
  readonly requests: FakeRequest[] = [];
  /** May throw, or wait, before a request counts. */
  before: (request: FakeRequest) => Promise<void> | void = () => undefined;
  /** May throw, or wait, after it counted: the answer is lost. */
  after: (request: FakeRequest) => Promise<void> | void = () => undefined;
  /** Answers in place of the store; undefined is no. */
  answer: (request: FakeRequest) => unknown = () => undefined;
  #version = 100;
  readonly #events: WatchEvent[] = [];
  readonly #watchers = new Set<() => void>();
  /** A watch that ends with this error instead of events; null is none. */
  watchError: Error | null = null;

  /** As with a real one, a request that is given up may still be carried out. */
  async request(request: FakeRequest): Promise<unknown> {
    this.requests.push(request);
    await turn();
    const { signal } = request;
    if (signal?.aborted === true) throw new Error('aborted');
    const carriedOut = this.#carryOut(request);
    if (signal === undefined) return carriedOut;
    const givenUp = Promise.withResolvers<never>();
    const giveUp = (): void => givenUp.reject(new Error('aborted'));
    signal.addEventListener('abort', giveUp);
    try {
      return await Promise.race([carriedOut, givenUp.promise]);
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  async #carryOut(request: FakeRequest): Promise<unknown> {
    await this.before(request);
    const answer = structuredClone((await this.answer(request)) ?? this.#serve(request));
    await this.after(request);
    return answer;
  }

  /** Writes that were made, as `PUT /path`. */
  writes(): string[] {
    const writes = this.requests.filter(({ method }) => method !== 'GET');
    return writes.map(({ method, path }) => `${method} ${path}`);
  }

  get(path: string): FakeObject {
    const object = this.objects.get(path);
    if (object === undefined) throw new FakeApiError(404, 'NotFound');
    return object;
  }

  /** Puts an object there as somebody else would. */
  set(path: string, object: Record<string, unknown>): void {
    const metadata = isRecord(object['metadata']) ? object['metadata'] : {};
    const version = ++this.#version;
    const stored = {
      ...structuredClone(object),
      metadata: { uid: `uid-${path}`, ...metadata, resourceVersion: String(version) },
    };
    this.objects.set(path, stored);
    this.#tell({ version, path, type: 'MODIFIED', object: stored });
  }

  remove(path: string): void {
    const object = this.get(path);
    this.objects.delete(path);
    this.#tell({ version: ++this.#version, path, type: 'DELETED', object });
  }

  list(path: string, options: Omit<FakeRequest, 'method' | 'path'> = {}): Promise<KubeRecord> {
    return this.request({ ...options, method: 'GET', path }) as Promise<KubeRecord>;
  }

  async stream({ path, query = {}, signal, onOpen, onValue }: StreamOptions): Promise<void> {
    await this.before({ method: 'GET', path, query });
    onOpen?.();
    let sent = Number(query['resourceVersion']);
    const ended = Promise.withResolvers<void>();
    const send = (): void => {
      if (this.watchError !== null) ended.reject(this.watchError);
      for (const event of this.#events) {
        if (event.version <= sent || !event.path.startsWith(`${path}/`)) continue;
        sent = event.version;
        if (isSelected(event.object, query)) {
          onValue(structuredClone({ type: event.type, object: event.object }));
        }
      }
    };
    this.#watchers.add(send);
    signal.addEventListener('abort', () => ended.reject(new Error('aborted')));
    send();
    try {
      await ended.promise;
    } finally {
      this.#watchers.delete(send);
    }
  }

  /** Ends all watches with `watchError`. */
  endWatches(): void {
    for (const send of this.#watchers) send();
  }

  #tell(event: WatchEvent): void {
    this.#events.push(event);
    for (const send of this.#watchers) send();
  }

  #serve(request: FakeRequest): unknown {
    const { method, path } = request;
    const body = isRecord(request.body) ? request.body : {};
    switch (method) {
      case 'GET':
        return this.objects.has(path) || !isCollection(path) ? this.get(path) : this.#list(request);
      case 'POST':
        return this.#create(`${path}/${String(metaOf(body)['name'])}`, body);
      case 'PUT':
        this.#check(path, metaOf(body));
        this.set(path, body);
        return this.get(path);
      case 'PATCH':
        return this.#patch(request, body);
      case 'DELETE':
        this.#check(path, isRecord(body['preconditions']) ? body['preconditions'] : {});
        this.remove(path);
        return {};
      default:
        throw new FakeApiError(405, 'MethodNotAllowed');
    }
  }

  #create(path: string, body: Record<string, unknown>): FakeObject {
    if (this.objects.has(path)) throw new FakeApiError(409, 'AlreadyExists');
    this.set(path, body);
    return this.get(path);
  }

  #patch({ path, contentType }: FakeRequest, body: Record<string, unknown>): FakeObject {
    if (contentType === 'application/apply-patch+yaml' && !this.objects.has(path)) {
      return this.#create(path, body);
    }
    this.set(path, merge(this.get(path), body));
    return this.get(path);
  }

  #check(path: string, wanted: Readonly<Record<string, unknown>>): void {
    const { metadata } = this.get(path);
    for (const key of ['resourceVersion', 'uid']) {
      if (wanted[key] !== undefined && wanted[key] !== metadata[key]) {
        throw new FakeApiError(409, 'Conflict');
      }
    }
  }

  #list({ path, query }: FakeRequest): unknown {
    const items = [...this.objects].filter(([key]) => key.startsWith(`${path}/`));
    const matching = items.filter(([, object]) => isSelected(object, query ?? {}));
    return {
      metadata: { resourceVersion: String(this.#version) },
      items: matching.map(([, object]) => object),
    };
  }
}

/** Lets everything run that waits for promises. A turn of the event loop would do the same, and ask the system for nothing each time. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}

/** Lets everything run that waits for no timer. */
export async function settle(turns = 20): Promise<void> {
  for (let left = turns; left > 1; left--) await turn();
  await setImmediate();
}

/** Moves time in small steps, so that what waits for answers runs at about its own time. */
export async function pass(clock: ManualClock, ms: number, stepMs = 1_000): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    clock.advance(Math.min(stepMs, left));
    await settle();
  }
}

const REAL_MS_MAX = 5_000;

/** Moves time until something holds; what runs outside the event loop (keys, signatures) is waited for. */
export async function passUntil(
  clock: ManualClock,
  holds: () => boolean,
  { stepMs = 1_000, steps = 5_000 } = {},
): Promise<void> {
  for (let step = 0; step < steps; step++) {
    await settle();
    if (holds()) return;
    clock.advance(stepMs);
  }
  // On a busy machine time is over before a key is made.
  for (const end = performance.now() + REAL_MS_MAX; performance.now() < end;) {
    await settle();
    if (holds()) return;
  }
  throw new Error(`It did not come about within ${stepMs * steps} ms`);
}

/** `…/namespaces/NAME/PLURAL`; what follows that is the name of an object. */
function isCollection(path: string): boolean {
  return /\/namespaces\/[^/]+\/[^/]+$/.test(path);
}

function isSelected({ metadata }: FakeObject, query: Query): boolean {
  const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
  const terms = String(query['labelSelector'] ?? '')
    .split(',')
    .filter(Boolean);
  return terms
    .map((term) => term.split('='))
    .every(([key, value]) => labels[String(key)] === value);
}

function metaOf(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return isRecord(body['metadata']) ? body['metadata'] : {};
}

/** RFC 7386. */
function merge<T extends Record<string, unknown>>(target: T, patch: Record<string, unknown>): T {
  const out: Record<string, unknown> = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    const old = out[key];
    if (value === null) delete out[key];
    else out[key] = isRecord(value) ? merge(isRecord(old) ? { ...old } : {}, value) : value;
  }
  return out as T;
}
