/** The view without a terminal: one block of plain lines a second, and each event as it comes. */

import type { Board, BoardEvent, ServiceRow } from './board.ts';
import { percent, shortName, time } from './view/lines.ts';

/** One line per service. */
export function plainLines(board: Board, elapsedMs: number): string[] {
  return board.services.map((row) => `${time(elapsedMs)}  ${plainRow(row)}`);
}

export function plainEvent(event: BoardEvent, startMs: number): string {
  return `${time(event.atMs - startMs)}  * ${event.text}`;
}

function plainRow(row: ServiceRow): string {
  const latency = [row.p50, row.p95, row.p99].map((value) =>
    Number.isNaN(value) ? '-' : value.toFixed(1),
  );
  const endpoints = row.endpoints.map(
    (endpoint) =>
      `${shortName(endpoint.pod, row.name)}=${endpoint.health === 'ready' ? endpoint.ratePerSecond.toFixed(0) : endpoint.health}`,
  );
  return [
    row.name.padEnd(10),
    `rate ${row.ratePerSecond.toFixed(0)}`,
    `success ${percent(row.success)}`,
    `p50/p95/p99 ${latency.join('/')} ms`,
    `retries ${row.retriesPerSecond.toFixed(1)}/s`,
    ...(row.limitedPerSecond > 0 ? [`limited ${row.limitedPerSecond.toFixed(0)}/s`] : []),
    ...(row.breaker === 'none' ? [] : [`breaker ${row.breaker}`]),
    `endpoints ${endpoints.join(' ')}`,
  ].join('  ');
}
