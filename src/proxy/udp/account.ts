/** Phase "account": what a session of UDP adds to the figures of its Service and endpoint. */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { add, countRequest } from '../call/account.ts';
import type { Cells } from '../ledger/cells.ts';
import {
  bucketOf,
  DATAGRAM_DROPS,
  type DatagramDrop,
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  SERVICE_OWN,
  SERVICE_WORD,
  SESSION_ENDS,
  type SessionEnd,
} from '../ledger/layout.ts';

/** What a session that begins is counted as: as a connection of TCP that stands. */
const STANDS = 101;

/** `service` has the sessions of all its ports; `waited` is 1 for one that a port waits for before it closes, else 0. */
export function countBegun(cells: Cells, service: Cells, waited: 0 | 1): void {
  countRequest(cells, STANDS, '');
  countWaited(service, waited);
  add(service, SERVICE_OWN.sessionsOpened, 1);
  add(service, SERVICE_OWN.sessionsActive, 1);
}

/** A datagram did not reach an endpoint: it counts as the request that HTTP would answer so. */
export function countLost(cells: Cells, reason: FailureReason): void {
  countRequest(cells, FAILURES[reason].status, reason);
}

/** Nor did it leave. */
export function countRefused(cells: Cells, reason: FailureReason): void {
  countLost(cells, reason);
  countDrop(cells, 'refused');
}

export function countEnd(service: Cells, end: SessionEnd, waited: 0 | 1): void {
  countWaited(service, -waited);
  add(service, SERVICE_OWN.sessionsActive, -1);
  add(service, SERVICE_OWN.sessionsEnded + SESSION_ENDS.indexOf(end), 1);
}

function countWaited(service: Cells, change: number): void {
  add(service, SERVICE_OWN.sessionsWaited, change);
  Atomics.add(service.words, service.w + SERVICE_WORD.sessions, change);
}

/** Whether any thread has sessions of a Service that its ports wait for. */
export function isWaitedFor({ words, w }: Cells): boolean {
  return Atomics.load(words, w + SERVICE_WORD.sessions) > 0;
}

export function countDrop(cells: Cells, why: DatagramDrop, count = 1): void {
  add(cells, SERVICE_OWN.datagramsDropped + DATAGRAM_DROPS.indexOf(why), count);
}

/** Of a caller, on its way. */
export function countReceived(cells: Cells, bytes: number): void {
  add(cells, SERVICE_OWN.datagrams, 1);
  add(cells, SERVICE_OWN.requestBytes, bytes);
}

/** Of an endpoint, likewise. */
export function countSent(cells: Cells, bytes: number): void {
  add(cells, SERVICE_OWN.datagrams + 1, 1);
  add(cells, SERVICE_OWN.responseBytes, bytes);
}

/** The first answer of an endpoint to a session, and how long it took. */
export function countAnswer({ cells: own }: EndpointState, latencyMs: number): void {
  add(own, ENDPOINT_OWN.latencySumMs, latencyMs);
  add(own, ENDPOINT_OWN.buckets + bucketOf(latencyMs, 0, ENDPOINT_BUCKETS), 1);
}

/** Whether an endpoint is there for a session is known: counted once for each that a session comes to. */
export function countTaken({ cells }: EndpointState, isThere: boolean): void {
  add(cells, ENDPOINT_OWN.requests + (isThere ? 1 : 0), 1);
}
