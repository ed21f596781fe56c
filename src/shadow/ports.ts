/** Who has which proxy port. One port leads to one Service, whatever people write into shadow Services by hand. */

import { compareText } from '../base/compare.ts';
import { hash32 } from '../base/hash.ts';
import type { Allocation, ShadowPort } from './shadow.ts';
import { portId } from './names.ts';

/** Who keeps a port that two claim: whoever has more to lose. */
export type ClaimRank = 'published' | 'open' | 'announced' | 'leaving';

const RANKS: readonly ClaimRank[] = ['published', 'open', 'announced', 'leaving'];

export interface Claim {
  /** Whose it is: name of the shadow Service. */
  readonly owner: string;
  /** `80/TCP`. */
  readonly port: string;
  readonly proxyPort: number;
  readonly rank: ClaimRank;
  /** RFC 3339: of two with the same rank, the older shadow keeps the port. */
  readonly createdAt: string;
}

/** All claims by port. The winner of each depends on the claims alone, so that all replicas find the same one. */
export class Claims {
  readonly #byPort = new Map<number, readonly Claim[]>();
  readonly #byOwner = new Map<string, readonly Claim[]>();

  /** Ports that somebody claims. */
  get size(): number {
    return this.#byPort.size;
  }

  /** Replaces all claims of an owner; returns the other owners that it meets or met on a port. */
  set(owner: string, claims: readonly Claim[]): ReadonlySet<string> {
    const others = new Set<string>();
    const before = this.claimsBy(owner);
    for (const { proxyPort } of before) {
      const rest = this.of(proxyPort).filter((claim) => claim.owner !== owner);
      if (rest.length === 0) this.#byPort.delete(proxyPort);
      else this.#byPort.set(proxyPort, rest);
      for (const claim of rest) others.add(claim.owner);
    }
    for (const claim of claims) {
      const all = [...this.of(claim.proxyPort), claim].sort(compareClaims);
      this.#byPort.set(claim.proxyPort, all);
      for (const other of all) if (other.owner !== owner) others.add(other.owner);
    }
    if (claims.length === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, claims);
    return others;
  }

  claimsBy(owner: string): readonly Claim[] {
    return this.#byOwner.get(owner) ?? [];
  }

  of(proxyPort: number): readonly Claim[] {
    return this.#byPort.get(proxyPort) ?? [];
  }

  /** Whether this port of this owner is the one that the proxy port leads to. */
  holds(owner: string, port: ShadowPort): boolean {
    const winner = this.#byPort.get(port.proxyPort)?.[0];
    return winner !== undefined && winner.owner === owner && winner.port === portId(port);
  }
}

/** The claims that an allocation makes; those in quarantine are claims like any other. */
export function claimsOf(owner: string, allocation: Allocation, createdAt: string): Claim[] {
  const claim = (port: ShadowPort, rank: ClaimRank): Claim => ({
    owner,
    port: portId(port),
    proxyPort: port.proxyPort,
    rank,
    createdAt,
  });
  const open = allocation.state === 'published' ? 'published' : 'open';
  return [
    ...allocation.ports.map((port) =>
      claim(port, allocation.state === 'retired' ? 'leaving' : open),
    ),
    ...allocation.announcedPorts.map((port) => claim(port, 'announced')),
    ...allocation.retiredPorts.map((port) => claim(port, 'leaving')),
  ];
}

export interface PortRange {
  /** First and last port that may be given out, 1 to 65,535. */
  readonly from: number;
  readonly to: number;
}

/** Why there is no port. */
export type Shortage =
  /** All ports of the range are claimed. */
  | 'range'
  /** The namespace has as many as it may have while so few are free. */
  | 'namespace';

/**
 * What a namespace may take of what is free. An eighth of the range is a reserve. Beyond it a namespace gets a port as long as
 * it has fewer than three times as many as are free there: one alone has up to two thirds of the range, a second one up to
 * three quarters of the rest. Of the reserve it gets some only while it has less than a 64th of what is left of it, so that one
 * with few Services finds a port however many others want all. It is a rule for new ports only: what a Service has, it keeps.
 */
const RESERVE_PART = 8;
const SHARE = 3;
const RESERVE_SHARE = 64;

interface Holding {
  readonly namespace: string;
  readonly count: number;
}

/** The proxy ports of a cluster, as far as its shadow Services say who has them. */
export class PortPool extends Claims {
  readonly #range: PortRange;
  /** Ports of the range, by owner. */
  readonly #holdings = new Map<string, Holding>();
  /** The sum of these, by namespace. */
  readonly #held = new Map<string, number>();
  /** Ports of the range that somebody claims. */
  #used = 0;

  constructor(range: PortRange) {
    super();
    this.#range = range;
  }

  /** As `set()`, for a Service of that namespace. */
  assign(owner: string, namespace: string, claims: readonly Claim[]): ReadonlySet<string> {
    const ports = new Set(claims.map(({ proxyPort }) => proxyPort).filter((p) => this.includes(p)));
    const before = this.#holdings.get(owner);
    if (before !== undefined) this.#hold(before.namespace, -before.count);
    if (ports.size === 0) this.#holdings.delete(owner);
    else this.#holdings.set(owner, { namespace, count: ports.size });
    this.#hold(namespace, ports.size);
    const touched = new Set([...this.#portsOf(owner), ...ports]);
    const usedBefore = this.#countUsed(touched);
    const others = this.set(owner, claims);
    this.#used += this.#countUsed(touched) - usedBefore;
    return others;
  }

  /**
   * A port that nobody else claims, or why there is none. The search starts at a place that the Service and its port give,
   * so that what was lost mostly gets the same one again. `taken` are ports that the caller is about to claim.
   */
  choose(
    { owner, namespace, port }: { owner: string; namespace: string; port: string },
    taken: ReadonlySet<number>,
  ): number | Shortage {
    const { from, to } = this.#range;
    const count = to - from + 1;
    const fresh = this.#countFree(taken);
    const free = count - this.#used - fresh;
    const held = (this.#held.get(namespace) ?? 0) + fresh;
    const isShare =
      held < SHARE * (free - Math.floor(count / RESERVE_PART)) || held * RESERVE_SHARE < free;
    if (free <= 0) return this.#ownFor(owner, port, taken) ?? 'range';
    if (!isShare) return 'namespace';
    const start = hash32(`${owner} ${port}`) % count;
    for (let step = 0; step < count; step++) {
      const candidate = from + ((start + step) % count);
      if (!taken.has(candidate) && this.#isFreeFor(candidate, owner, port)) return candidate;
    }
    return 'range';
  }

  /** Whether the range has this port: one outside is moved into it. */
  includes(proxyPort: number): boolean {
    return proxyPort >= this.#range.from && proxyPort <= this.#range.to;
  }

  /** Where none is free, what only this port claims is all that may be left for it. */
  #ownFor(owner: string, port: string, taken: ReadonlySet<number>): number | undefined {
    const own = this.claimsBy(owner).find(
      ({ port: id, proxyPort }) =>
        id === port &&
        this.includes(proxyPort) &&
        !taken.has(proxyPort) &&
        this.#isFreeFor(proxyPort, owner, port),
    );
    return own?.proxyPort;
  }

  #isFreeFor(candidate: number, owner: string, port: string): boolean {
    const claims = this.of(candidate);
    return claims.every((claim) => claim.owner === owner && claim.port === port);
  }

  #hold(namespace: string, count: number): void {
    const held = (this.#held.get(namespace) ?? 0) + count;
    if (held === 0) this.#held.delete(namespace);
    else this.#held.set(namespace, held);
  }

  *#portsOf(owner: string): Iterable<number> {
    for (const { proxyPort } of this.claimsBy(owner)) if (this.includes(proxyPort)) yield proxyPort;
  }

  #countUsed(ports: Iterable<number>): number {
    let count = 0;
    for (const port of ports) if (this.of(port).length > 0) count += 1;
    return count;
  }

  #countFree(ports: ReadonlySet<number>): number {
    return ports.size - this.#countUsed(ports);
  }
}

function compareClaims(a: Claim, b: Claim): number {
  return (
    RANKS.indexOf(a.rank) - RANKS.indexOf(b.rank) ||
    compareText(a.createdAt, b.createdAt) ||
    compareText(a.owner, b.owner) ||
    compareText(a.port, b.port)
  );
}
