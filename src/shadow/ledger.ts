/** What a replica knows of each shadow: the object, what was decided last, and who has which proxy port by that. */

import type { Quarantine } from './quarantine.ts';
import { retirements } from './decide.ts';
import { claimsOf, PortPool } from './ports.ts';
import type { Claim, PortRange } from './ports.ts';
import { includes } from './progress.ts';
import type { Allocation, Damaged, IpFamily, Shadow } from './shadow.ts';

export interface LedgerEntry {
  readonly name: string;
  /** `namespace/name`; '' while only a damaged object is known. */
  service: string;
  /** The object as seen or written last; null when there is none. */
  object: Shadow | null;
  /** Why the object cannot be understood whole. */
  damaged: Damaged | null;
  /** What was written last, and must hold; outlives an object that somebody deleted. */
  record: Allocation | null;
  /** Resource version of the object since which it holds the record without a gap: agents that saw it listen. */
  recordVersion: string;
  /** Digest of the object that holds the record. */
  recordDigest: string;
  /** What was sent and not answered: it may have been done. */
  attempt: { readonly digest: string; readonly allocation: Allocation } | null;
  /** What the server makes of what is asked, when that is something else: not to be asked again and again. */
  settled: { readonly want: string; readonly have: string } | null;
  /** Of the last object that had some. */
  clusterIPs: readonly string[];
  families: readonly IpFamily[];
  createdAt: string;
  /** Since when agents are waited for, monotonic; null when they are not. */
  waitSinceMs: number | null;
  failures: number;
  /** Nothing is tried before, monotonic. */
  retryAtMs: number;
  /** A write is under way: what is seen now may be what the server made of it. */
  isBeingWritten: boolean;
}

export class ShadowLedger {
  readonly pool: PortPool;
  readonly #quarantine: Quarantine;
  readonly #entries = new Map<string, LedgerEntry>();
  readonly #ghosts = new Set<string>();

  constructor(range: PortRange, quarantine: Quarantine) {
    this.pool = new PortPool(range);
    this.#quarantine = quarantine;
  }

  get(name: string): LedgerEntry | undefined {
    return this.#entries.get(name);
  }

  all(): Iterable<LedgerEntry> {
    return this.#entries.values();
  }

  ensure(name: string): LedgerEntry {
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry: LedgerEntry = {
      name,
      service: '',
      object: null,
      damaged: null,
      record: null,
      recordVersion: '',
      recordDigest: '',
      attempt: null,
      settled: null,
      clusterIPs: [],
      families: [],
      createdAt: '',
      waitSinceMs: null,
      failures: 0,
      retryAtMs: 0,
      isBeingWritten: false,
    };
    this.#entries.set(name, entry);
    return entry;
  }

  /** Takes in what an object is now, whoever wrote it. */
  see(entry: LedgerEntry, value: Shadow | Damaged | null): void {
    const object = value?.kind === 'damaged' ? value.salvage : value;
    const before = entry.object;
    entry.object = object;
    entry.damaged = value?.kind === 'damaged' ? value : null;
    if (object === null) {
      this.#ghosts.add(entry.name);
      return;
    }
    this.#ghosts.delete(entry.name);
    if (object.service !== '') entry.service = object.service;
    if (object.createdAt !== '') entry.createdAt = object.createdAt;
    if (object.clusterIPs.length > 0) {
      entry.clusterIPs = object.clusterIPs;
      entry.families = object.families;
    }
    if (object.digest !== entry.recordDigest || heldBefore(before, object, entry)) return;
    // What agents saw before the gap they may have forgotten in it: all of them are waited for anew.
    entry.recordVersion = object.resourceVersion;
    entry.waitSinceMs = null;
  }

  /** Makes the object the truth: what is read at the start, and what a follower sees others write. */
  adopt(entry: LedgerEntry): void {
    const { object } = entry;
    entry.attempt = null;
    if (object === null) {
      this.claim(entry, null);
      return;
    }
    // Of a damaged object the last good state counts, where it is known.
    if (entry.damaged === null || entry.record === null) entry.record = allocationOf(object);
    entry.recordVersion = object.resourceVersion;
    entry.recordDigest = object.digest;
    this.claim(entry, null);
  }

  /** Claims the ports of the record, and of what is about to be written. */
  claim(entry: LedgerEntry, next: Allocation | null): void {
    const claims: Claim[] = [];
    for (const allocation of [next, entry.attempt?.allocation, entry.record]) {
      if (allocation === null || allocation === undefined) continue;
      for (const claim of claimsOf(entry.name, allocation, entry.createdAt)) {
        const isClaimed = claims.some(
          ({ port, proxyPort }) => port === claim.port && proxyPort === claim.proxyPort,
        );
        if (!isClaimed) claims.push(claim);
      }
    }
    this.pool.assign(entry.name, namespaceOf(entry.service), claims);
  }

  /** When the next quarantine in the record ends, monotonic; null when there is none. */
  nextEndMs(entry: LedgerEntry): number | null {
    const times = entry.record === null ? [] : retirements(entry.record);
    if (times.length === 0) return null;
    return Math.min(...times.map((time) => this.#quarantine.overAtMs(time)));
  }

  forget(entry: LedgerEntry): void {
    this.pool.assign(entry.name, namespaceOf(entry.service), []);
    this.#entries.delete(entry.name);
    this.#ghosts.delete(entry.name);
  }

  /** Forgets those without an object whose ports anybody may have by now; for replicas that do not decide. */
  forgetGhosts(isWanted: (entry: LedgerEntry) => boolean): void {
    for (const name of this.#ghosts) {
      const entry = this.#entries.get(name);
      if (entry === undefined) this.#ghosts.delete(name);
      else if (!isWanted(entry) && this.#isOver(entry)) this.forget(entry);
    }
  }

  #isOver({ record, object }: LedgerEntry): boolean {
    if (object !== null) return false;
    if (record === null) return true;
    const isRetired = record.state === 'retired';
    return isRetired && retirements(record).every((time) => this.#quarantine.isOver(time));
  }
}

function heldBefore(before: Shadow | null, now: Shadow, { recordDigest }: LedgerEntry): boolean {
  return before !== null && before.uid === now.uid && before.digest === recordDigest;
}

/** '' of a shadow whose Service nobody knows. */
export function namespaceOf(service: string): string {
  return service.slice(0, Math.max(service.indexOf('/'), 0));
}

export function allocationOf(shadow: Shadow): Allocation {
  const { service, state, retiredAt, ports, announcedPorts, retiredPorts } = shadow;
  return { service, state, retiredAt, ports, announcedPorts, retiredPorts };
}

/** Whether all agents of all replicas serve what the object said when it first held the record. */
export function isServedBy(progress: readonly string[], entry: LedgerEntry): boolean {
  const { object, recordVersion, recordDigest } = entry;
  if (object === null || object.digest !== recordDigest || recordVersion === '') return false;
  return progress.length > 0 && progress.every((reached) => includes(reached, recordVersion));
}
