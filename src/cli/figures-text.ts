/** Rates, shares and latencies as `status` prints them: the same digits as the terminal view of the demo. */

import type { BreakerState } from '../model/stats.ts';
import type { Figures } from '../install/traffic.ts';
import { cell, right, type Cell } from './table.ts';

/** What is not known, and what there is none of. */
export const UNKNOWN = '?';
const NONE = '-';

export const FIGURE_HEADER = ['RATE', 'SUCCESS', 'P50', 'P95', 'P99', 'RETRY/S', '429/S'];

export function figureCells(figures: Figures | null): readonly Cell[] {
  if (figures === null) return FIGURE_HEADER.map(() => right(UNKNOWN, 'yellow'));
  const { successRatio, p50Ms, p95Ms, p99Ms, rateLimitedPerSecond, retriesPerSecond } = figures;
  return [
    right(perSecond(figures.requestsPerSecond)),
    right(share(successRatio), successRatio !== null && successRatio < 0.99 ? 'red' : undefined),
    right(milliseconds(p50Ms)),
    right(milliseconds(p95Ms)),
    right(milliseconds(p99Ms)),
    right(perSecond(retriesPerSecond)),
    right(perSecond(rateLimitedPerSecond)),
  ];
}

/** `60.2 requests/s, 99.9 % success, p50/p95/p99 2.1/3.5/6.1 ms, 1.0 retries/s, 2 in flight`. */
export function figuresLine(figures: Figures | null): string {
  if (figures === null) return 'unknown';
  const { requestsPerSecond, successRatio, p50Ms, p95Ms, p99Ms, inFlight } = figures;
  const parts = [
    `${perSecond(requestsPerSecond)} requests/s`,
    ...(successRatio === null ? [] : [`${share(successRatio)} success`]),
    ...(p50Ms === null
      ? []
      : [`p50/p95/p99 ${[p50Ms, p95Ms, p99Ms].map(milliseconds).join('/')} ms`]),
    ...(figures.retriesPerSecond === 0 ? [] : [`${perSecond(figures.retriesPerSecond)} retries/s`]),
    ...(figures.rateLimitedPerSecond === 0
      ? []
      : [`${perSecond(figures.rateLimitedPerSecond)} × 429/s`]),
    ...failedOver(figures),
    `${inFlight} in flight`,
  ];
  return parts.join(', ');
}

/** `4.0 failed over/s`, of a Service that another one takes requests for just now. */
export function failedOver(figures: Figures | null): readonly string[] {
  const rate = figures?.failedOverPerSecond ?? 0;
  return rate === 0 ? [] : [`${perSecond(rate)} failed over/s`];
}

export function breakerCell(breaker: BreakerState | 'none' | null): Cell {
  if (breaker === null) return cell(UNKNOWN, 'yellow');
  if (breaker === 'none') return cell(NONE);
  return cell(
    breaker,
    breaker === 'open' ? 'red' : breaker === 'recovering' ? 'yellow' : undefined,
  );
}

export function perSecond(rate: number): string {
  return rate === 0 ? '0' : rate < 100 ? rate.toFixed(1) : String(Math.round(rate));
}

export function share(ratio: number | null): string {
  if (ratio === null) return NONE;
  // What failed must not be rounded away.
  const percent = ratio < 1 ? Math.min(ratio * 100, 99.9) : 100;
  return `${percent.toFixed(1)} %`;
}

export function milliseconds(ms: number | null): string {
  if (ms === null) return NONE;
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}
