/** An API server in memory for tests: objects by path, resource versions, conflicts, preconditions, merge and apply patches, and faults on demand. */

import { setImmediate } from 'node:timers/promises';

import type { ManualClock } from '../../base/clock.ts';
import { ApiError } from '../../kube/api/api-error.ts';
import { isRecord } from '../../kube/record.ts';
import type { Api } from './api.ts';

export type FakeRequest = Parameters<Api['request']>[0];
type FakeObject = Record<string, unknown> & { metadata: Record<string, unknown> };

export class FakeApiError extends ApiError {
  constructor(status: number, reason: string, retryAfterMs = 0) {
    super('Cannot test', { status, reason, detail: '', causes: [], retryAfterMs });
  }
}

export class FakeApi {
  readonly objects = new Map<string, FakeObject>();
  readonly requests: FakeRequest[] = [];
  /** May throw, or wait, before a request counts. */
  before: (request: FakeRequest) => Promise<void> | void = () => undefined;
  /** May throw, or wait, after it counted: the answer is lost. */
  after: (request: FakeRequest) => Promise<void> | void = () => undefined;
  /** Answers in place of the store; undefined is no. */
  answer: (request: FakeRequest) => unknown = () => undefined;
  #version = 100;

  async request(request: FakeRequest): Promise<unknown> {
    this.requests.push(request);
    await setImmediate();
    if (request.signal?.aborted === true) throw new Error('aborted');
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
    this.objects.set(path, {
      ...structuredClone(object),
      metadata: { uid: `uid-${path}`, ...metadata, resourceVersion: String(++this.#version) },
    });
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
        this.objects.delete(path);
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
    const selector = String(query?.['labelSelector'] ?? '');
    const wanted = selector === '' ? [] : selector.split(',').map((term) => term.split('='));
    const items = [...this.objects].filter(([key]) => key.startsWith(`${path}/`));
    const matching = items.filter(([, { metadata }]) => {
      const labels = isRecord(metadata['labels']) ? metadata['labels'] : {};
      return wanted.every(([key, value]) => labels[String(key)] === value);
    });
    return {
      metadata: { resourceVersion: String(this.#version) },
      items: matching.map(([, object]) => object),
    };
  }
}

/** Lets everything run that waits for no timer. */
export async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await setImmediate();
}

/** Moves time in small steps, so that what waits for answers runs at about its own time. */
export async function pass(clock: ManualClock, ms: number, stepMs = 1_000): Promise<void> {
  for (let left = ms; left > 0; left -= stepMs) {
    clock.advance(Math.min(stepMs, left));
    await settle();
  }
}

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
  throw new Error(`It did not come about within ${stepMs * steps} ms`);
}

/** `…/namespaces/NAME/PLURAL`; what follows that is the name of an object. */
function isCollection(path: string): boolean {
  return /\/namespaces\/[^/]+\/[^/]+$/.test(path);
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
