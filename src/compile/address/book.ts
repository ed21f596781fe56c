/**
 * Which Service has which address: a pure function of the set of Services, kept up to date change by change.
 *
 * Every Service has an order of preference: the address it claims (`spec.clusterIP`), then all addresses of the pool in
 * a sequence that the hash of its key gives. Every address prefers a Service that claims it, then the one whose key
 * sorts first. With the preferences of the addresses being one common order, exactly one assignment is stable (nobody
 * could swap to an address that prefers it), so any sequence of changes ends in the same one. Adding a Service
 * therefore moves another only when both want the same address, and it is the one whose key sorts later that moves.
 *
 *   occupant   address → who has it
 *   passed     address → who would have liked it more than what it has: the ones to ask when it falls vacant
 *   homeless   who found the pool full; always sorts after everybody that has an address from the pool
 */

import { hash32 } from '../../base/hash.ts';
import { contains, type Cidr, Pool } from './cidr.ts';

interface Assignment {
  readonly key: string;
  readonly claim: number | null;
  readonly start: number;
  readonly step: number;
  /** Position in its sequence of the address it has, or of the next to ask for. */
  tries: number;
  /** The address it has, or -1. */
  at: number;
  /** It has the address that it claims. */
  pinned: boolean;
}

export class AddressBook {
  readonly #pool: Pool;
  readonly #cidr: Cidr;
  readonly #entries = new Map<string, Assignment>();
  readonly #occupant = new Map<number, Assignment>();
  readonly #passed = new Map<number, Set<Assignment>>();
  readonly #homeless = new Set<Assignment>();
  readonly #claims = new Map<number, Set<Assignment>>();
  readonly #touched = new Set<string>();
  /** Addresses of the pool that nobody has. */
  #free: number;

  constructor(cidr: Cidr) {
    this.#cidr = cidr;
    this.#pool = new Pool(cidr);
    this.#free = this.#pool.size;
  }

  /** How many addresses there are to give. */
  get capacity(): number {
    return this.#pool.size;
  }

  /** Adds a Service or changes its claim; a claim outside the range counts as none. */
  set(key: string, claim: number | null): void {
    const within = claim !== null && contains(this.#cidr, claim) ? claim : null;
    const old = this.#entries.get(key);
    if (old !== undefined && old.claim === within) return;
    this.delete(key);
    const size = Math.max(1, this.#pool.size);
    const entry: Assignment = {
      key,
      claim: within,
      start: hash32(key) % size,
      step: coprimeStep(key, size),
      tries: 0,
      at: -1,
      pinned: false,
    };
    this.#entries.set(key, entry);
    this.#touched.add(key);
    if (within === null) this.#seat(entry);
    else this.#claim(entry, within);
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#touched.add(key);
    if (entry.claim !== null) this.#unclaim(entry, entry.claim);
    if (entry.pinned) this.#unpin(entry);
    else this.#unseat(entry);
  }

  /** The address of a Service, or null when the pool has none left for it. */
  addressOf(key: string): number | null {
    const at = this.#entries.get(key)?.at ?? -1;
    return at === -1 ? null : at;
  }

  /** Who has the address that this Service claims, when it is another one. */
  rivalOf(key: string): string | null {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.claim === null || entry.pinned) return null;
    return this.#occupant.get(entry.claim)?.key ?? null;
  }

  /** Keys whose address or rival may have changed since the last call, once each. */
  takeTouched(): string[] {
    const touched = [...this.#touched];
    this.#touched.clear();
    return touched;
  }

  #claim(entry: Assignment, address: number): void {
    const claimants = this.#claims.get(address) ?? new Set();
    this.#claims.set(address, claimants.add(entry));
    this.#touch(claimants);
    const holder = this.#occupant.get(address);
    if (holder?.pinned === true && holder.key < entry.key) {
      this.#seat(entry);
      return;
    }
    this.#sit(entry, address);
    entry.pinned = true;
    if (holder === undefined) return;
    holder.at = -1;
    holder.pinned = false;
    this.#seat(holder);
  }

  #unclaim(entry: Assignment, address: number): void {
    const claimants = this.#claims.get(address);
    claimants?.delete(entry);
    if (claimants?.size === 0) this.#claims.delete(address);
    else if (claimants !== undefined) this.#touch(claimants);
  }

  #unpin(entry: Assignment): void {
    const address = entry.at;
    this.#leave(entry);
    const heir = first(this.#claims.get(address));
    if (heir === null) {
      this.#fill(address);
      return;
    }
    this.#unseat(heir);
    // Leaving its own address may have let others move up, even to this one.
    const squatter = this.#occupant.get(address);
    this.#sit(heir, address);
    heir.pinned = true;
    if (squatter === undefined) return;
    squatter.at = -1;
    this.#seat(squatter);
  }

  /** Finds an address for an entry that has none, by its sequence, displacing who sorts later. */
  #seat(newcomer: Assignment): void {
    this.#forget(newcomer);
    if (this.#free === 0 && !this.#makeRoomFor(newcomer)) return;
    let entry = newcomer;
    for (;;) {
      const address = this.#probe(entry, entry.tries);
      const holder = this.#occupant.get(address);
      if (holder === undefined) {
        this.#sit(entry, address);
        return;
      }
      let loser = entry;
      if (!holder.pinned && entry.key < holder.key) {
        this.#sit(entry, address);
        holder.at = -1;
        loser = holder;
      }
      this.#pass(loser, address);
      entry = loser;
    }
  }

  /** Sends the last in order out of a full pool; false when that is the newcomer itself. */
  #makeRoomFor(newcomer: Assignment): boolean {
    let last = newcomer;
    for (const entry of this.#occupant.values()) {
      if (!entry.pinned && entry.key > last.key) last = entry;
    }
    // Nobody sorts after it, so nobody has passed its address and would move up.
    this.#leave(last);
    this.#forget(last);
    this.#homeless.add(last);
    this.#touched.add(last.key);
    return last !== newcomer;
  }

  #unseat(entry: Assignment): void {
    this.#homeless.delete(entry);
    const address = entry.at;
    this.#leave(entry);
    this.#forget(entry);
    if (address !== -1) this.#fill(address);
  }

  /** Gives a vacant address to who wants it, and the one that is free in the end to the first of the homeless. */
  #fill(address: number): void {
    this.#moveUp(address);
    const next = this.#free > 0 ? first(this.#homeless) : null;
    if (next === null) return;
    this.#homeless.delete(next);
    this.#seat(next);
  }

  /** Follows the chain of vacancies: the first in order of those who passed an address takes it and leaves its own. */
  #moveUp(vacant: number): void {
    let address = vacant;
    for (;;) {
      const next = first(this.#passed.get(address));
      if (next === null) return;
      const left = next.at;
      this.#leave(next);
      do {
        next.tries--;
        this.#unpass(next, this.#probe(next, next.tries));
      } while (this.#probe(next, next.tries) !== address);
      this.#sit(next, address);
      address = left;
    }
  }

  #sit(entry: Assignment, address: number): void {
    if (!this.#occupant.has(address) && this.#pool.has(address)) this.#free--;
    this.#occupant.set(address, entry);
    entry.at = address;
    this.#touched.add(entry.key);
  }

  #leave(entry: Assignment): void {
    entry.pinned = false;
    if (entry.at === -1) return;
    if (this.#pool.has(entry.at)) this.#free++;
    this.#occupant.delete(entry.at);
    entry.at = -1;
  }

  #pass(entry: Assignment, address: number): void {
    this.#passed.set(address, (this.#passed.get(address) ?? new Set()).add(entry));
    entry.tries++;
  }

  #unpass(entry: Assignment, address: number): void {
    const waiting = this.#passed.get(address);
    waiting?.delete(entry);
    if (waiting?.size === 0) this.#passed.delete(address);
  }

  #forget(entry: Assignment): void {
    while (entry.tries > 0) {
      entry.tries--;
      this.#unpass(entry, this.#probe(entry, entry.tries));
    }
  }

  #probe(entry: Assignment, index: number): number {
    return this.#pool.at((entry.start + index * entry.step) % this.#pool.size);
  }

  #touch(entries: Iterable<Assignment>): void {
    for (const entry of entries) this.#touched.add(entry.key);
  }
}

function first(entries: ReadonlySet<Assignment> | undefined): Assignment | null {
  let least: Assignment | null = null;
  for (const entry of entries ?? []) {
    if (least === null || entry.key < least.key) least = entry;
  }
  return least;
}

/** A step that visits every address before the first one again. */
function coprimeStep(key: string, size: number): number {
  let step = 1 + (hash32(key, 0x9747b28c) % size);
  while (greatestCommonDivisor(step, size) !== 1) step++;
  return step;
}

function greatestCommonDivisor(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}
