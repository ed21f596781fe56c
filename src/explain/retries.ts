/** Whether a try that fails would be followed by another one, decided by the function that the proxy asks. */

import { GRPC_CONDITIONS } from '../model/grpc-status.ts';
import { RETRY_CONDITIONS, type RetryCondition, type RetryPolicy } from '../model/policy.ts';
import type { RoutePolicies } from '../model/route.ts';
import { CONNECT_TRIES_MAX } from '../proxy/call/admit.ts';
import { SLAB_BYTES } from '../proxy/net/socket.ts';
import type { Head } from '../proxy/head/head.ts';
import { isIdempotent, isRetryable, type TryFacts } from '../proxy/http/retry.ts';
import { SERVICE_WORD } from '../proxy/ledger/layout.ts';
import type { ServiceState } from '../proxy/table/table.ts';
import type { Arrived } from './arrived.ts';
import type { RetryFacts } from './explanation.ts';

/** `called` is the Service whose budget it is. */
export function retryFacts(
  { retry }: RoutePolicies,
  called: ServiceState,
  { head, data }: Arrived,
): RetryFacts {
  const isKept = keepsBody(head, data.length, retry?.bodyBytes ?? 0);
  const on: RetryCondition[] = [];
  const not: RetryFacts['not'][number][] = [];
  for (const condition of conditionsFor(head, retry)) {
    const idempotent = isIdempotent(head.method);
    const facts = { tries: 1, replayable: isKept, idempotent, condition };
    const reason = refusal(retry, facts, head);
    if (reason === '') on.push(condition);
    else not.push({ condition, reason });
  }
  const { words, w } = called.cells;
  return {
    tries: on.length === 0 ? 1 : (retry?.attempts ?? CONNECT_TRIES_MAX),
    on,
    statuses: retry?.statuses ?? [],
    not,
    budget: retry === null ? null : (words[w + SERVICE_WORD.retryTokens] ?? 0),
  };
}

/** Of those that only gRPC has, other requests hear what is named. */
function conditionsFor({ grpc }: Head, retry: RetryPolicy | null): readonly RetryCondition[] {
  return RETRY_CONDITIONS.filter(
    (each) => grpc || !GRPC_CONDITIONS.has(each) || retry?.on.includes(each) === true,
  );
}

/**
 * Whether all of the body is kept for another try, however it arrives; what is longer may be kept for a while. Calls of gRPC do not say
 * how long they are: that they are short is told as an assumption.
 */
function keepsBody(head: Head, headBytes: number, bodyMax: number): boolean {
  if (head.chunked) return head.grpc;
  if (head.contentLength <= 0) return true;
  return head.contentLength <= Math.max(bodyMax, SLAB_BYTES - headBytes);
}

/** Why another try is out of the question, in the order in which the proxy looks; '' when it is not. */
function refusal(retry: RetryPolicy | null, facts: TryFacts, head: Head): string {
  const { condition } = facts;
  if (!head.grpc && GRPC_CONDITIONS.has(condition)) return 'the request is no call of gRPC';
  if (isRetryable(retry, facts)) return '';
  if (retry === null && condition !== 'connect-failure') return 'no retry policy';
  if (retry !== null && retry.attempts <= 1) return 'the policy allows one try';
  if (!facts.replayable) return 'the body may be too long to be stored';
  if (retry?.on.includes(condition) === false) return 'not a condition of the policy';
  return 'the method is not idempotent';
}
