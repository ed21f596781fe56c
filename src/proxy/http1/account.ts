/** Phase "account": what one finished request adds to the figures of its Service and endpoint. */

import { FAILURE_REASONS, type FailureReason } from '../../model/failure.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { Cells } from '../ledger/cells.ts';
import {
  bucketOf,
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  STATUS_COUNT,
  STATUS_MIN,
  STATUS_NETWORK_ERRORS,
} from '../ledger/layout.ts';

const FAILURE_INDEX = new Map<FailureReason, number>(
  FAILURE_REASONS.map((reason, index) => [reason, index]),
);

export function add(cells: Cells, cell: number, amount: number): void {
  const at = cells.o + cell;
  cells.own[at] = (cells.own[at] as number) + amount;
}

/** Counts a request that ended with `status` (0: without a response) after `latencyMs`. */
export function countRequest(cells: Cells, status: number, latencyMs: number): void {
  add(cells, SERVICE_OWN.requests + ((status / 100) | 0), 1);
  add(cells, SERVICE_OWN.latencySumMs, latencyMs);
  add(cells, SERVICE_OWN.buckets + bucketOf(latencyMs, 2, SERVICE_BUCKETS), 1);
}

export function countFailure(cells: Cells, reason: FailureReason): void {
  add(cells, SERVICE_OWN.failures + (FAILURE_INDEX.get(reason) as number), 1);
}

/** Feeds the breaker: a response status of an endpoint, or 0 for a network error. */
export function countForBreaker(cells: Cells, status: number): void {
  const index = status - STATUS_MIN;
  add(cells, index >= 0 && index < STATUS_COUNT ? index : STATUS_NETWORK_ERRORS, 1);
}

/** Counts one try that an endpoint answered, or not (status 0). */
export function countTry(endpoint: EndpointState, status: number, latencyMs: number): void {
  const { cells } = endpoint;
  add(cells, ENDPOINT_OWN.requests + ((status / 100) | 0), 1);
  add(cells, ENDPOINT_OWN.latencySumMs, latencyMs);
  add(cells, ENDPOINT_OWN.buckets + bucketOf(latencyMs, 0, ENDPOINT_BUCKETS), 1);
}
