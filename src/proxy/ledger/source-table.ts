/**
 * Which endpoint a source address belongs to (`sessionAffinity: ClientIP`), for all threads of the node: shared memory of a
 * fixed size, all zero at first, in sets of eight entries. A new source takes over the entry of its set that has been quiet
 * for longest, so with more sources than entries the quietest one is balanced anew. Sources and endpoints are 32-bit hashes:
 * two sources with one hash share an endpoint.
 */

import { mix32 } from '../../base/hash.ts';
import { lockCell, unlockCell } from './cell-lock.ts';

/** Sources of one Service, over all its ports, that are remembered at a time. */
export const SOURCES_MAX = 8_192;
const WAYS = 8;
const SETS = SOURCES_MAX / WAYS;
/** Words of an entry: key, endpoint, time. */
const ENTRY_WORDS = 3;
export const SOURCE_TABLE_BYTES = (SOURCES_MAX * ENTRY_WORDS + SETS) * 4;

export class SourceTable {
  /** 0: nobody has had the entry. */
  readonly #keys: Int32Array;
  /** Endpoint tokens. */
  readonly #tokens: Int32Array;
  /** When a request came last, in seconds of the clock. */
  readonly #seen: Int32Array;
  readonly #locks: Int32Array;

  constructor(table: SharedArrayBuffer) {
    const bytes = SOURCES_MAX * 4;
    this.#keys = new Int32Array(table, 0, SOURCES_MAX);
    this.#tokens = new Int32Array(table, bytes, SOURCES_MAX);
    this.#seen = new Int32Array(table, 2 * bytes, SOURCES_MAX);
    this.#locks = new Int32Array(table, 3 * bytes, SETS);
  }

  /** The token of the endpoint that the source belongs to, 0 for none; counts as a request of the source. */
  find(source: number, timeoutMs: number, nowMs: number): number {
    const at = this.#find(source);
    if (at < 0) return 0;
    const now = seconds(nowMs);
    if (this.#isOver(at, timeoutMs, now)) return 0;
    Atomics.store(this.#seen, at, now);
    return Atomics.load(this.#tokens, at);
  }

  /** What `find` would say, without being a request. */
  peek(source: number, timeoutMs: number, nowMs: number): number {
    const at = this.#find(source);
    return at < 0 || this.#isOver(at, timeoutMs, seconds(nowMs))
      ? 0
      : Atomics.load(this.#tokens, at);
  }

  /**
   * Gives the source to the endpoint `token`, unless another thread gave it to one meanwhile: then the answer is that one.
   * `before` is what `find` said.
   */
  claim(source: number, before: number, token: number, claimed: SourceClaim): number {
    const set = setOf(source);
    const now = seconds(claimed.nowMs);
    lockCell(this.#locks, set);
    let at = this.#find(source);
    let winner = token;
    if (at >= 0 && !this.#isOver(at, claimed.timeoutMs, now)) {
      const current = Atomics.load(this.#tokens, at);
      if (current !== before) winner = current;
    } else if (at < 0) at = this.#quietest(set, now);
    Atomics.store(this.#tokens, at, winner);
    Atomics.store(this.#seen, at, now);
    Atomics.store(this.#keys, at, source);
    unlockCell(this.#locks, set);
    return winner;
  }

  #find(source: number): number {
    const first = setOf(source) * WAYS;
    for (let at = first; at < first + WAYS; at++) {
      if (Atomics.load(this.#keys, at) === source) return at;
    }
    return -1;
  }

  #isOver(at: number, timeoutMs: number, now: number): boolean {
    return now - Atomics.load(this.#seen, at) > timeoutMs / 1_000;
  }

  #quietest(set: number, now: number): number {
    let best = set * WAYS;
    let bestAge = -1;
    for (let at = best; at < (set + 1) * WAYS; at++) {
      if (Atomics.load(this.#keys, at) === 0) return at;
      const age = now - Atomics.load(this.#seen, at);
      if (age > bestAge) {
        best = at;
        bestAge = age;
      }
    }
    return best;
  }
}

export interface SourceClaim {
  readonly timeoutMs: number;
  readonly nowMs: number;
}

/** The key of a source at one backend: ports of a Service have endpoints of their own. */
export function sourceKey(addressHash: number, backendHash: number): number {
  const key = mix32(addressHash ^ Math.imul(backendHash, 0x9e3779b1)) | 0;
  return key === 0 ? 1 : key;
}

function setOf(source: number): number {
  return (source >>> 0) % SETS;
}

function seconds(ms: number): number {
  return Math.floor(ms / 1_000) | 0;
}
