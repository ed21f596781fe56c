/** What every balancing algorithm is: a picker over one rotation, replaced with it and never edited. */

import type { EndpointState } from './endpoint-state.ts';

/** What a request says about where it should go. Fixed shape; callers may reuse one object. */
export interface PickRequest {
  /** Unsigned 32-bit hash of what the policy hashes by, or -1 when the request has none. */
  hash: number;
  /** Node and zone of the caller, '' when unknown. */
  node: string;
  zone: string;
  /** The endpoint that failed this request last; another one is taken if there is any. */
  avoid: EndpointState | null;
  /** `affinityHash` from the cookie, -1 when there is none. */
  affinity: number;
  /** Hash of the source address where the Service keeps a source on its endpoint; read only then. */
  source: number;
}

/** An endpoint that may be picked now, with its weight at this moment. */
export interface Candidate {
  readonly endpoint: EndpointState;
  readonly weight: number;
}

export interface Picker {
  /** Null when no member may be picked now. Synchronous, allocates nothing. */
  pick(request: PickRequest, nowMs: number): EndpointState | null;
  /** The probability of each candidate, in their order; sums to 1 unless there is none. Changes nothing. */
  odds(request: PickRequest, candidates: readonly Candidate[], nowMs: number): number[];
}

/** Weights as shares that sum to 1. */
export function weightShares(candidates: readonly Candidate[]): number[] {
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  return candidates.map(({ weight }) => weight / total);
}
