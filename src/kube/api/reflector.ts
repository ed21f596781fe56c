/**
 * Keeps a sink equal to one collection of the API server, for as long as it runs.
 *
 *              ┌───────────────── 410 Gone ─────────────────┐
 *              ▼                                            │
 *   start ──► list, page by page ──► sink.replace ──► watch ┴─► sink.set, sink.delete
 *              │ ▲                                    │   ▲
 *              ▼ │ back-off                  back-off ▼   │ from the last resource version
 *             error                            error or end
 */

import { type Clock, delay } from '../../base/clock.ts';
import { MeshError } from '../../base/error.ts';
import { silentLog } from '../../base/log.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { isRecord, textAt } from '../../base/record.ts';
import { ApiError, refusalOf } from './api-error.ts';
import { Backoff, type BackoffBounds } from '../../base/backoff.ts';
import type { KubeClient, KubeRecord } from './client.ts';
import { TooLargeError } from './exchange.ts';

/** After a failure it waits 0.8 to 1.6 s, then longer, up to this. */
const RETRY_MS_MAX = 30_000;
export const RETRY: BackoffBounds = { firstMs: 1_600, lastMs: RETRY_MS_MAX };
/** Objects of one page of a list. */
const PAGE_OBJECTS = 500;
/** A list that expires while it is read is read again in larger pages, up to this. */
const PAGE_OBJECTS_MAX = 4_000;
/** How often a list is read anew at once, in other pages. */
const LIST_TRIES_MAX = 6;
/** Objects of one collection. */
const OBJECTS_MAX = 2_000_000;
/** One page of a list. */
const PAGE_TIMEOUT_MS = 60_000;
/** The server ends a watch after 5 to 10 minutes, each at its own time. */
const WATCH_MS_MIN = 300_000;
const WATCH_MS_MAX = 600_000;
/** A server that has not ended a watch by then is not there any more. */
const WATCH_GRACE_MS = 15_000;
/** A list that is out of date again sooner is not the way to go on: a pause is. */
const FRESH_LIST_MS = 5_000;
/** A watch that ends sooner, without an event, was none. */
const SHORT_WATCH_MS = 1_000;

export interface ObjectKey {
  /** '' for kinds without a namespace. */
  readonly namespace: string;
  readonly name: string;
}

export interface Sink<T> {
  /** All objects that there are: others are gone. */
  replace(objects: readonly T[]): void;
  set(object: T): void;
  /** One that the sink does not have is no error. */
  delete(key: ObjectKey): void;
}

export interface ReflectorOptions<T> {
  readonly client: Pick<KubeClient, 'list' | 'stream'>;
  /** The collection: `/api/v1/services`. */
  readonly path: string;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  /** What is kept of an object as the server sends it; null: as if it were not there. */
  readonly pick: (raw: KubeRecord) => T | null;
  readonly sink: Sink<T>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log?: Log;
  /** After the first `sink.replace`. */
  readonly onSynced?: () => void;
  /** `synced` or `lastError` changed. */
  readonly onState?: () => void;
  /** Default 500. */
  readonly pageObjects?: number;
}

/** Start it once; after `stop` the sink hears nothing more. */
export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #log: Log;
  readonly #backoff: Backoff;
  readonly #stopped = new AbortController();
  #resourceVersion = '';
  #synced = false;
  #lastError: MeshError | null = null;
  #isHealthy = false;
  #listedAtMs = 0;
  /** By the last try that failed. */
  #wasReached = true;
  /** Set while it waits because the server could not be reached. */
  #pause: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#log = (options.log ?? silentLog).child({ path: options.path });
    this.#backoff = new Backoff(options.random, RETRY);
  }

  /** The sink had everything once; it stays true while the server is away. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Why the sink may be behind; null while a watch is open. */
  get lastError(): MeshError | null {
    return this.#lastError;
  }

  /** Where the next watch begins; '' when a list comes first. */
  get resourceVersion(): string {
    return this.#resourceVersion;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Cuts what is under way. Resolves when nothing is left. */
  async stop(): Promise<void> {
    this.#stopped.abort(new MeshError('unknown', `Stopped watching "${this.#options.path}"`));
    await this.#running;
  }

  /** The server was reached by another: one that waits because it was not tries at once. */
  nudge(): void {
    this.#pause?.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === '') await this.#list();
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        await this.#recover(MeshError.from(error, `Cannot follow "${this.#options.path}"`));
      }
    }
  }

  // Lists

  async #list(): Promise<void> {
    let limit = this.#options.pageObjects ?? PAGE_OBJECTS;
    for (let tries = 1; ; tries++) {
      try {
        await this.#readPages(limit);
        return;
      } catch (error) {
        const next = otherLimit(error, limit);
        if (next === null || tries === LIST_TRIES_MAX) throw error;
        this.#log.debug('The list is read anew in other pages', { objects: next });
        limit = next;
      }
    }
  }

  async #readPages(limit: number): Promise<void> {
    const { client, path, labelSelector, fieldSelector, pick, sink, onSynced } = this.#options;
    const { signal } = this.#stopped;
    const objects: T[] = [];
    let token: string | undefined;
    let resourceVersion = '';
    do {
      const query = { labelSelector, fieldSelector, limit, continue: token };
      const page = await client.list(path, { query, signal, timeoutMs: PAGE_TIMEOUT_MS });
      signal.throwIfAborted();
      for (const item of itemsOf(page)) {
        const object = pick(item);
        if (object !== null) objects.push(object);
      }
      const meta = metaOf(page);
      resourceVersion = textAt(meta, 'resourceVersion');
      token = textAt(meta, 'continue') || undefined;
      if (objects.length > OBJECTS_MAX) {
        throw this.#unusable(`there are more than ${OBJECTS_MAX} objects`);
      }
    } while (token !== undefined);
    if (resourceVersion === '') throw this.#unusable('the list has no resource version');
    sink.replace(objects);
    this.#resourceVersion = resourceVersion;
    this.#listedAtMs = this.#options.clock.nowMs();
    if (this.#synced) return;
    this.#synced = true;
    onSynced?.();
  }

  // Watches

  async #watch(): Promise<void> {
    const { client, path, labelSelector, fieldSelector, clock, random } = this.#options;
    const timeoutMs = WATCH_MS_MIN + random.next() * (WATCH_MS_MAX - WATCH_MS_MIN);
    const timeoutSeconds = Math.ceil(timeoutMs / 1_000);
    const begunMs = clock.nowMs();
    let heard = false;
    this.#isHealthy = false;
    try {
      await client.stream({
        path,
        query: {
          labelSelector,
          fieldSelector,
          watch: true,
          allowWatchBookmarks: true,
          resourceVersion: this.#resourceVersion,
          timeoutSeconds,
        },
        signal: this.#stopped.signal,
        silenceMs: timeoutSeconds * 1_000 + WATCH_GRACE_MS,
        onOpen: () => this.#tell(null),
        onValue: (value) => {
          this.#stopped.signal.throwIfAborted();
          this.#take(value);
          heard = true;
        },
      });
    } finally {
      this.#isHealthy = heard || clock.nowMs() - begunMs >= SHORT_WATCH_MS;
      if (this.#isHealthy) this.#backoff.reset();
    }
    if (!this.#isHealthy) throw this.#unusable('the watch ended as soon as it began');
  }

  #take(value: unknown): void {
    if (value === undefined) return;
    const event = isRecord(value) ? value : {};
    const object = isRecord(event['object']) ? event['object'] : null;
    const type = textAt(event, 'type');
    if (object === null) throw this.#unusable(`an event "${type}" has no object`);
    if (type === 'ERROR') {
      const status = typeof object['code'] === 'number' ? object['code'] : 500;
      throw new ApiError(`Cannot watch "${this.#options.path}"`, refusalOf(status, object));
    }
    const meta = metaOf(object);
    if (type !== 'BOOKMARK') this.#apply(type, object, meta);
    this.#resourceVersion = textAt(meta, 'resourceVersion') || this.#resourceVersion;
  }

  #apply(type: string, object: KubeRecord, meta: KubeRecord): void {
    const { pick, sink } = this.#options;
    if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') {
      throw this.#unusable(`an event is of the unknown type "${type}"`);
    }
    const picked = type === 'DELETED' ? null : pick(object);
    if (picked !== null) sink.set(picked);
    else sink.delete({ namespace: textAt(meta, 'namespace'), name: textAt(meta, 'name') });
  }

  // Errors

  /** Decides where to go on, and waits. */
  async #recover(error: MeshError): Promise<void> {
    const mustList = this.#resourceVersion !== '' && isOutOfDate(error);
    if (mustList) this.#resourceVersion = '';
    const isOldList = this.#options.clock.nowMs() - this.#listedAtMs >= FRESH_LIST_MS;
    const wasHealthy = this.#isHealthy && this.#backoff.failures === 0;
    this.#isHealthy = false;
    // A server that starts refuses for a moment what it allows: how long it was away says nothing about that.
    if (error instanceof ApiError && !this.#wasReached) this.#backoff.reset();
    this.#wasReached = error instanceof ApiError;
    const delayMs = this.#backoff.fail();
    const askedMs = error instanceof ApiError ? error.retryAfterMs : 0;
    // A server that was there a moment ago may be back already, or another one in its place.
    if ((wasHealthy || (mustList && isOldList)) && askedMs === 0) {
      this.#log.debug('Following anew at once', { error });
      return;
    }
    this.#tell(error);
    const pause = new AbortController();
    if (!(error instanceof ApiError)) this.#pause = pause;
    const signal = AbortSignal.any([this.#stopped.signal, pause.signal]);
    await delay(this.#options.clock, Math.max(delayMs, askedMs), signal);
    this.#pause = null;
  }

  #tell(error: MeshError | null): void {
    const before = this.#lastError;
    if (before === null && error === null) return;
    this.#lastError = error;
    if (error === null) this.#log.info('Following again');
    else if (before?.message !== error.message) this.#log.warn(error.message);
    this.#options.onState?.();
  }

  #unusable(why: string): MeshError {
    return new MeshError('invalid_input', `Cannot follow "${this.#options.path}": ${why}`);
  }
}

/** How many objects a page is to have when the list is read again at once; null when it is not. */
function otherLimit(error: unknown, limit: number): number | null {
  if (error instanceof TooLargeError && limit > 1) return Math.max(1, Math.floor(limit / 4));
  const isExpired = error instanceof ApiError && error.isGone;
  return isExpired && limit < PAGE_OBJECTS_MAX ? Math.min(PAGE_OBJECTS_MAX, limit * 2) : null;
}

/** The server knows nothing of our resource version: it compacted its history, or was restored from a backup. */
function isOutOfDate(error: MeshError): boolean {
  if (!(error instanceof ApiError)) return false;
  const isTooNew = error.causes.some(({ reason }) => reason === 'ResourceVersionTooLarge');
  return error.isGone || isTooNew || error.status === 400;
}

function* itemsOf(page: KubeRecord): Iterable<KubeRecord> {
  const items = Array.isArray(page['items']) ? (page['items'] as readonly unknown[]) : [];
  for (const item of items) if (isRecord(item)) yield item;
}

function metaOf(object: KubeRecord): KubeRecord {
  return isRecord(object['metadata']) ? object['metadata'] : {};
}
