/** What is done about one shadow: decide, write, and remember what was written. */

import { backoffMs, type BackoffBounds } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import { ApiError } from '../kube/api/api-error.ts';
import { isOvertaken } from '../kube/api/api.ts';
import type { ShadowQueue } from './shadow-queue.ts';
import { decide, isWaiting } from './decide.ts';
import type { Decision, WantedPort } from './decide.ts';
import type { ControllerOptions, ShadowTimes } from './controller-options.ts';
import { isServedBy, namespaceOf } from './ledger.ts';
import type { LedgerEntry, ShadowLedger } from './ledger.ts';
import { AGENTS_RETURN_MS, isBefore } from './progress.ts';
import type { Quarantine } from './quarantine.ts';
import { read } from './read.ts';
import { digestOf, familiesFor, isRendered, render } from './render.ts';
import type { Desired } from './render.ts';
import type { Reporter } from './reporter.ts';
import type { Allocation, Damaged, Shadow } from './shadow.ts';
import { isOfMesh, requirementsOf, wantedPorts } from './wanted.ts';
import type { WantedPorts } from './wanted.ts';
import { RateLimit } from './work.ts';
import { isOurs, ShadowWriter } from './writer.ts';
import type { Written } from './writer.ts';

/** Wait after a failure, doubled by each further one in a row. */
const RETRY: BackoffBounds = { firstMs: 400, lastMs: 30_000 };
/** A name that is somebody else's seldom becomes free. */
const FOREIGN_RETRY_MS = 30_000;
/** Failures in a row of which nothing is told: conflicts and short outages go by. */
const QUIET_FAILURES = 2;
/** So often in a row the address of before is asked for: an API server says that an object is gone before it frees its address. */
const ADDRESS_TRIES = 3;
const WRITES_PER_SECOND = 200;

export interface ReconcilerParts {
  readonly options: ControllerOptions;
  readonly times: ShadowTimes;
  readonly quarantine: Quarantine;
  readonly ledger: ShadowLedger;
  readonly reporter: Reporter;
  readonly queue: ShadowQueue;
  /** Whether it is not believed yet that Services are gone. */
  readonly isDoubted: () => boolean;
}

export class Reconciler {
  readonly #options: ControllerOptions;
  readonly #times: ShadowTimes;
  readonly #clock: Clock;
  readonly #quarantine: Quarantine;
  readonly #ledger: ShadowLedger;
  readonly #writer: ShadowWriter;
  readonly #reporter: Reporter;
  readonly #queue: ShadowQueue;
  readonly #isDoubted: () => boolean;
  readonly #rate: RateLimit;

  constructor(parts: ReconcilerParts) {
    const { options } = parts;
    this.#options = options;
    this.#times = parts.times;
    this.#clock = options.clock;
    this.#quarantine = parts.quarantine;
    this.#ledger = parts.ledger;
    this.#writer = new ShadowWriter(options.api, options);
    this.#reporter = parts.reporter;
    this.#queue = parts.queue;
    this.#isDoubted = parts.isDoubted;
    const perSecond = options.writesPerSecond ?? WRITES_PER_SECOND;
    this.#rate = new RateLimit(this.#clock, perSecond, perSecond);
  }

  /** Lets all who wait for their turn to write see that it is over. */
  release(): void {
    this.#rate.release();
  }

  /** An object that is not what was written last is our own write, of which no answer came, or somebody's hand. */
  takeIn(entry: LedgerEntry, value: Shadow | Damaged): void {
    this.#ledger.see(entry, value);
    const { attempt, object } = entry;
    if (object === null || object.digest === entry.recordDigest) return;
    if (attempt?.digest === object.digest) {
      this.#hold(entry, attempt.allocation, object);
    } else if (entry.record === null) {
      this.#ledger.adopt(entry);
      this.#wait(entry);
    } else if (value.kind === 'damaged') {
      this.#reporter.damaged(entry, value);
    } else if (!entry.isBeingWritten) {
      this.#reporter.drifted(entry);
    }
  }

  /** Never throws: what fails is told, and tried again later. */
  async look(entry: LedgerEntry, signal: AbortSignal): Promise<void> {
    const waitMs = entry.retryAtMs - this.#clock.nowMs();
    if (waitMs > 0) {
      this.#queue.after(entry.name, waitMs);
      return;
    }
    try {
      await this.#reconcile(entry, signal);
      if (entry.failures > 0 && !signal.aborted) {
        entry.failures = 0;
        this.#reporter.succeeded(entry);
      }
    } catch (error) {
      if (!signal.aborted) await this.#fail(entry, error, signal);
    } finally {
      entry.isBeingWritten = false;
    }
  }

  async #reconcile(entry: LedgerEntry, signal: AbortSignal): Promise<void> {
    const { wanted, held } = this.#wanted(entry);
    this.#reporter.held(entry, held, this.#options.abilities);
    const isDoubted = this.#isDoubted() && !this.isWanted(entry);
    if (isDoubted && entry.record !== null && entry.record.state !== 'retired') return;
    const { allocation, starved } = this.#decide(entry, wanted);
    this.#reporter.starved(entry, starved);
    if (starved.length > 0) this.#queue.starved.add(entry.name);
    else this.#queue.starved.delete(entry.name);
    if (allocation === null) {
      await this.#remove(entry, signal);
      return;
    }
    const desired = this.#desired(entry, allocation);
    // One that somebody deleted and nobody needs is not made again: memory keeps its ports from others.
    const isDone =
      entry.object === null ? allocation.state === 'retired' : this.#isDone(desired, entry);
    if (isDone) this.#hold(entry, allocation, entry.object);
    else await this.#write(entry, desired, signal);
  }

  #decide(entry: LedgerEntry, wanted: readonly WantedPort[]): Decision {
    const { pool } = this.#ledger;
    const isServed = isServedBy(this.#options.progressOfAll(), entry);
    const isLate = !isServed && this.#isLate(entry);
    if (isLate && wanted.length > 0)
      this.#reporter.late(entry, this.#patienceMs, this.#options.laggards());
    return decide({
      record: entry.record,
      service: entry.service,
      wanted,
      isServed: isServed || isLate,
      now: this.#quarantine.now(),
      isOver: (time) => this.#quarantine.isOver(time),
      holds: (port) => pool.holds(entry.name, port) && pool.includes(port.proxyPort),
      owns: (port) => pool.holds(entry.name, port),
      choose: (port, taken) =>
        pool.choose({ owner: entry.name, namespace: namespaceOf(entry.service), port }, taken),
    });
  }

  async #write(entry: LedgerEntry, desired: Desired, signal: AbortSignal): Promise<void> {
    const { allocation } = desired;
    // Ports are claimed before the first await, so that no other shadow gets them meanwhile.
    this.#ledger.claim(entry, allocation);
    const seen = entry.object;
    const wasThere = entry.record !== null;
    await this.#rate.take();
    if (seen === null && !signal.aborted && (await this.#meetsObject(entry, signal))) return;
    if (signal.aborted) return;
    entry.isBeingWritten = true;
    entry.attempt = { digest: digestOf(render(desired, this.#options)), allocation };
    const written =
      seen === null
        ? await this.#writer.create(desired, signal)
        : await this.#writer.update(desired, seen, signal);
    if (signal.aborted) return;
    if (seen === null && wasThere) this.#reporter.recreated(entry, written);
    this.#finish(entry, allocation, written);
  }

  #finish(entry: LedgerEntry, allocation: Allocation, written: Written): void {
    this.#reporter.changed(entry, written.changed);
    const { shadow, digest, changed } = written;
    entry.settled = changed.length === 0 ? null : { want: digest, have: shadow.digest };
    entry.recordVersion = '';
    const newest = entry.object?.resourceVersion ?? '';
    // Somebody may have been faster than the answer.
    if (!isBefore(shadow.resourceVersion, newest)) this.#ledger.see(entry, shadow);
    this.#hold(entry, allocation, shadow);
    const isServed = isServedBy(this.#options.progressOfAll(), entry);
    if (entry.object !== shadow || (isServed && isWaiting(allocation)))
      this.#queue.soon(entry.name);
  }

  /** Nothing of that name may be overwritten that is not ours. True when there is an object, and so nothing to make. */
  async #meetsObject(entry: LedgerEntry, signal: AbortSignal): Promise<boolean> {
    const raw = await this.#writer.look(entry.name, signal);
    if (signal.aborted) return true;
    const found = raw === null ? null : read(raw);
    if (found === null) {
      this.#reporter.ours(entry);
      return false;
    }
    if (isOurs(raw, entry.service)) {
      this.#reporter.ours(entry);
      this.takeIn(entry, found);
      this.#queue.soon(entry.name);
    } else {
      this.#reporter.foreign(entry);
      this.#queue.after(entry.name, FOREIGN_RETRY_MS);
    }
    return true;
  }

  async #remove(entry: LedgerEntry, signal: AbortSignal): Promise<void> {
    const wasThere = entry.object !== null || entry.record !== null;
    if (entry.object !== null) {
      await this.#rate.take();
      if (signal.aborted) return;
      await this.#writer.delete(entry.object, signal);
      if (signal.aborted) return;
    }
    this.#queue.drop(entry.name);
    if (wasThere) this.#reporter.removed(entry);
    this.#ledger.see(entry, null);
    entry.record = null;
    entry.attempt = null;
    this.#ledger.claim(entry, null);
    if (!this.isWanted(entry)) {
      this.#queue.starved.delete(entry.name);
      this.#reporter.held(entry, [], this.#options.abilities);
      this.#reporter.starved(entry, []);
      this.#ledger.forget(entry);
    } else if (wasThere) {
      this.#queue.soon(entry.name);
    }
    if (wasThere) this.#queue.feedStarved();
  }

  /** This is decided now, and the object, where there is one, has held it since this version of it. */
  #hold(entry: LedgerEntry, allocation: Allocation, holder: Shadow | null): void {
    const before = entry.record;
    entry.record = allocation;
    entry.attempt = null;
    if (holder !== null) {
      if (holder.digest !== entry.recordDigest || entry.recordVersion === '') {
        entry.recordVersion = holder.resourceVersion;
        entry.waitSinceMs = null;
      }
      entry.recordDigest = holder.digest;
    }
    this.#ledger.claim(entry, null);
    this.#wait(entry);
    if (before !== null && before.retiredPorts.length > allocation.retiredPorts.length)
      this.#queue.feedStarved();
  }

  /** Notes when to look again, whatever happens. */
  #wait(entry: LedgerEntry): void {
    const { name, record } = entry;
    const times: number[] = [];
    if (record !== null && isWaiting(record)) {
      entry.waitSinceMs ??= this.#clock.nowMs();
      this.#queue.waiting.add(name);
      const lateAtMs = entry.waitSinceMs + this.#times.announceTimeoutMs;
      times.push(lateAtMs, lateAtMs + AGENTS_RETURN_MS);
    } else {
      entry.waitSinceMs = null;
      this.#queue.waiting.delete(name);
    }
    const endMs = this.#ledger.nextEndMs(entry);
    if (endMs !== null) times.push(endMs);
    this.#queue.at(name, times);
  }

  async #fail(entry: LedgerEntry, error: unknown, signal: AbortSignal): Promise<void> {
    entry.failures += 1;
    const api = error instanceof ApiError ? error : null;
    const askedMs = api?.retryAfterMs ?? 0;
    // A plain no: nothing was done.
    if (api !== null && api.status < 500) entry.attempt = null;
    if (isAddressLost(api, entry)) {
      // It went to somebody else: the name moves to a new one.
      entry.clusterIPs = [];
      this.#queue.soon(entry.name);
      return;
    }
    const isRace = isOvertaken(error);
    if (!isRace && entry.failures > QUIET_FAILURES)
      this.#reporter.failed(entry, MeshError.from(error).message);
    if (api?.isTooManyRequests === true) this.#rate.pause(askedMs);
    const delayMs = Math.max(askedMs, backoffMs(this.#options.random, RETRY, entry.failures));
    entry.retryAtMs = this.#clock.nowMs() + delayMs;
    this.#queue.after(entry.name, delayMs);
    if (isRace) await this.#refresh(entry, signal);
  }

  /** After a conflict: the watch will tell too, but perhaps later than the next try. */
  async #refresh(entry: LedgerEntry, signal: AbortSignal): Promise<void> {
    try {
      const raw = await this.#writer.look(entry.name, signal);
      if (signal.aborted) return;
      const found = raw === null ? null : read(raw);
      if (found === null) this.#ledger.see(entry, null);
      else if (isOurs(raw, entry.service)) this.takeIn(entry, found);
    } catch (error) {
      const { message } = MeshError.from(error);
      // The next try asks again.
      this.#options.log.debug('Cannot read a shadow Service', {
        name: entry.name,
        error: message,
      });
    }
  }

  /** Whether there is a Service for it. */
  isWanted({ service }: LedgerEntry): boolean {
    const { placer, requirements = requirementsOf } = this.#options;
    return isOfMesh(placer.services.get(service), requirements);
  }

  #wanted({ service, record }: LedgerEntry): WantedPorts {
    const { placer, abilities, requirements = requirementsOf } = this.#options;
    return wantedPorts(placer.services.get(service), record, {
      requirements,
      missing: (needs) => abilities.missing(needs),
    });
  }

  #desired(entry: LedgerEntry, allocation: Allocation): Desired {
    const present = entry.object?.families ?? [];
    const wanted = allocation.state === 'retired' ? present : this.#options.families(entry.service);
    const families = familiesFor(wanted, present);
    // An object that lost its address, or is made again, asks for the one that callers know.
    const isFit = families.length === 0 || families.join() === entry.families.join();
    const clusterIPs = present.length === 0 && isFit ? entry.clusterIPs : [];
    return {
      name: entry.name,
      allocation,
      families,
      clusterIPs: families.length === 0 ? clusterIPs.slice(0, 1) : clusterIPs,
    };
  }

  /** What the server makes of it was made already. */
  #isDone(desired: Desired, { settled, object }: LedgerEntry): boolean {
    if (object === null) return false;
    if (isRendered(desired, object, this.#options)) return true;
    if (settled === null || settled.have !== object.digest) return false;
    return settled.want === digestOf(render(desired, this.#options));
  }

  #isLate({ record, recordDigest, waitSinceMs, object }: LedgerEntry): boolean {
    if (record === null || waitSinceMs === null || !isWaiting(record)) return false;
    const isLate = this.#clock.nowMs() - waitSinceMs >= this.#patienceMs;
    return isLate && object?.digest === recordDigest;
  }

  /** The agents of a replica that just started are not late: they may be on their way to it. */
  get #patienceMs(): number {
    const isStarting = this.#options.progressOfAll().includes('');
    return this.#times.announceTimeoutMs + (isStarting ? AGENTS_RETURN_MS : 0);
  }
}

/** Whether what was refused, again and again, asked for the cluster IP that an object before had. */
function isAddressLost(
  error: ApiError | null,
  { object, clusterIPs, failures }: LedgerEntry,
): boolean {
  if (error?.status !== 422 || clusterIPs.length === 0 || failures < ADDRESS_TRIES) return false;
  return object === null || object.clusterIPs.length === 0;
}
