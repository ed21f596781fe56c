/**
 * What an endpoint's failures add to its load. An endpoint that refuses at once never has much in flight, so it would draw
 * requests from its busy siblings, whether or not ejection takes it out. Each recent failure counts as the load of an average
 * sibling and one request; half of that is forgotten in a second, and with each answer. Where failures in a row eject, those of a row
 * count when it ends without an ejection.
 */

import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT } from '../ledger/layout.ts';
import type { EndpointState } from './endpoint-state.ts';

const HALF_LIFE_MS = 1_000;
const PENALTY_MAX = 1_000;
/** Less than this is nothing, so that an idle endpoint is as good as its siblings again 2 s after a failure. */
const FORGOTTEN = 0.25;

/** How many recent failures an endpoint has by now, 0 to PENALTY_MAX. */
export function penaltyOf({ floats, f }: Cells, nowMs: number): number {
  const penalty = floats[f + ENDPOINT_FLOAT.penalty] ?? 0;
  return penalty === 0 ? 0 : faded(penalty, floats[f + ENDPOINT_FLOAT.penaltyAtMs] ?? 0, nowMs);
}

/** What is left of a penalty of `atMs`. */
export function faded(penalty: number, atMs: number, nowMs: number): number {
  const left = penalty * 2 ** (-Math.max(nowMs - atMs, 0) / HALF_LIFE_MS);
  return left < FORGOTTEN ? 0 : left;
}

/** The endpoint failed so often. Threads that write at the same time lose at worst one failure. */
export function addPenalty(cells: Cells, failures: number, nowMs: number): void {
  set(cells, Math.min(penaltyOf(cells, nowMs) + failures, PENALTY_MAX), nowMs);
}

/** The endpoint answered. */
export function easePenalty(cells: Cells, nowMs: number): void {
  if (cells.floats[cells.f + ENDPOINT_FLOAT.penalty] === 0) return;
  const left = penaltyOf(cells, nowMs) / 2;
  set(cells, left < FORGOTTEN ? 0 : left, nowMs);
}

/** Requests in flight that an endpoint's are to be taken for; `mean` is the average of all that are live. */
export function loadOf(endpoint: EndpointState, mean: number, nowMs: number): number {
  const penalty = penaltyOf(endpoint.cells, nowMs);
  return penalty === 0 ? endpoint.inFlight : endpoint.inFlight + penalty * (mean + 1);
}

function set({ floats, f }: Cells, penalty: number, nowMs: number): void {
  floats[f + ENDPOINT_FLOAT.penalty] = penalty;
  floats[f + ENDPOINT_FLOAT.penaltyAtMs] = nowMs;
}
