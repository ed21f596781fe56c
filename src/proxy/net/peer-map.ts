/**
 * Values by peer, looked up without making anything. Callers choose their addresses and ports, and so could fill one chain of a
 * known hash. This one is drawn at random: any two peers meet in a chain with a probability of one to the number of chains, whatever
 * a caller knows or sends (multiplication of 16-bit halves by random words, of which the upper bits count: Dietzfelbinger 1996).
 */

import type { Random } from '../../base/random.ts';
import type { Peer } from './peer.ts';

const CHAINS_MIN = 64;
/** Of 32 bits of a sum of 16-bit halves, the upper 17 are random. */
const CHAINS_MAX = 131_072;
const WORDS = 10;
const WORD_VALUES = 2 ** 32;

interface Entry<T> {
  readonly peer: Peer;
  readonly hash: number;
  value: T;
  next: Entry<T> | null;
}

export class PeerMap<T> {
  /** Two per word, and one on its own. */
  readonly #keys: Int32Array;
  #chains: (Entry<T> | null)[] = emptyChains(CHAINS_MIN);
  /** Bits of a hash beyond the number of its chain. */
  #shift = 32 - Math.log2(CHAINS_MIN);
  #size = 0;

  constructor(random: Random) {
    const draw = (): number => Math.floor(random.next() * WORD_VALUES) | 0;
    this.#keys = Int32Array.from({ length: 2 * WORDS + 1 }, draw);
  }

  get size(): number {
    return this.#size;
  }

  /** For tests: what the slowest look-up costs. */
  get longestChain(): number {
    return this.#chains.reduce((longest, first) => {
      let length = 0;
      for (let entry = first; entry !== null; entry = entry.next) length++;
      return Math.max(longest, length);
    }, 0);
  }

  get(peer: Peer): T | undefined {
    const hash = this.#hash(peer);
    let entry = this.#chains[hash >>> this.#shift];
    while (entry && !(entry.hash === hash && entry.peer.equals(peer))) entry = entry.next;
    return entry?.value;
  }

  /** `peer` is one that was kept. */
  set(peer: Peer, value: T): void {
    const hash = this.#hash(peer);
    const chain = hash >>> this.#shift;
    const first = this.#chains[chain] ?? null;
    for (let entry = first; entry !== null; entry = entry.next)
      if (entry.hash === hash && entry.peer.equals(peer)) {
        entry.value = value;
        return;
      }
    this.#chains[chain] = { peer, hash, value, next: first };
    this.#size++;
    if (this.#size > this.#chains.length && this.#chains.length < CHAINS_MAX) this.#grow();
  }

  delete(peer: Peer): boolean {
    const hash = this.#hash(peer);
    const chain = hash >>> this.#shift;
    let before: Entry<T> | null = null;
    for (let entry = this.#chains[chain] ?? null; entry !== null; entry = entry.next) {
      if (entry.hash === hash && entry.peer.equals(peer)) {
        if (before === null) this.#chains[chain] = entry.next;
        else before.next = entry.next;
        this.#size--;
        return true;
      }
      before = entry;
    }
    return false;
  }

  #grow(): void {
    const chains = emptyChains<Entry<T>>(this.#chains.length * 2);
    this.#shift--;
    for (const first of this.#chains)
      for (let entry = first; entry !== null;) {
        const { next } = entry;
        const chain = entry.hash >>> this.#shift;
        entry.next = chains[chain] ?? null;
        chains[chain] = entry;
        entry = next;
      }
    this.#chains = chains;
  }

  #hash(peer: Peer): number {
    return (
      ((this.#keys[2 * WORDS] as number) +
        this.#part(0, peer.address3) +
        this.#part(2, peer.port) +
        this.#part(4, peer.local3) +
        this.#part(6, peer.address0) +
        this.#part(8, peer.address1) +
        this.#part(10, peer.address2) +
        this.#part(12, peer.scope) +
        this.#part(14, peer.local0) +
        this.#part(16, peer.local1) +
        this.#part(18, peer.local2)) |
      0
    );
  }

  #part(key: number, word: number): number {
    const keys = this.#keys;
    return (
      (Math.imul(keys[key] as number, word & 0xffff) +
        Math.imul(keys[key + 1] as number, word >>> 16)) |
      0
    );
  }
}

function emptyChains<T>(length: number): (T | null)[] {
  return Array.from({ length }, () => null);
}
