/** Phase "account": what a connection of TCP adds to the figures of its Service and endpoint. */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { add, countFailure, countLatency, countRequest } from '../call/account.ts';
import type { TunnelResult } from '../net/tunnel.ts';
import type { Cells } from '../ledger/cells.ts';
import { bucketOf, ENDPOINT_BUCKETS, ENDPOINT_OWN, SERVICE_OWN } from '../ledger/layout.ts';

/** What a connection that stands is counted as: its figures are those of an upgrade, which was answered when it opened. */
const STANDS = 101;

/** An endpoint accepted it, `latencyMs` after it was dialled and `waitedMs` after the caller came. */
export function countConnected(
  cells: Cells,
  endpoint: EndpointState,
  latencyMs: number,
  waitedMs: number,
): void {
  countRequest(cells, STANDS, '');
  countLatency(cells, waitedMs);
  const { cells: own } = endpoint;
  add(own, ENDPOINT_OWN.requests + 1, 1);
  add(own, ENDPOINT_OWN.latencySumMs, latencyMs);
  add(own, ENDPOINT_OWN.buckets + bucketOf(latencyMs, 0, ENDPOINT_BUCKETS), 1);
}

/** No endpoint got it: it counts as the request that HTTP would answer so. */
export function countRefused(cells: Cells, reason: FailureReason): void {
  countRequest(cells, FAILURES[reason].status, reason);
}

/** One that stood is over. */
export function countEnded(
  cells: Cells,
  { sentBytes, receivedBytes, failure }: TunnelResult,
): void {
  add(cells, SERVICE_OWN.requestBytes, sentBytes);
  add(cells, SERVICE_OWN.responseBytes, receivedBytes);
  countFailure(cells, failure);
}
