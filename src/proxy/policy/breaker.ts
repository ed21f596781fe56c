/**
 * The workers' side of the circuit breaker: whether a request may pass. The governor on the main thread moves the state.
 *
 *              expression true                openMs over
 *   closed ─────────────────────► open ─────────────────────► recovering
 *     ▲                            ▲                            │    │
 *     │                            └────────────────────────────┘    │
 *     │                                   expression true            │
 *     └──────────────────────────────────────────────────────────────┘
 *                                recoveryMs over
 */

import type { Random } from '../../base/random.ts';
import type { Cells } from '../ledger/cells.ts';
import { SERVICE_FLOAT, SERVICE_WORD } from '../ledger/layout.ts';

/** Values of SERVICE_WORD.breakerState. */
export const BREAKER_CLOSED = 0;
export const BREAKER_OPEN = 1;
export const BREAKER_RECOVERING = 2;

/** While it recovers, a refused caller has a better chance after a second. */
const RECOVERING_WAIT_MS = 1_000;

/**
 * 0 when a request of the Service with these cells may pass, else milliseconds until it is worth another try (`Retry-After`).
 * The share that passes grows in a straight line from none to all over the recovery.
 */
export function breakerAdmits(cells: Cells, nowMs: number, random: Random): number {
  const state = Atomics.load(cells.words, cells.w + SERVICE_WORD.breakerState);
  if (state === BREAKER_CLOSED) return 0;
  const share = passingShare(cells, state, nowMs);
  if (share > 0 && random.next() <= share) return 0;
  return waitMs(cells, state, nowMs);
}

/** What `breakerAdmits` goes by. Changes nothing. */
export interface BreakerOutlook {
  /** One of BREAKER_*. */
  readonly state: number;
  /** Share of requests that pass now, 0 to 1. */
  readonly share: number;
  /** What those that do not pass are told to wait. */
  readonly waitMs: number;
}

export function breakerOutlook(cells: Cells, nowMs: number): BreakerOutlook {
  const state = Atomics.load(cells.words, cells.w + SERVICE_WORD.breakerState);
  if (state === BREAKER_CLOSED) return { state, share: 1, waitMs: 0 };
  const share = Math.max(passingShare(cells, state, nowMs), 0);
  return { state, share, waitMs: waitMs(cells, state, nowMs) };
}

/** Of a breaker that is not closed. A recovery of no length lets everything pass. */
function passingShare(cells: Cells, state: number, nowMs: number): number {
  if (state === BREAKER_OPEN) return 0;
  const untilMs = cells.floats[cells.f + SERVICE_FLOAT.breakerUntilMs] ?? 0;
  if (nowMs >= untilMs) return 1;
  const sinceMs = cells.floats[cells.f + SERVICE_FLOAT.breakerSinceMs] ?? 0;
  return (nowMs - sinceMs) / (untilMs - sinceMs);
}

function waitMs(cells: Cells, state: number, nowMs: number): number {
  const untilMs = cells.floats[cells.f + SERVICE_FLOAT.breakerUntilMs] ?? 0;
  const remainingMs = Math.max(untilMs - nowMs, 1);
  return state === BREAKER_OPEN ? remainingMs : Math.min(remainingMs, RECOVERING_WAIT_MS);
}
