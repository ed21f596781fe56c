/** Whether a failed try may be followed by another one. */

import { GRPC_CONDITIONS } from '../../model/grpc-status.ts';
import type { RetryCondition, RetryPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { takeRetry } from '../policy/retry-budget.ts';
import { add } from '../call/account.ts';
import { CONNECT_TRIES_MAX } from '../call/admit.ts';
import {
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_PUT,
  METHOD_TRACE,
} from '../head/head.ts';

/**
 * A connection that never stood carried nothing. And a call of gRPC is always a POST: whoever names a status of gRPC has said that a
 * call which ended with it may be made again.
 */
const WHATEVER_METHOD: ReadonlySet<RetryCondition> = new Set([
  'connect-failure',
  ...GRPC_CONDITIONS,
]);

export interface TryFacts {
  /** Tries so far. */
  readonly tries: number;
  /** All bytes sent so far are kept. */
  readonly replayable: boolean;
  readonly idempotent: boolean;
  readonly condition: RetryCondition;
}

/**
 * Takes a token of the retry budget when everything else allows another try; `cells` are those of the Service whose
 * policy it is.
 */
export function mayRetry(policy: RetryPolicy | null, facts: TryFacts, cells: Cells): boolean {
  if (!isRetryable(policy, facts)) return false;
  if (policy === null) return true;
  if (takeRetry(cells)) return true;
  add(cells, SERVICE_OWN.retriesDenied, 1);
  return false;
}

/** What `mayRetry` says with a retry budget that is not used up. Changes nothing. */
export function isRetryable(policy: RetryPolicy | null, facts: TryFacts): boolean {
  if (policy === null) {
    const untouched = facts.condition === 'connect-failure' && facts.replayable;
    return untouched && facts.tries < CONNECT_TRIES_MAX;
  }
  if (facts.tries >= policy.attempts || !facts.replayable) return false;
  if (!policy.on.includes(facts.condition)) return false;
  return facts.idempotent || policy.nonIdempotent || WHATEVER_METHOD.has(facts.condition);
}

/** RFC 9110 §9.2.2. */
export function isIdempotent(method: number): boolean {
  return (
    method === METHOD_GET ||
    method === METHOD_HEAD ||
    method === METHOD_PUT ||
    method === METHOD_DELETE ||
    method === METHOD_OPTIONS ||
    method === METHOD_TRACE
  );
}

/** Statuses that say that the endpoint could not do its work. */
export function isFailureStatus(status: number): boolean {
  return status === 502 || status === 503 || status === 504;
}
