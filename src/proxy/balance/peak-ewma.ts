/**
 * Of two endpoints drawn by weight, the one with the lower expected latency: a moving average that jumps up at once with a
 * slow answer and forgets within 10 s, times the requests that wait there (after Finagle's peak EWMA). Recent failures count as
 * such, and while there are any the average does not fade: one that never answers again would become the fastest.
 */

import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT } from '../ledger/layout.ts';
import type { EndpointState } from './endpoint-state.ts';
import { loadOf } from './penalty.ts';
import type { Candidate, Picker, PickRequest } from './picker.ts';
import type { Rotation } from './rotation.ts';
import { twoChoiceOdds } from './two-choices.ts';

const DECAY_MS = 10_000;
/** Cost of an endpoint that never answered while it has a request: one at a time until the first answer. */
const UNKNOWN_MS = 1e9;

/** Takes an observed latency into the endpoint's average. Threads race here at worst for one observation. */
export function observeLatency(cells: Cells, latencyMs: number, nowMs: number): void {
  const { floats, f } = cells;
  const decayed = latencyOf(cells, nowMs);
  const atMs = floats[f + ENDPOINT_FLOAT.ewmaAtMs] ?? 0;
  const kept = Math.exp(-Math.max(nowMs - atMs, 0) / DECAY_MS);
  floats[f + ENDPOINT_FLOAT.ewmaMs] =
    latencyMs >= decayed ? latencyMs : decayed + latencyMs * (1 - kept);
  floats[f + ENDPOINT_FLOAT.ewmaAtMs] = nowMs;
}

/** The average by now: it fades towards 0 while nothing is observed, so a slow endpoint is tried again. */
export function latencyOf(cells: Cells, nowMs: number): number {
  const { floats, f } = cells;
  const ageMs = nowMs - (floats[f + ENDPOINT_FLOAT.ewmaAtMs] ?? 0);
  const ewmaMs = floats[f + ENDPOINT_FLOAT.ewmaMs] ?? 0;
  return ageMs > 0 ? ewmaMs * Math.exp(-ageMs / DECAY_MS) : ewmaMs;
}

/** Expected wait; `relativeWeight` is the weight over the mean weight of its siblings, `mean` their requests in flight. */
function costOf(
  endpoint: EndpointState,
  relativeWeight: number,
  mean: number,
  nowMs: number,
): number {
  const { floats, f } = endpoint.cells;
  const load = loadOf(endpoint, mean, nowMs);
  const queue = load / relativeWeight;
  if (floats[f + ENDPOINT_FLOAT.ewmaAtMs] === 0) return UNKNOWN_MS * queue;
  const hasFailed = load > endpoint.inFlight;
  const latencyMs = hasFailed
    ? (floats[f + ENDPOINT_FLOAT.ewmaMs] ?? 0)
    : latencyOf(endpoint.cells, nowMs);
  return latencyMs * (queue + 1);
}

export class PeakEwmaPicker implements Picker {
  readonly #rotation: Rotation;

  constructor(rotation: Rotation) {
    this.#rotation = rotation;
  }

  pick(request: PickRequest, nowMs: number): EndpointState | null {
    const rotation = this.#rotation;
    const a = rotation.draw(request.avoid, null);
    const first = rotation.endpointAt(a);
    if (first === null) return null;
    const b = rotation.draw(request.avoid, first);
    const second = rotation.endpointAt(b);
    if (second === null) return first;
    const mean = rotation.totalWeight / rotation.liveCount;
    const { meanInFlight } = rotation;
    const firstCost = costOf(first, rotation.weightAt(a) / mean, meanInFlight, nowMs);
    const secondCost = costOf(second, rotation.weightAt(b) / mean, meanInFlight, nowMs);
    return secondCost < firstCost ? second : first;
  }

  odds(_request: PickRequest, candidates: readonly Candidate[], nowMs: number): number[] {
    const mean = candidates.reduce((sum, { weight }) => sum + weight, 0) / candidates.length;
    const inFlight = this.#rotation.meanInFlightNow();
    const costs = candidates.map(({ endpoint, weight }) =>
      costOf(endpoint, weight / mean, inFlight, nowMs),
    );
    return twoChoiceOdds(candidates, costs);
  }
}
