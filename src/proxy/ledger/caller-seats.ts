/**
 * How many connections each source address has to each Service that limits them, on all threads of the node: shared memory of a fixed
 * size, all zero at first, in sets of eight entries. An entry is of whoever has a connection there; each thread has a count of its own
 * in it. Where a set has no entry left, a caller is let in and not counted: so many at once are a matter of other limits.
 */

import { mix32 } from '../../base/hash.ts';
import { lockCell, unlockCell } from './cell-lock.ts';

const WAYS = 8;
const SETS = 8_192;
const ENTRIES = WAYS * SETS;

/** What `take` says of one who may not come in. */
export const NO_SEAT = -1;
/** Of one who is not counted. */
const UNCOUNTED = 0;

export function callerSeatsBytes(threads: number): number {
  return (ENTRIES * (1 + threads) + SETS) * Int32Array.BYTES_PER_ELEMENT;
}

export class CallerSeats {
  readonly #thread: number;
  readonly #threads: number;
  /** 0: nobody has had it. */
  readonly #keys: Int32Array;
  readonly #locks: Int32Array;
  /** Those of each thread, one after the other. */
  readonly #counts: Int32Array;

  /** `memory` has `callerSeatsBytes`. */
  constructor(memory: SharedArrayBuffer, thread: number, threads: number) {
    this.#thread = thread;
    this.#threads = threads;
    const bytes = Int32Array.BYTES_PER_ELEMENT;
    this.#keys = new Int32Array(memory, 0, ENTRIES);
    this.#locks = new Int32Array(memory, ENTRIES * bytes, SETS);
    this.#counts = new Int32Array(memory, (ENTRIES + SETS) * bytes, ENTRIES * threads);
  }

  /** Where one more connection of this source is counted, for `leave`; NO_SEAT where it already has `max`. */
  take(sourceHash: number, slot: number, max: number): number {
    const key = keyOf(sourceHash, slot);
    const set = (key >>> 0) % SETS;
    lockCell(this.#locks, set);
    const seat = this.#takeIn(set, key, max);
    unlockCell(this.#locks, set);
    return seat;
  }

  #takeIn(set: number, key: number, max: number): number {
    let free = -1;
    const first = set * WAYS;
    for (let at = first; at < first + WAYS; at++) {
      const count = this.#countAt(at);
      // Of one who has left.
      if (count === 0) free = at;
      else if (Atomics.load(this.#keys, at) === key)
        return count < max ? this.#sit(at, key) : NO_SEAT;
    }
    return free < 0 ? UNCOUNTED : this.#sit(free, key);
  }

  #sit(at: number, key: number): number {
    Atomics.store(this.#keys, at, key);
    Atomics.add(this.#counts, this.#own(at), 1);
    return at + 1;
  }

  /** The connection is over; `seat` is what `take` said. */
  leave(seat: number): void {
    if (seat > UNCOUNTED) Atomics.sub(this.#counts, this.#own(seat - 1), 1);
  }

  /** What a thread had that has died is over. */
  forget(thread: number): void {
    this.#counts.fill(0, thread * ENTRIES, (thread + 1) * ENTRIES);
  }

  #own(at: number): number {
    return this.#thread * ENTRIES + at;
  }

  #countAt(at: number): number {
    let sum = 0;
    for (let thread = 0; thread < this.#threads; thread++)
      sum += Atomics.load(this.#counts, thread * ENTRIES + at);
    return sum;
  }
}

function keyOf(sourceHash: number, slot: number): number {
  return mix32(sourceHash ^ Math.imul(slot + 1, 0x9e3779b1)) | 0;
}
