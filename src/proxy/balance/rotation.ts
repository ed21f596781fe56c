/**
 * The endpoints of one tier that take traffic, and which of them are live. The scan that finds those is done every so many
 * picks and milliseconds, so that a pick costs the same for ten endpoints and ten thousand; each pick checks what it drew.
 */

import type { Random } from '../../base/random.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import { claimProbe, healthOf, IN_ROTATION, isProbeDue } from './ejection.ts';
import type { EndpointState } from './endpoint-state.ts';
import type { Candidate } from './picker.ts';

export type Tier = 'node' | 'zone' | 'all';

/** What all rotations of a backend go by; the backend keeps it up to date. */
export interface Gate {
  /** Requests in flight from which on an endpoint is skipped. */
  limit: number;
  slowStartMs: number;
  /** More endpoints are ejected than the policy allows: all of them are used. */
  panic: boolean;
  /** Endpoints are checked actively: what was ejected comes back by that, and no request is a probe. */
  checked: boolean;
}

const SLOW_START_FLOOR = 0.1;
const SCAN_PICKS_MIN = 8;
const SCAN_MS = 10;
const SCAN_MS_PER_MEMBER = 0.002;
const DRAWS = 3;
/** As many ones of them as a number has bits. */
const BITS = 31;

/** Milliseconds and picks after which a scan over `count` endpoints is due again: it costs at most one look per pick. */
export function scanEveryMs(count: number): number {
  return SCAN_MS + count * SCAN_MS_PER_MEMBER;
}
export function scanEveryPicks(count: number): number {
  return Math.max(count, SCAN_PICKS_MIN);
}

/** The part of its weight that an endpoint has by now: from 0.1 when it joined to 1 after `slowStartMs`. */
export function rampOf(endpoint: EndpointState, slowStartMs: number, nowMs: number): number {
  if (slowStartMs <= 0) return 1;
  const { floats, f } = endpoint.cells;
  const addedAtMs = floats[f + ENDPOINT_FLOAT.addedAtMs] ?? 0;
  const age = nowMs - addedAtMs;
  if (addedAtMs === 0 || age >= slowStartMs) return 1;
  return SLOW_START_FLOOR + (1 - SLOW_START_FLOOR) * Math.max(age / slowStartMs, 0);
}

const NONE = new Float64Array(0);

export class Rotation {
  readonly tier: Tier;
  readonly members: readonly EndpointState[];
  readonly gate: Gate;
  readonly #random: Random;
  /** The first `liveCount` are in rotation as of the last scan. */
  readonly live: EndpointState[];
  liveCount = 0;
  /** Of the live ones, as of the last scan. */
  inFlight = 0;
  totalWeight = 0;
  /** Both without room before the first scan: most Services of a large mesh are never called on this node. */
  #weights = NONE;
  #cumulative = NONE;
  #isUniform = true;
  /** No ejected member is due for a probe before this time, as of the last scan. */
  #probeDueMs = Infinity;
  #picksLeft = 0;
  #nextScanMs = -Infinity;

  constructor(tier: Tier, members: readonly EndpointState[], gate: Gate, random: Random) {
    this.tier = tier;
    this.members = members;
    this.gate = gate;
    this.#random = random;
    this.live = [...members];
  }

  /** Requests in flight of an average live member, as of the last scan. */
  get meanInFlight(): number {
    return this.liveCount === 0 ? 0 : this.inFlight / this.liveCount;
  }

  /** What `meanInFlight` would be after a scan. */
  meanInFlightNow(): number {
    const live = this.members.filter((endpoint) => this.isLive(endpoint));
    return live.reduce((sum, { inFlight }) => sum + inFlight, 0) / Math.max(live.length, 1);
  }

  /** Scans when it is due. Call it once per pick. */
  touch(nowMs: number): void {
    if (--this.#picksLeft < 0 || nowMs >= this.#nextScanMs) this.scan(nowMs);
  }

  scan(nowMs: number): void {
    const { members, live, gate } = this;
    if (this.#weights.length < members.length) {
      this.#weights = new Float64Array(members.length);
      this.#cumulative = new Float64Array(members.length);
    }
    let count = 0;
    let total = 0;
    let inFlight = 0;
    let isUniform = true;
    let probeDueMs = Infinity;
    for (const endpoint of members) {
      const { cells } = endpoint;
      if (healthOf(cells) !== IN_ROTATION) {
        const dueMs = cells.floats[cells.f + ENDPOINT_FLOAT.ejectedUntilMs] ?? 0;
        probeDueMs = Math.min(probeDueMs, dueMs);
        if (!gate.panic) continue;
      }
      const weight = endpoint.weight * rampOf(endpoint, gate.slowStartMs, nowMs);
      total += weight;
      inFlight += endpoint.inFlight;
      if (count > 0 && weight !== this.#weights[0]) isUniform = false;
      live[count] = endpoint;
      this.#weights[count] = weight;
      this.#cumulative[count] = total;
      count++;
    }
    this.liveCount = count;
    this.totalWeight = total;
    this.inFlight = inFlight;
    this.#isUniform = isUniform;
    this.#probeDueMs = probeDueMs;
    this.#picksLeft = scanEveryPicks(members.length);
    this.#nextScanMs = nowMs + scanEveryMs(members.length);
  }

  /** An ejected member whose time is over and whose one probe the caller now has to send; null when there is none. */
  claimDue(avoid: EndpointState | null, nowMs: number): EndpointState | null {
    if (nowMs < this.#probeDueMs || this.gate.checked) return null;
    for (const endpoint of this.members) {
      if (endpoint !== avoid && this.hasRoom(endpoint)) {
        if (claimProbe(endpoint.cells, nowMs)) return endpoint;
      }
    }
    this.#probeDueMs = Infinity;
    return null;
  }

  /** What `claimDue` would find after a scan; claims nothing. */
  dueProbe(avoid: EndpointState | null, nowMs: number): EndpointState | null {
    if (this.gate.checked) return null;
    const isDue = (endpoint: EndpointState): boolean =>
      endpoint !== avoid && this.hasRoom(endpoint) && isProbeDue(endpoint.cells, nowMs);
    return this.members.find(isDue) ?? null;
  }

  isLive(endpoint: EndpointState): boolean {
    const { words, w } = endpoint.cells;
    return this.gate.panic || words[w + ENDPOINT_WORD.health] === IN_ROTATION;
  }

  /** It is below its limits of requests and of connections. */
  hasRoom(endpoint: EndpointState): boolean {
    const { words, w } = endpoint.cells;
    const inFlight = words[w + ENDPOINT_WORD.inFlight] as number;
    return inFlight < this.gate.limit && endpoint.hasConnection;
  }

  /** May take a request now. */
  isUsable(endpoint: EndpointState, avoid: EndpointState | null): boolean {
    const { words, w } = endpoint.cells;
    return (
      endpoint !== avoid &&
      this.hasRoom(endpoint) &&
      (this.gate.panic || words[w + ENDPOINT_WORD.health] === IN_ROTATION)
    );
  }

  /** The live endpoint at `index`, null for -1. */
  endpointAt(index: number): EndpointState | null {
    return index < 0 ? null : (this.live[index] ?? null);
  }

  /** Weight of the live endpoint at `index`, slow start included, as of the last scan. */
  weightAt(index: number): number {
    return this.#weights[index] ?? 0;
  }

  /** Index in `live` of a usable endpoint other than these two, drawn by weight; -1 when there is none. */
  draw(avoid: EndpointState | null, other: EndpointState | null): number {
    if (this.liveCount > DRAWS) {
      for (let i = 0; i < DRAWS; i++) {
        const index = this.#drawAny();
        const endpoint = this.endpointAt(index);
        if (endpoint === null || endpoint === other) continue;
        if (this.isUsable(endpoint, avoid)) return index;
      }
    }
    return this.#drawByScan(avoid, other);
  }

  /** Members that may be picked now with their weights now; what `draw` would find after a scan. */
  candidates(avoid: EndpointState | null, nowMs: number): Candidate[] {
    return this.members
      .filter((endpoint) => this.isUsable(endpoint, avoid))
      .map((endpoint) => ({
        endpoint,
        weight: endpoint.weight * rampOf(endpoint, this.gate.slowStartMs, nowMs),
      }));
  }

  #drawAny(): number {
    if (this.#isUniform) return Math.floor(this.#random.next() * this.liveCount);
    const target = this.#random.next() * this.totalWeight;
    let low = 0;
    let high = this.liveCount - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#cumulative[middle] ?? 0) > target) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** As exact as rejecting draws for ever, but ends. */
  #drawByScan(avoid: EndpointState | null, other: EndpointState | null): number {
    const { liveCount } = this;
    let total = 0;
    /** Of the first ones, those that are usable. */
    let usable = 0;
    for (let i = 0; i < liveCount; i++) {
      if (!this.#isOther(i, avoid, other)) continue;
      total += this.weightAt(i);
      if (i < BITS) usable |= 1 << i;
    }
    if (total === 0) return -1;
    let target = this.#random.next() * total;
    let last = -1;
    for (let i = 0; i < liveCount; i++) {
      if (i < BITS ? ((usable >> i) & 1) === 0 : !this.#isOther(i, avoid, other)) continue;
      last = i;
      target -= this.weightAt(i);
      if (target < 0) return i;
    }
    return last;
  }

  #isOther(index: number, avoid: EndpointState | null, other: EndpointState | null): boolean {
    const endpoint = this.endpointAt(index);
    return endpoint !== null && endpoint !== other && this.isUsable(endpoint, avoid);
  }
}
