/**
 * Tells people about Problems where they look: as Kubernetes Events on the object. Level-triggered: `sync()` says what is wrong now, and this
 * works off what is not told yet, slowly and in order.
 *
 *              ┌────── again after 10 min at the earliest ─────┐
 *              ▼                                               │
 *   open ──► told (Warning) ──every 30 min: count + 1──► told  │
 *              │ the problem goes                              │
 *              ▼                                               │
 *           resolved (Normal) ─── the problem comes back ──────┘
 */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import { systemRandom, type Random } from '../base/random.ts';
import { Backoff, type BackoffBounds } from '../base/backoff.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { FIELD_MANAGER } from '../kube/api/client.ts';
import type { Problem } from '../model/service.ts';
import { isConflict, isNotFound, retryAfterMsOf, statusOf, type Api } from '../kube/api/api.ts';
import {
  dueMs,
  type TrackedProblem,
  isToResolve,
  keyOf,
  namespaceOf,
  trackProblem,
  QUIET_MS,
  workOf,
  type Work,
  WORKS,
} from './tracked-problem.ts';
import { fairShare } from './fair-share.ts';
import {
  createBody,
  eventOf,
  eventPath,
  readSeen,
  repeatPatch,
  resolvedEventOf,
  type Event,
  type EventApi,
  type EventContext,
  type Regarding,
} from './event.ts';
import type { ObjectReference } from '../model/object-reference.ts';

export interface EventRecorderOptions {
  readonly api: Api;
  /** Of this controller; the Events name it. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random?: Random;
  readonly log: Log;
  /** The object that a Problem is about; null when it is gone. */
  readonly lookup: (ref: ObjectReference) => Regarding | null | Promise<Regarding | null>;
}

/** Problems that Events are written for; the namespaces share them. All are in /api/problems. */
const PROBLEMS_MAX = 2_000;
/** Of one object: whoever breaks a thousand annotations must not fill the Events of all others. */
const OBJECT_PROBLEMS_MAX = 10;
/** An Event that fails this often is left alone for QUIET_MS. */
const FAILURES_MAX = 5;
const RATE = { perSecond: 5, burst: 25 };
const RETRY_MS_MAX = 30_000;
const RETRY: BackoffBounds = { firstMs: 1_600, lastMs: RETRY_MS_MAX };
const REQUEST_TIMEOUT_MS = 10_000;
const MERGE_PATCH = 'application/merge-patch+json';

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #bucket: TokenBucket;
  readonly #backoff: Backoff;
  /** By the words of the problem. Those that are gone stay until they may be told again. */
  readonly #entries = new Map<string, TrackedProblem>();
  /** By namespace: the number of its last write. */
  readonly #turns = new Map<string, number>();
  #turn = 0;
  #latest: readonly Problem[] = [];
  #eventApi: EventApi = 'events.k8s.io/v1';
  #isEventApiSure = false;
  #abort: AbortController | null = null;
  #working: Promise<void> | null = null;
  #timer: Timer | null = null;
  /** `sync()` or `start()` came after the work under way began. */
  #isChanged = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(options.clock, RATE);
    this.#backoff = new Backoff(options.random ?? systemRandom, RETRY);
  }

  /** Begins to record: this replica leads. May be called again after `stop()`. */
  start(): void {
    if (this.#abort !== null) return;
    this.#abort = new AbortController();
    this.#compare();
  }

  /** Forgets what was told: the next leader finds it in the Events themselves. Resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    this.#abort = null;
    this.#timer?.cancel();
    this.#entries.clear();
    this.#turns.clear();
    await this.#working;
  }

  /** All problems that there are now. Also remembered while it is stopped. */
  sync(problems: readonly Problem[]): void {
    this.#latest = problems;
    if (this.#abort !== null) this.#compare();
  }

  #compare(): void {
    const present = new Set(this.#latest.map(keyOf));
    for (const [key, entry] of this.#entries) entry.isOpen = present.has(key);
    const wanted = this.#wanted();
    const share = fairShare(
      [...wanted.values()].map(({ length }) => length),
      PROBLEMS_MAX,
    );
    for (const [namespace, problems] of wanted) {
      for (const [index, problem] of problems.entries()) {
        const key = keyOf(problem);
        if (index >= share) this.#entries.delete(key);
        else if (!this.#entries.has(key)) this.#entries.set(key, trackProblem(problem, namespace));
      }
    }
    this.#isChanged = true;
    this.#wake(0);
  }

  /** By namespace, those that have a place already first; of one object no more than it may have. */
  #wanted(): ReadonlyMap<string, readonly Problem[]> {
    const ofObject = new Map<string, number>();
    const known: Problem[] = [];
    for (const { isOpen, problem } of this.#entries.values()) if (isOpen) known.push(problem);
    const others = this.#latest.filter((problem) => !this.#entries.has(keyOf(problem)));
    const chosen = [...known, ...others].filter(({ object }) => {
      const count = (ofObject.get(object) ?? 0) + 1;
      ofObject.set(object, count);
      return count <= OBJECT_PROBLEMS_MAX;
    });
    return Map.groupBy(chosen, namespaceOf);
  }

  #wake(delayMs: number): void {
    if (this.#abort === null || this.#working !== null) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(delayMs, () => this.#begin());
  }

  #begin(): void {
    const { signal } = this.#abort ?? {};
    if (signal === undefined || this.#working !== null) return;
    this.#isChanged = false;
    this.#working = this.#workOff(signal).then((delayMs) => {
      this.#working = null;
      if (this.#isChanged) this.#wake(0);
      else if (delayMs !== null) this.#wake(delayMs);
    });
  }

  /** Writes what is due, one at a time. Tells after how many milliseconds there is more to do; null is only after `sync()`. */
  async #workOff(signal: AbortSignal): Promise<number | null> {
    for (;;) {
      const { entry, work, waitMs } = this.#next();
      if (signal.aborted || entry === null) return waitMs;
      const delayMs = this.#bucket.take();
      if (delayMs > 0) return delayMs;
      this.#turns.delete(entry.namespace);
      this.#turns.set(entry.namespace, ++this.#turn);
      try {
        await this.#do(entry, work, signal);
        this.#backoff.reset();
        entry.failures = 0;
      } catch (error) {
        if (signal.aborted) return null;
        const pauseMs = this.#fail(entry, error);
        if (pauseMs > 0) return pauseMs;
      }
    }
  }

  /**
   * What is due first. The namespaces take turns, so that one with many problems holds up no other; of each, new problems come first,
   * then those that went, then repetitions. Forgets what is told and over.
   */
  #next(): { entry: TrackedProblem | null; work: Work; waitMs: number | null } {
    const nowMs = this.#options.clock.nowMs();
    const due = new Map<string, TrackedProblem>();
    let waitMs = Infinity;
    for (const [key, entry] of this.#entries) {
      const dueInMs = dueMs(entry) - nowMs;
      if (dueInMs > 0) {
        waitMs = Math.min(waitMs, dueInMs);
      } else if (!entry.isOpen && !isToResolve(entry)) {
        this.#entries.delete(key);
      } else {
        const first = due.get(entry.namespace);
        if (first === undefined || isSooner(workOf(entry), workOf(first)))
          due.set(entry.namespace, entry);
      }
    }
    const [entry = null] = [...due.values()].toSorted(
      (a, b) => this.#turnOf(a.namespace) - this.#turnOf(b.namespace),
    );
    if (entry === null) return { entry, work: 'tell', waitMs: waitMs === Infinity ? null : waitMs };
    return { entry, work: workOf(entry), waitMs: 0 };
  }

  /** When the namespace had its last one; 0 for never. */
  #turnOf(namespace: string): number {
    return this.#turns.get(namespace) ?? 0;
  }

  async #do(entry: TrackedProblem, work: Work, signal: AbortSignal): Promise<void> {
    const { clock, lookup } = this.#options;
    const { problem } = entry;
    // Another problem took its place: that nothing is wrong any more would be a lie.
    const isReplaced = work === 'resolve' && this.#isStillWrong(problem);
    const { ref } = problem;
    const regarding = isReplaced || ref === null ? null : await lookup(ref);
    if (work === 'resolve') {
      entry.told = 'unsure';
      if (regarding !== null) await this.#write(resolvedEventOf(problem, regarding), 0, signal);
      entry.told = 'resolved';
      return;
    }
    if (regarding !== null) {
      const event = eventOf(problem, regarding);
      const isSame = entry.name === event.name;
      const over = resolvedEventOf(problem, regarding);
      entry.count = await this.#write(event, isSame ? entry.count : 0, signal, over);
      entry.name = event.name;
    }
    entry.told = regarding === null ? 'nothing' : 'open';
    entry.warnedMs = clock.nowMs();
  }

  #isStillWrong({ object, field }: Problem): boolean {
    for (const { isOpen, problem } of this.#entries.values()) {
      if (isOpen && problem.object === object && problem.field === field) return true;
    }
    return false;
  }

  /**
   * Creates the Event, or counts it once more when it is there: `count` is how often it was seen, as far as is known. `over` is the one
   * that takes it back.
   */
  async #write(
    event: Event,
    count: number,
    signal: AbortSignal,
    over: Event | null = null,
  ): Promise<number> {
    const context = this.#context();
    if (count > 0) {
      try {
        return await this.#repeat(event, count + 1, signal);
      } catch (error) {
        // The API server has forgotten it.
        if (!isNotFound(error)) throw error;
      }
    }
    try {
      const path = eventPath(event, context.api, '');
      await this.#call({ method: 'POST', path, body: createBody(event, context), signal });
      return 1;
    } catch (error) {
      if (isConflict(error)) return this.#adopt(event, over, signal);
      if (isNotFound(error) && (await this.#hasOldApi(signal))) {
        return this.#write(event, count, signal, over);
      }
      throw error;
    }
  }

  /**
   * An earlier leader, or this one before a restart, has told it: it counts once more, but not too soon unless it was said since that
   * it is over.
   */
  async #adopt(event: Event, over: Event | null, signal: AbortSignal): Promise<number> {
    const seen = await this.#read(event, signal);
    const isRecent = this.#options.clock.wallMs() - seen.atMs < QUIET_MS;
    if (isRecent && (over === null || !(await this.#isSaid(over, seen.atMs, signal))))
      return seen.count;
    return this.#repeat(event, seen.count + 1, signal);
  }

  async #read(event: Event, signal: AbortSignal): Promise<ReturnType<typeof readSeen>> {
    const path = eventPath(event, this.#eventApi, event.name);
    return readSeen(await this.#call({ method: 'GET', path, signal }));
  }

  /** Whether an Event is there that was written at this time or later, in Unix milliseconds. */
  async #isSaid(event: Event, sinceMs: number, signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#read(event, signal)).atMs >= sinceMs;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  async #repeat(event: Event, count: number, signal: AbortSignal): Promise<number> {
    const context = this.#context();
    await this.#call({
      method: 'PATCH',
      path: eventPath(event, context.api, event.name),
      body: repeatPatch(count, context),
      contentType: MERGE_PATCH,
      signal,
    });
    return count;
  }

  /** Whether a 404 is for the API and not for the namespace. Asked once. */
  async #hasOldApi(signal: AbortSignal): Promise<boolean> {
    if (this.#isEventApiSure) return false;
    try {
      await this.#call({ method: 'GET', path: `/apis/${this.#eventApi}`, signal });
      this.#isEventApiSure = true;
      return false;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#isEventApiSure = true;
      this.#eventApi = 'v1';
      this.#options.log.info('The API server has no events.k8s.io/v1: writing core/v1 Events');
      return true;
    }
  }

  /** Counts a failure. Returns how long everything pauses; 0 when only this Event is given up for a while. */
  #fail(entry: TrackedProblem, error: unknown): number {
    const { clock, log } = this.#options;
    entry.failures += 1;
    const message = `Cannot write an Event for ${entry.problem.object}: ${MeshError.from(error).message}`;
    if (isLasting(error) || entry.failures >= FAILURES_MAX) {
      log.warn(message);
      entry.failures = 0;
      entry.warnedMs = clock.nowMs();
      // What cannot be said of a problem that went need not be said later.
      if (!entry.isOpen) entry.told = 'resolved';
      return 0;
    }
    log.debug(message);
    return Math.max(this.#backoff.fail(), retryAfterMsOf(error));
  }

  #context(): EventContext {
    const { identity, clock } = this.#options;
    return { api: this.#eventApi, identity, nowMs: clock.wallMs() };
  }

  #call(request: Parameters<Api['request']>[0]): Promise<unknown> {
    const query = request.method === 'GET' ? {} : { fieldManager: FIELD_MANAGER };
    return this.#options.api.request({ query, timeoutMs: REQUEST_TIMEOUT_MS, ...request });
  }
}

/** A refusal that another try would only get again. */
function isLasting(error: unknown): boolean {
  const status = statusOf(error);
  return status !== null && status >= 400 && status < 500 && ![401, 408, 429].includes(status);
}

function isSooner(a: Work, b: Work): boolean {
  return WORKS.indexOf(a) < WORKS.indexOf(b);
}
