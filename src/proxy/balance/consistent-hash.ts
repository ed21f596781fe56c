/**
 * The same key to the same endpoint, on every thread and node: a ring of points, a number of them for each endpoint by its
 * weight, and the key belongs to the next point. When an endpoint leaves, only its own keys move; when one joins, keys move
 * only to it. (True while the number of endpoints and the largest weight stay between the same powers of two; beyond, the
 * ring is drawn finer or coarser and more keys move.) An endpoint with much more than its share in flight passes keys on
 * (bounded loads), one in slow start takes a growing part of its keys.
 */

import { hash32, mix32 } from '../../base/hash.ts';
import type { EndpointState } from './endpoint-state.ts';
import type { Candidate, Picker, PickRequest } from './picker.ts';
import { rampOf, type Rotation } from './rotation.ts';

const RING_POINTS = 32_768;
const POINTS_MIN = 8;
const POINTS_MAX = 256;
/** Points looked at before any usable endpoint will do. */
const WALK_MAX = 128;
/** An endpoint passes keys on from this many times its fair share of requests in flight, but never below the floor. */
const LOAD_FACTOR = 1.25;
const LOAD_FLOOR = 16;
const RAMP_SEED = 0x9e3779b9;
/** Owners take the low bits of a sort key below the 32 bits of the point: 2^52 in all, exact in a double. */
const OWNER_SPAN = 2 ** 20;

export class ConsistentHashPicker implements Picker {
  readonly #rotation: Rotation;
  /** For requests without a key. */
  readonly #otherwise: Picker;
  readonly #points: Uint32Array;
  readonly #owners: Uint32Array;
  readonly #weightSum: number;

  constructor(rotation: Rotation, otherwise: Picker) {
    this.#rotation = rotation;
    this.#otherwise = otherwise;
    const sorted = ringOf(rotation.members);
    this.#points = Uint32Array.from(sorted, (point) => Math.floor(point / OWNER_SPAN));
    this.#owners = Uint32Array.from(sorted, (point) => point % OWNER_SPAN);
    this.#weightSum = rotation.members.reduce((sum, { weight }) => sum + weight, 0);
  }

  pick(request: PickRequest, nowMs: number): EndpointState | null {
    if (request.hash < 0) return this.#otherwise.pick(request, nowMs);
    return this.#find(request, this.#rotation.inFlight, nowMs);
  }

  odds(request: PickRequest, candidates: readonly Candidate[], nowMs: number): number[] {
    if (request.hash < 0) return this.#otherwise.odds(request, candidates, nowMs);
    const inFlight = this.#rotation.members
      .filter((endpoint) => this.#rotation.isLive(endpoint))
      .reduce((sum, endpoint) => sum + endpoint.inFlight, 0);
    const found = this.#find(request, inFlight, nowMs);
    return candidates.map(({ endpoint }) => (endpoint === found ? 1 : 0));
  }

  #find(request: PickRequest, inFlight: number, nowMs: number): EndpointState | null {
    const rotation = this.#rotation;
    const { members, gate } = rotation;
    const { hash, avoid } = request;
    const ramp = mix32(hash ^ RAMP_SEED) / 2 ** 32;
    const steps = Math.min(this.#points.length, WALK_MAX);
    let usable: EndpointState | null = null;
    let at = this.#next(hash);
    for (let step = 0; step < steps; step++, at++) {
      if (at === this.#points.length) at = 0;
      const endpoint = members[this.#owners[at] ?? 0];
      if (endpoint === undefined || !rotation.isUsable(endpoint, avoid)) continue;
      usable ??= endpoint;
      const share = (LOAD_FACTOR * (inFlight + 1) * endpoint.weight) / this.#weightSum;
      if (endpoint.inFlight >= Math.max(share, LOAD_FLOOR)) continue;
      if (ramp < rampOf(endpoint, gate.slowStartMs, nowMs)) return endpoint;
    }
    return usable ?? this.#anyUsable(hash, avoid);
  }

  /** Index of the first point at or after `hash`, around the ring. */
  #next(hash: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle] ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }

  #anyUsable(hash: number, avoid: EndpointState | null): EndpointState | null {
    const { members } = this.#rotation;
    for (let i = 0; i < members.length; i++) {
      const endpoint = members[(hash + i) % members.length];
      if (endpoint !== undefined && this.#rotation.isUsable(endpoint, avoid)) return endpoint;
    }
    return null;
  }
}

/** All points with their owners in the low bits, sorted. */
function ringOf(members: readonly EndpointState[]): Float64Array {
  const most = members.reduce((max, { weight }) => Math.max(max, weight), 1);
  const top = 2 ** Math.ceil(Math.log2(most));
  const per = 2 ** Math.floor(Math.log2(RING_POINTS / Math.max(members.length, 1)));
  const points: number[] = [];
  members.forEach((endpoint, owner) => {
    const full = Math.min(Math.max(per, POINTS_MIN), POINTS_MAX);
    const count = Math.max(1, Math.round((full * endpoint.weight) / top));
    const seed = hash32(endpoint.id);
    for (let i = 0; i < count; i++) {
      points.push(mix32(seed + Math.imul(i, RAMP_SEED)) * OWNER_SPAN + owner);
    }
  });
  return Float64Array.from(points).sort();
}
