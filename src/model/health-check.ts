/** Which active health checks are made of endpoints, and what one of them found, for figures, logs and people. */

import type { HealthCheckPolicy, Policies } from './policy.ts';
import type { EndpointProtocol } from './service.ts';

/**
 * The check of endpoints to which this is spoken; null where none is made. On a port of TCP nothing is asked: a check that asks is for
 * the ports of HTTP beside it.
 */
export function checkOn(
  { healthCheck }: Policies,
  protocol: EndpointProtocol,
): HealthCheckPolicy | null {
  if (protocol === 'udp') return null;
  return protocol === 'tcp' && healthCheck?.kind !== 'tcp' ? null : healthCheck;
}

/** Results in the order of their counters and of their numbers in shared memory. */
export const CHECK_RESULTS = [
  'passed',
  /** No connection, or one that was lost before the answer was whole. */
  'connect_failed',
  'timed_out',
  /** HTTP: another status than those that are good. */
  'bad_status',
  /** gRPC: the endpoint says that it does not serve. */
  'not_serving',
  /** gRPC: the call failed. */
  'grpc_failed',
  /** What came cannot be read. */
  'bad_answer',
  /** For a cause on this node, such as too many open files; it says nothing about the endpoint. */
  'not_made',
] as const;
export type CheckResult = (typeof CHECK_RESULTS)[number];

/** `detail` is the status of HTTP, what the health service says, or the status of gRPC; else 0. */
export interface CheckOutcome {
  readonly result: CheckResult;
  readonly detail: number;
}

export const CHECK_STATES = ['unknown', 'passing', 'failing'] as const;
export type CheckState = (typeof CHECK_STATES)[number];

/** What one node knows of an endpoint by its checks; the outcome is that of the last one. */
export interface CheckFacts extends CheckOutcome {
  /** `unknown` until a check could be made. */
  readonly state: CheckState;
  /** The outcome, for a person. */
  readonly reason: string;
  /** The checks have ejected it. */
  readonly ejected: boolean;
  /** Milliseconds since the last check. */
  readonly ageMs: number;
}

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const SERVING_STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;
export const SERVING = 1;

const GRPC_STATUSES: Readonly<Record<number, string>> = {
  1: 'CANCELLED',
  2: 'UNKNOWN',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND: it does not know the service',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  12: 'UNIMPLEMENTED: it has no health service',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

const REASONS: Readonly<Record<CheckResult, (detail: number) => string>> = {
  passed: () => 'passed',
  connect_failed: () => 'no connection, or it was closed before the answer',
  timed_out: () => 'no whole answer within the time limit',
  bad_status: (status) => `status ${status}`,
  not_serving: (status) => SERVING_STATUSES[status] ?? `serving status ${status}`,
  grpc_failed(status) {
    const name = GRPC_STATUSES[status];
    return `gRPC status ${status}${name === undefined ? '' : `, ${name}`}`;
  },
  bad_answer: () => 'the answer is not valid',
  not_made: () => 'not made: this node has no room for connections',
};

/** For a person: `status 500`. */
export function checkReason({ result, detail }: CheckOutcome): string {
  return REASONS[result](detail);
}
