/** Phase "account": what one finished request adds to the figures of its Service and endpoint. */

import {
  blamesEndpoint,
  FAILURE_REASONS,
  FAILURES,
  type FailureReason,
} from '../../model/failure.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { Cells } from '../ledger/cells.ts';
import { isLocalCause } from '../net/local-cause.ts';
import type { SocketError } from '../net/socket.ts';
import type { ServiceState } from '../table/table.ts';
import {
  bucketOf,
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  SERVICE_WORD,
  STATUS_BUCKETS,
  STATUS_COUNT,
  STATUS_MIN,
  STATUS_NETWORK_ERRORS,
} from '../ledger/layout.ts';

const FAILURE_INDEX = new Map<FailureReason, number>(
  FAILURE_REASONS.map((reason, index) => [reason, index]),
);

/** What is counted of a request that ended. */
export interface Account {
  readonly status: number;
  /** The status that figures and breakers are told: of a call of gRPC the one that its own status means. */
  readonly counted: number;
  /** The number of that, as the caller got it; -1 when it is none of gRPC. */
  readonly grpcStatus: number;
  /** The endpoint answered that its time was over, which the caller had chosen. */
  readonly isOverdue: boolean;
  readonly failure: FailureReason | '';
  readonly tries: number;
  readonly startedMs: number;
  /** What earlier tries kept it waiting. */
  readonly waitedMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
}

export interface LastTry {
  readonly endpoint: EndpointState;
  /** How long the endpoint kept the request waiting. */
  latencyMs(now: number): number;
}

export function add(cells: Cells, cell: number, amount: number): void {
  const at = cells.o + cell;
  cells.own[at] = (cells.own[at] as number) + amount;
}

const STATUS_LAST = STATUS_MIN + STATUS_COUNT - 1;

/** Class of what the caller itself spoiled, whatever it was answered: no rate of errors of the Service may count it. */
const CALLER_CLASS = 4;

/** Counts a request that ended with `status` (0: without a response), and by which `failure` if the proxy ended it. */
export function countRequest(cells: Cells, status: number, failure: FailureReason | ''): void {
  add(cells, SERVICE_OWN.requests + classOf(status, failure), 1);
  countFailure(cells, failure);
}

/** Counts by what the proxy ended a request or a connection; '' is by nothing. */
export function countFailure(cells: Cells, failure: FailureReason | ''): void {
  if (failure !== '') add(cells, SERVICE_OWN.failures + (FAILURE_INDEX.get(failure) as number), 1);
}

function classOf(status: number, failure: FailureReason | ''): number {
  if (failure === '') return digitOf(status);
  // A tunnel was answered when it opened, whatever ends it.
  if (status === 101) return digitOf(status);
  if (FAILURES[failure].blames === 'caller') return CALLER_CLASS;
  // Another status was under way when the failure came: half a response is none.
  return status === FAILURES[failure].status ? digitOf(status) : 0;
}

/** What an endpoint answers above 599 is read as a server error: RFC 9110 §15. */
function digitOf(status: number): number {
  return status > STATUS_LAST ? 5 : (status / 100) | 0;
}

/**
 * Counts how long a request took that was sent to an endpoint, its caller's share of the time included. What the proxy refuses
 * at once is left out: it would hide from a person how slow the Service is.
 */
export function countLatency(cells: Cells, latencyMs: number): void {
  add(cells, SERVICE_OWN.latencySumMs, latencyMs);
  add(cells, SERVICE_OWN.buckets + bucketOf(latencyMs, 2, SERVICE_BUCKETS), 1);
}

/** A request or a connection came in: in flight until `leaveFlight`. */
export function beginRequest(cells: Cells): void {
  add(cells, SERVICE_OWN.inFlight, 1);
  Atomics.add(cells.words, cells.w + SERVICE_WORD.inFlight, 1);
}

/** It is in flight no more. `flight` is where it began. */
export function leaveFlight(flight: Cells): void {
  add(flight, SERVICE_OWN.inFlight, -1);
  Atomics.sub(flight.words, flight.w + SERVICE_WORD.inFlight, 1);
}

/** Counts all that is known of a request that ended, `endMs` is when; `flight` is where it began. */
export function endRequest(request: Account, flight: Cells, cells: Cells, endMs: number): void {
  leaveFlight(flight);
  countRequest(cells, request.counted, request.failure);
  if (request.tries > 0) countLatency(cells, endMs - request.startedMs);
  add(cells, SERVICE_OWN.requestBytes, request.requestBytes);
  add(cells, SERVICE_OWN.responseBytes, request.responseBytes);
}

/** The cell of a status slot that the breaker reads for a response status, or for a network error (0). */
function breakerCell(status: number): number {
  return status === 0 ? STATUS_NETWORK_ERRORS : Math.min(status, STATUS_LAST) - STATUS_MIN;
}

/**
 * Ends the try that a request ended with. Endpoint and breaker hear of it only when it says something about them: an answer, or
 * a failure that is the endpoint's own.
 */
export function endLastTry(
  request: Account,
  tried: LastTry,
  service: ServiceState | null,
  now: number,
): void {
  const { endpoint } = tried;
  const { status, counted } = request;
  // A tunnel was answered when it opened. Who of the two is at fault when it breaks, nobody can tell.
  const failure = status === 101 ? '' : request.failure;
  const isSilent = failure === '' ? request.isOverdue : !blamesEndpoint(failure);
  if (isSilent) return abandonTry(endpoint);
  const answered = failure === '' ? counted : 0;
  const latencyMs = tried.latencyMs(now);
  endTry(endpoint, answered, latencyMs);
  const breaker = service?.statusCells ?? null;
  if (breaker === null) return;
  add(breaker, breakerCell(answered), 1);
  const waitedMs = request.waitedMs + latencyMs;
  add(breaker, STATUS_BUCKETS + bucketOf(waitedMs, 2, SERVICE_BUCKETS), 1);
}

/** Ends one try by no fault of its endpoint. */
export function abandonTry(endpoint: EndpointState): void {
  endpoint.end();
  add(endpoint.cells, ENDPOINT_OWN.abandoned, 1);
}

/** Ends one try that an endpoint answered, or not (status 0). */
export function endTry(endpoint: EndpointState, status: number, latencyMs: number): void {
  const { cells } = endpoint;
  endpoint.end();
  add(cells, ENDPOINT_OWN.requests + digitOf(status), 1);
  add(cells, ENDPOINT_OWN.latencySumMs, latencyMs);
  add(cells, ENDPOINT_OWN.buckets + bucketOf(latencyMs, 0, ENDPOINT_BUCKETS), 1);
}

/** Counts a connection to an endpoint that was not made or was lost, and says why a request ends by it. */
export function countLoss(
  lost: { readonly endpoint: EndpointState; readonly connected: boolean },
  error: SocketError | null,
  isInBody: boolean,
): FailureReason {
  if (isLocalCause(error)) return 'node_exhausted';
  // Nobody was dialled.
  if (error?.tls === 'tls_no_client_certificate') return error.tls;
  const { endpoint } = lost;
  // An endpoint of TLS 1.3 says only afterwards that it does not take our certificate.
  const connected = lost.connected && (isInBody || error?.tls === undefined);
  add(endpoint.cells, connected ? ENDPOINT_OWN.resets : ENDPOINT_OWN.connectFailures, 1);
  if (!connected) return error?.tls ?? 'connect_failed';
  return isInBody ? 'endpoint_reset_body' : 'endpoint_reset';
}
