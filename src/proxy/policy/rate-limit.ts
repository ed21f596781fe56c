/**
 * Rate limits: token buckets that are exact over all threads, each as one number (GCRA, the generic cell rate algorithm) with a
 * lock. The number is the time at which the bucket is full again, in nanoseconds of the clock; taking a token moves it forward
 * by the time one token takes to refill. A bucket of all zero bits is full, so a fresh slot needs no set-up.
 *
 * In any window of t ms at most `burst + average * t / periodMs` tokens are taken. The time per token is rounded up to a
 * whole unit: the rate is never higher than asked, and below it by less than one part in 1,000 up to 10^5 tokens a second.
 */

import { mix32 } from '../../base/hash.ts';
import type { RateLimitPolicy } from '../../model/policy.ts';
import { CALLER_SET_BYTES, CALLER_WAYS } from '../ledger/caller-table.ts';
import { lockCell, unlockCell } from '../ledger/cell-lock.ts';
import type { Cells } from '../ledger/cells.ts';
import { ROUTE_FLOAT, ROUTE_WORD, SERVICE_FLOAT, SERVICE_WORD } from '../ledger/layout.ts';

/** A rate limit in the units of the bucket; made once per update by `compileRate`. All times are whole units. */
export interface Rate {
  /** Time that one token takes to refill. */
  readonly tokenNs: number;
  /** Time that the whole bucket takes to refill. */
  readonly bucketNs: number;
  /** A power of two, long enough that all sums of times are exact. */
  readonly unitNs: number;
}

/** Some 36 years: whatever is longer is as good as never. */
const NEVER_NS = 2 ** 60;
/** The clock, which begins with the machine, stays exact in this unit for more than two years. */
const SHORT_UNIT_NS = 8;
/** What a bucket may take in units, to leave room for the time of the clock. */
const BUCKET_BITS = 50;
/** Threads read the clock at most so far apart, unless one was held back: a bucket that lacks more was left by a slower rate. */
const SKEW_NS = 1e9;

/** An average of 0 or less refills as good as never. */
export function compileRate(policy: RateLimitPolicy): Rate {
  const perTokenNs = (policy.periodMs * 1e6) / policy.average;
  const burst = Math.max(1, Math.floor(Math.min(policy.burst, 1e12)));
  const atLeastNs = perTokenNs > 0 && perTokenNs < NEVER_NS ? perTokenNs : NEVER_NS;
  const bits = Math.ceil(Math.log2(Math.min(atLeastNs * burst, NEVER_NS))) - BUCKET_BITS;
  const unitNs = Math.max(SHORT_UNIT_NS, 2 ** bits);
  const tokenNs = Math.ceil(atLeastNs / unitNs) * unitNs;
  return { tokenNs, bucketNs: Math.min(tokenNs * burst, NEVER_NS), unitNs };
}

/** One bucket in shared memory. */
export interface Bucket {
  readonly fulls: Float64Array;
  readonly at: number;
  readonly locks: Int32Array;
  readonly lockAt: number;
}

export function bucketOfService({ floats, f, words, w }: Cells): Bucket {
  const at = f + SERVICE_FLOAT.bucketFullNs;
  return { fulls: floats, at, locks: words, lockAt: w + SERVICE_WORD.bucketLock };
}

export function bucketOfRoute({ floats, f, words, w }: Cells): Bucket {
  const at = f + ROUTE_FLOAT.bucketFullNs;
  return { fulls: floats, at, locks: words, lockAt: w + ROUTE_WORD.bucketLock };
}

/** The limit of a Service or route: one bucket, or one for each caller. */
export class RateLimiter {
  readonly policy: RateLimitPolicy;
  readonly #rate: Rate;
  readonly #bucket: Bucket;
  readonly #callers: CallerBuckets | null;

  /** `callers` is the memory of their buckets, null for one bucket. */
  constructor(policy: RateLimitPolicy, bucket: Bucket, callers: SharedArrayBuffer | null) {
    this.policy = policy;
    this.#rate = compileRate(policy);
    this.#bucket = bucket;
    this.#callers = callers === null ? null : new CallerBuckets(callers);
  }

  /** Takes a token: 0 when there was one, else milliseconds until there is one (`Retry-After`). */
  take(callerHash: number, nowMs: number): number {
    if (this.#callers !== null) return this.#callers.take(callerHash, this.#rate, nowMs);
    const { fulls, at, locks, lockAt } = this.#bucket;
    lockCell(locks, lockAt);
    const waitMs = takeAt(fulls, at, this.#rate, nowMs);
    unlockCell(locks, lockAt);
    return waitMs;
  }

  /** What `take` would say, without taking one. */
  peek(callerHash: number, nowMs: number): number {
    if (this.#callers !== null) return this.#callers.peek(callerHash, this.#rate, nowMs);
    const { fulls, at } = this.#bucket;
    return waitMsOf(fulls[at] as number, this.#rate, nanoseconds(nowMs, this.#rate));
  }
}

/** Takes a token from the bucket whose number is `fulls[at]`. Its lock is held. */
function takeAt(fulls: Float64Array, at: number, rate: Rate, nowMs: number): number {
  const now = nanoseconds(nowMs, rate);
  const full = fulls[at] as number;
  const waitMs = waitMsOf(full, rate, now);
  if (waitMs === 0) fulls[at] = (full > now ? full : now) + rate.tokenNs;
  // From now on it counts as emptied by this rate.
  else if (isLeftOver(full, rate, now)) fulls[at] = now + rate.bucketNs;
  return waitMs;
}

/** How long a bucket that is full at `full` has no token, in milliseconds. */
function waitMsOf(full: number, rate: Rate, now: number): number {
  if (isLeftOver(full, rate, now)) return rate.tokenNs / 1e6;
  const excess = full - now + rate.tokenNs - rate.bucketNs;
  return excess > 0 ? excess / 1e6 : 0;
}

/** Nobody waits for the refill of a rate that does not hold any more. */
function isLeftOver(full: number, rate: Rate, now: number): boolean {
  return full - now > rate.bucketNs + SKEW_NS;
}

function nanoseconds(ms: number, { unitNs }: Rate): number {
  return Math.floor((ms * 1e6) / unitNs) * unitNs;
}

/**
 * One bucket per caller in shared memory of fixed size, all zero at first: sets of eight, chosen by the caller's hash, each with
 * a lock.
 *
 * A caller without a bucket takes over the one in its set that is closest to full, as it stands. A bucket that is full
 * again says nothing any more, so as long as fewer than eight callers of a set are below full, every caller gets exactly its
 * rate. With more, a newcomer inherits what its predecessor spent and the predecessor loses its own account: single callers
 * may then get more or less, but all of a set together never more than eight of them are due.
 */
export class CallerBuckets {
  readonly #fulls: Float64Array;
  readonly #keys: Int32Array;
  readonly #locks: Int32Array;
  readonly #setMask: number;

  /** `table` has the size that `callerTableBytes` says. */
  constructor(table: SharedArrayBuffer) {
    const sets = table.byteLength / CALLER_SET_BYTES;
    this.#setMask = sets - 1;
    this.#fulls = new Float64Array(table, 0, sets * CALLER_WAYS);
    this.#keys = new Int32Array(table, sets * CALLER_WAYS * 8, sets * CALLER_WAYS);
    this.#locks = new Int32Array(table, sets * CALLER_WAYS * 12, sets);
  }

  /** As `RateLimiter.take`, for the caller with this 32-bit hash; callers with the same hash share a bucket. */
  take(callerHash: number, rate: Rate, nowMs: number): number {
    const mixed = mix32(callerHash);
    const set = mixed & this.#setMask;
    const key = keyOf(mixed);
    lockCell(this.#locks, set);
    let at = this.#find(set, key);
    if (at < 0) {
      at = this.#fullest(set);
      this.#keys[at] = key;
    }
    const waitMs = takeAt(this.#fulls, at, rate, nowMs);
    unlockCell(this.#locks, set);
    return waitMs;
  }

  /** What `take` would say, without taking a token or a bucket. */
  peek(callerHash: number, rate: Rate, nowMs: number): number {
    const mixed = mix32(callerHash);
    const set = mixed & this.#setMask;
    const known = this.#find(set, keyOf(mixed));
    const at = known < 0 ? this.#fullest(set) : known;
    return waitMsOf(this.#fulls[at] as number, rate, nanoseconds(nowMs, rate));
  }

  #find(set: number, key: number): number {
    const first = set * CALLER_WAYS;
    for (let at = first; at < first + CALLER_WAYS; at++) if (this.#keys[at] === key) return at;
    return -1;
  }

  /** The bucket of a set that is full, or will be first. */
  #fullest(set: number): number {
    let best = set * CALLER_WAYS;
    for (let at = best + 1; at < (set + 1) * CALLER_WAYS; at++) {
      if ((this.#fulls[at] as number) < (this.#fulls[best] as number)) best = at;
    }
    return best;
  }
}

/** 0 marks a bucket that nobody has had. */
function keyOf(mixedHash: number): number {
  return mixedHash === 0 ? 1 : mixedHash | 0;
}
