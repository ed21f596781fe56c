/**
 * One of the controllers leads: the one that holds a Lease. The rules are those of Kubernetes' own components (client-go, tools/leaderelection).
 *
 *              created, free, own, or silent for its duration: written with its version
 *   follower ─────────────────────────────────────────────────────────────────────────► leader
 *      ▲       someone else holds it, or no renewal for 10 s: `onStop`, then              │
 *      └──────────────────────────────────────────────────────────────────────────────────┘
 *
 * Invariants: 1. a leader that could not renew stops 10 s after it sent its last good renewal, and nobody takes over before 15 s after that
 * renewal arrived; 2. silence is measured on one's own monotonic clock from the moment a change was seen, so wall clocks do not matter;
 * 3. every write names the version that it replaces, so of two that try at once one fails.
 */

import type { Clock, Timer } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { recordAt } from '../base/record.ts';
import { orNull } from '../kube/api/api-error.ts';
import { FIELD_MANAGER } from '../kube/api/client.ts';
import { labelsOfPart } from '../model/names.ts';
import { isOvertaken, microTime, retryAfterMsOf, type Api } from '../kube/api/api.ts';
import { LEASE_MS, readLease, type Lease } from './lease.ts';

export interface LeaderElectionOptions {
  readonly api: Api;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** Unlike that of every other candidate that runs; the Pod's name. */
  readonly identity: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** This replica leads from now on. May be called again after `onStop`. */
  readonly onStart: () => void;
  /**
   * It does not lead any more, and nobody else does for the next 5 s. `stop()` lets go of the Lease, and `onStart` is called again, only when
   * the promise is settled.
   */
  readonly onStop: () => void | Promise<void>;
}

interface Observed {
  readonly lease: Lease;
  /** Monotonic time at which it was first seen like this. */
  readonly atMs: number;
}

/** Without a good renewal for so long, a leader stops; the rest of the Lease is for what is under way. */
const RENEW_DEADLINE_MS = 10_000;
/** How often the Lease is renewed or looked at. */
const RETRY_MS = 2_000;
const AGAIN_MS = 50;
/** Share by which a wait is stretched at random. */
const JITTER = 0.2;
/** Less than half the deadline, so that one request that hangs costs no leadership. */
const REQUEST_TIMEOUT_MS = 4_000;
const QUERY = { fieldManager: FIELD_MANAGER };

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #path: string;
  #observed: Observed | null = null;
  /** Monotonic time until which this replica leads; null while it does not. */
  #deadlineMs: number | null = null;
  #deadlineTimer: Timer | null = null;
  #retryTimer: Timer | null = null;
  #attempt: Promise<void> = Promise.resolve();
  #abort = new AbortController();
  /** What `onStop` still does. */
  #ending: Promise<void> = Promise.resolve();
  #leader = '';
  /** A write of ours may be the last one. */
  #mayHold = false;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
    this.#abort.abort();
  }

  /** Whether this replica leads at this very moment. Also right when the event loop stood still and `onStop` is late. */
  get isLeader(): boolean {
    return this.#deadlineMs !== null && this.#options.clock.nowMs() < this.#deadlineMs;
  }

  /** Who holds the Lease as far as this replica knows; '' is nobody. */
  get leader(): string {
    return this.#leader;
  }

  /** Begins to try. May be called again after `stop()`. */
  start(): void {
    if (!this.#abort.signal.aborted) return;
    this.#abort = new AbortController();
    this.#observed = null;
    this.#try();
  }

  /** Stops leading and gives the Lease back, so that the next one takes over at once. */
  async stop(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#retryTimer?.cancel();
    this.#lose('this replica stops');
    await this.#attempt;
    await this.#ending;
    if (this.#mayHold) await this.#release();
  }

  #try(): void {
    const { signal } = this.#abort;
    this.#attempt = this.#attempt.then(async () => {
      if (signal.aborted) return;
      let askedMs = 0;
      try {
        await this.#tryOnce(signal);
      } catch (error) {
        askedMs = retryAfterMsOf(error);
        this.#fail(error);
      }
      if (signal.aborted) return;
      const delayMs = this.#delayMs(askedMs);
      this.#retryTimer = this.#options.clock.after(delayMs, () => this.#try());
    });
  }

  /** Renews what is ours, takes what is free, looks at what is somebody else's. */
  async #tryOnce(signal: AbortSignal): Promise<void> {
    // A leader knows the version that it wrote, and reads it again only when somebody else wrote.
    if (!this.isLeader || this.#observed === null) this.#observe(await this.#read(signal));
    signal.throwIfAborted();
    const lease = this.#observed?.lease ?? null;
    if (lease !== null && !this.#isFree(lease)) {
      this.#lose(`"${lease.holder}" has its Lease`);
      return;
    }
    // The term counts from before the request: it may wait on the way, the Lease counts from when it is written.
    const sentMs = this.#options.clock.nowMs();
    this.#mayHold = true;
    this.#observe(readLease(await this.#write(lease)));
    // The work of an earlier term has ended before the next one begins.
    await this.#ending;
    this.#lead(sentMs + RENEW_DEADLINE_MS, signal);
  }

  #fail(error: unknown): void {
    const { log } = this.#options;
    if (this.#abort.signal.aborted) return;
    // Somebody else wrote or deleted it, or an answer was lost: the next try reads what is there.
    if (isOvertaken(error)) this.#observed = null;
    const message = MeshError.from(error).message;
    if (this.#deadlineMs === null) log.debug(`Cannot look for a leader: ${message}`);
    else log.warn(`Cannot renew the Lease of the leader: ${message}`);
  }

  /** A follower that knows when the Lease runs out tries just then. */
  #delayMs(askedMs: number): number {
    const { clock, random } = this.#options;
    // A leader whose version was not the last one must know at once whether it still is the holder.
    if (this.isLeader && this.#observed === null) return AGAIN_MS;
    const delayMs = Math.max(RETRY_MS * (1 + JITTER * random.next()), askedMs);
    const isHeld = this.#observed !== null && this.#observed.lease.holder !== '';
    if (this.isLeader || !isHeld || this.#observed === null) return delayMs;
    const leftMs = this.#observed.atMs + this.#observed.lease.durationMs - clock.nowMs();
    return leftMs > 0 && askedMs === 0 ? Math.min(delayMs, leftMs) : delayMs;
  }

  /** Whether this replica may write it: it is nobody's, its own, or its holder was silent for too long. */
  #isFree(lease: Lease): boolean {
    if (lease.holder === '' || lease.holder === this.#options.identity) return true;
    const sinceMs = this.#observed?.atMs ?? Infinity;
    const durationMs = Math.max(lease.durationMs, LEASE_MS);
    return this.#options.clock.nowMs() - sinceMs >= durationMs;
  }

  #observe(lease: Lease | null): void {
    if (lease === null) {
      this.#observed = null;
    } else if (this.#observed?.lease.resourceVersion !== lease.resourceVersion) {
      this.#observed = { lease, atMs: this.#options.clock.nowMs() };
    }
    const holder = lease?.holder ?? '';
    if (holder === this.#leader) return;
    this.#leader = holder;
    const { identity, log } = this.#options;
    if (holder !== '' && holder !== identity)
      log.info('Another replica is the leader', { leader: holder });
  }

  #lead(deadlineMs: number, signal: AbortSignal): void {
    const { clock, log, identity } = this.#options;
    // The answer came too late to be worth anything: the next try renews it.
    if (signal.aborted || clock.nowMs() >= deadlineMs) return;
    const isNew = this.#deadlineMs === null;
    this.#deadlineMs = deadlineMs;
    this.#deadlineTimer?.cancel();
    this.#deadlineTimer = clock.after(deadlineMs - clock.nowMs(), () =>
      this.#lose('its Lease could not be renewed in time'),
    );
    if (!isNew) return;
    log.info('This replica is the leader', { identity });
    try {
      this.#options.onStart();
    } catch (error) {
      // A leader that does nothing is worse than none: another replica may fare better.
      log.error('Cannot start the work of the leader', { error });
      this.#lose('its work could not start');
    }
  }

  #lose(why: string): void {
    if (this.#deadlineMs === null) return;
    this.#deadlineMs = null;
    this.#deadlineTimer?.cancel();
    this.#options.log.info(`This replica is no longer the leader: ${why}`);
    this.#ending = this.#end();
  }

  async #end(): Promise<void> {
    try {
      await this.#options.onStop();
    } catch (error) {
      this.#options.log.error('Cannot stop the work of the leader', { error });
    }
  }

  /** Reads first: a renewal that was cut off may have been written all the same. */
  async #release(): Promise<void> {
    this.#mayHold = false;
    try {
      const lease = await this.#read(undefined);
      if (lease?.holder !== this.#options.identity) return;
      const spec = { ...recordAt(lease.raw, 'spec'), holderIdentity: '', leaseDurationSeconds: 1 };
      await this.#put({ ...lease.raw, spec });
    } catch (error) {
      // Nobody is harmed: the Lease runs out by itself.
      this.#options.log.debug('Cannot release the Lease', { error: MeshError.from(error) });
    }
  }

  async #read(signal: AbortSignal | undefined): Promise<Lease | null> {
    const { api, name } = this.#options;
    const raw = await orNull(
      api.request({
        method: 'GET',
        path: `${this.#path}/${name}`,
        signal,
        timeoutMs: REQUEST_TIMEOUT_MS,
      }),
    );
    return raw === null ? null : readLease(raw);
  }

  /**
   * Creates the Lease, or writes the one that was read with this replica as its holder. The end of this replica waits for the
   * answer: a write that was given up could still arrive, after the Lease was given back.
   */
  #write(lease: Lease | null): Promise<unknown> {
    const { api, clock, identity, name, namespace } = this.#options;
    const now = microTime(clock.wallMs());
    const isOwn = lease?.holder === identity;
    const old = recordAt(lease?.raw, 'spec');
    const spec = {
      ...old,
      holderIdentity: identity,
      leaseDurationSeconds: LEASE_MS / 1_000,
      acquireTime: isOwn ? old['acquireTime'] : now,
      renewTime: now,
      leaseTransitions: (lease?.transitions ?? 0) + (isOwn || lease === null ? 0 : 1),
    };
    if (lease !== null) return this.#put({ ...lease.raw, spec });
    const metadata = { name, namespace, labels: labelsOfPart('controller') };
    return api.request({
      method: 'POST',
      path: this.#path,
      query: QUERY,
      body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec },
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
  }

  /** Fails with a conflict when it is not the version that was read. */
  #put(body: unknown): Promise<unknown> {
    return this.#options.api.request({
      method: 'PUT',
      path: `${this.#path}/${this.#options.name}`,
      query: QUERY,
      body,
      timeoutMs: REQUEST_TIMEOUT_MS,
    });
  }
}
