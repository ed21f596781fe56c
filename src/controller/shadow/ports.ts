/** Who has which proxy port. One port leads to one Service, whatever people write into shadow Services by hand. */

import { compareText } from '../../compile/finding.ts';
import { hash32 } from '../../base/hash.ts';
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
    const before = this.#byOwner.get(owner) ?? [];
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

/** The proxy ports of a cluster, as far as its shadow Services say who has them. */
export class PortPool extends Claims {
  readonly #range: PortRange;

  constructor(range: PortRange) {
    super();
    this.#range = range;
  }

  /**
   * A port that nobody else claims, or null when there is none. The search starts at a place that the Service and its port
   * give, so that what was lost mostly gets the same one again. `taken` are ports that the caller is about to claim.
   */
  choose(owner: string, port: string, taken: ReadonlySet<number>): number | null {
    const { from, to } = this.#range;
    const count = to - from + 1;
    const start = hash32(`${owner} ${port}`) % count;
    for (let step = 0; step < count; step++) {
      const candidate = from + ((start + step) % count);
      if (!taken.has(candidate) && this.#isFreeFor(candidate, owner, port)) return candidate;
    }
    return null;
  }

  /** Whether the range has this port: one outside is moved into it. */
  includes(proxyPort: number): boolean {
    return proxyPort >= this.#range.from && proxyPort <= this.#range.to;
  }

  #isFreeFor(candidate: number, owner: string, port: string): boolean {
    const claims = this.of(candidate);
    return claims.every((claim) => claim.owner === owner && claim.port === port);
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
