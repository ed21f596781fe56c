/**
 * The rate limit of a Service: a token bucket that is exact over all threads, as one number (GCRA, the generic cell rate
 * algorithm). The number is the time at which the bucket is full again, in nanoseconds of the clock; taking a token moves
 * it forward by the time one token takes to refill. A bucket of all zero bits is full, so a fresh slot needs no set-up.
 *
 * In any window of t ms at most `burst + average * t / periodMs` tokens are taken. The time per token is rounded up to a
 * whole nanosecond: the rate is never higher than asked, and below it by less than one part in 1,000 up to 10^6 tokens a second.
 */

import { mix32 } from '../../base/hash.ts';
import type { RateLimitPolicy } from '../../model/policy.ts';
import { CALLER_SET_BYTES, CALLER_WAYS } from '../ledger/caller-table.ts';
import type { Cells } from '../ledger/cells.ts';
import { SERVICE_TICK } from '../ledger/layout.ts';
import { lockSet, unlockSet } from '../ledger/set-lock.ts';

/** A rate limit in the units of the bucket; made once per update by `compileRate`. */
export interface Rate {
  /** Time that one token takes to refill, at least 1. */
  readonly tokenNs: bigint;
  /** Time that the whole bucket takes to refill. */
  readonly bucketNs: bigint;
}

/** Some 146 years: whatever is longer is as good as never, and sums of two stay inside 64 bits. */
const NEVER_NS = 1n << 62n;

/** An average of 0 or less refills as good as never. */
export function compileRate(policy: RateLimitPolicy): Rate {
  const perTokenNs = Math.ceil((policy.periodMs * 1e6) / policy.average);
  const tokenNs = perTokenNs >= 1 && perTokenNs < 1e18 ? BigInt(perTokenNs) : NEVER_NS;
  const bucketNs = tokenNs * BigInt(Math.max(1, Math.floor(Math.min(policy.burst, 1e12))));
  return { tokenNs, bucketNs: bucketNs < NEVER_NS ? bucketNs : NEVER_NS };
}

/** Takes one token from the bucket of a Service: 0 when allowed, else milliseconds until there is one (`Retry-After`). */
export function takeToken(cells: Cells, rate: Rate, nowMs: number): number {
  return takeFrom(cells.ticks, cells.t + SERVICE_TICK.rateLimit, rate, nowMs);
}

/** What `takeToken` would say, without taking one. */
export function peekToken(cells: Cells, rate: Rate, nowMs: number): number {
  return peekAt(cells.ticks, cells.t + SERVICE_TICK.rateLimit, rate, nowMs);
}

/** `takeToken` on any bucket. */
export function takeFrom(ticks: BigInt64Array, at: number, rate: Rate, nowMs: number): number {
  const now = nanoseconds(nowMs);
  let full = Atomics.load(ticks, at);
  for (;;) {
    const next = fullAfterToken(full, rate, now);
    const excess = next - now - rate.bucketNs;
    if (excess > 0n) return Number(excess) / 1e6;
    const seen = Atomics.compareExchange(ticks, at, full, next);
    if (seen === full) return 0;
    full = seen;
  }
}

function peekAt(ticks: BigInt64Array, at: number, rate: Rate, nowMs: number): number {
  const now = nanoseconds(nowMs);
  const excess = fullAfterToken(Atomics.load(ticks, at), rate, now) - now - rate.bucketNs;
  return excess > 0n ? Number(excess) / 1e6 : 0;
}

function nanoseconds(ms: number): bigint {
  return BigInt(Math.floor(ms * 1e6));
}

/** When a bucket that is full at `full` is full again once a token is taken now. */
function fullAfterToken(full: bigint, rate: Rate, now: bigint): bigint {
  return (full > now ? full : now) + rate.tokenNs;
}

/**
 * One bucket per caller in shared memory of fixed size, all zero at first: sets of eight, chosen by the caller's hash.
 *
 * A caller without a bucket takes over the one in its set that is closest to full, as it stands. A bucket that is full
 * again says nothing any more, so as long as fewer than eight callers of a set are below full, every caller gets exactly its
 * rate. With more, a newcomer inherits what its predecessor spent and the predecessor loses its own account: single callers
 * may then get more or less, but all of a set together never more than eight of them are due.
 *
 * Taking is lock-free. Only a caller without a bucket locks its set, so that two threads never make two buckets for it.
 */
export class CallerBuckets {
  readonly #ticks: BigInt64Array;
  readonly #keys: Int32Array;
  readonly #locks: Int32Array;
  readonly #setMask: number;

  /** `table` has the size that `callerTableBytes` says. */
  constructor(table: SharedArrayBuffer) {
    const sets = table.byteLength / CALLER_SET_BYTES;
    this.#setMask = sets - 1;
    this.#ticks = new BigInt64Array(table, 0, sets * CALLER_WAYS);
    this.#keys = new Int32Array(table, sets * CALLER_WAYS * 8, sets * CALLER_WAYS);
    this.#locks = new Int32Array(table, sets * CALLER_WAYS * 12, sets);
  }

  /** As `takeToken`, for the caller with this 32-bit hash; callers with the same hash share a bucket. */
  take(callerHash: number, rate: Rate, nowMs: number): number {
    const mixed = mix32(callerHash);
    const set = mixed & this.#setMask;
    const key = keyOf(mixed);
    for (;;) {
      let at = this.#find(set, key);
      if (at < 0) at = this.#claim(set, key);
      const waitMs = takeFrom(this.#ticks, at, rate, nowMs);
      // A bucket that changed hands meanwhile has the token on the wrong account: pay again.
      if (Atomics.load(this.#keys, at) === key) return waitMs;
    }
  }

  /** What `take` would say, without taking a token or a bucket. */
  peek(callerHash: number, rate: Rate, nowMs: number): number {
    const mixed = mix32(callerHash);
    const set = mixed & this.#setMask;
    const at = this.#find(set, keyOf(mixed));
    return peekAt(this.#ticks, at < 0 ? this.#fullest(set) : at, rate, nowMs);
  }

  #find(set: number, key: number): number {
    const first = set * CALLER_WAYS;
    for (let at = first; at < first + CALLER_WAYS; at++) {
      if (Atomics.load(this.#keys, at) === key) return at;
    }
    return -1;
  }

  #claim(set: number, key: number): number {
    lockSet(this.#locks, set);
    let at = this.#find(set, key);
    if (at < 0) {
      at = this.#fullest(set);
      Atomics.store(this.#keys, at, key);
    }
    unlockSet(this.#locks, set);
    return at;
  }

  /** The bucket of a set that is full, or will be first. */
  #fullest(set: number): number {
    let best = set * CALLER_WAYS;
    let bestTick = Atomics.load(this.#ticks, best);
    for (let at = best + 1; at < (set + 1) * CALLER_WAYS; at++) {
      const tick = Atomics.load(this.#ticks, at);
      if (tick < bestTick) {
        best = at;
        bestTick = tick;
      }
    }
    return best;
  }
}

/** 0 marks a bucket that nobody has had. */
function keyOf(mixedHash: number): number {
  return mixedHash === 0 ? 1 : mixedHash | 0;
}
