/** Whether a try that fails would be followed by another one, decided by the function that the proxy asks. */

import type { RetryCondition, RetryPolicy } from '../model/policy.ts';
import type { RoutePolicies } from '../model/route.ts';
import { SLAB_BYTES } from '../proxy/net/socket.ts';
import type { Head } from '../proxy/head/head.ts';
import { CONNECT_TRIES_MAX, isIdempotent, isRetryable } from '../proxy/http/retry.ts';
import { SERVICE_WORD } from '../proxy/ledger/layout.ts';
import type { ServiceState } from '../proxy/table/table.ts';
import type { Arrived } from './arrived.ts';
import type { RetryFacts } from './explanation.ts';

const CONDITIONS: readonly RetryCondition[] = ['connect-failure', 'reset', 'timeout', 'status'];

/** `called` is the Service whose budget it is. */
export function retryFacts(
  { retry }: RoutePolicies,
  called: ServiceState,
  { head, data }: Arrived,
): RetryFacts {
  const isKept = keepsBody(head, data.length, retry?.bodyBytes ?? 0);
  const on: RetryCondition[] = [];
  const not: RetryFacts['not'][number][] = [];
  for (const condition of CONDITIONS) {
    const idempotent = isIdempotent(head.method);
    const facts = { tries: 1, replayable: isKept, idempotent, condition };
    if (isRetryable(retry, facts)) on.push(condition);
    else not.push({ condition, reason: refusal(retry, facts) });
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

/** Whether all of the body is kept for another try, however it arrives; what is longer may be kept for a while. */
function keepsBody(head: Head, headBytes: number, bodyMax: number): boolean {
  if (head.chunked) return false;
  if (head.contentLength <= 0) return true;
  return head.contentLength <= Math.max(bodyMax, SLAB_BYTES - headBytes);
}

/** Why another try is out of the question, in the order in which the proxy looks. */
function refusal(
  retry: RetryPolicy | null,
  facts: { readonly replayable: boolean; readonly condition: RetryCondition },
): string {
  if (retry === null && facts.condition !== 'connect-failure') return 'no retry policy';
  if (retry !== null && retry.attempts <= 1) return 'the policy allows one try';
  if (!facts.replayable) return 'the body may be too long to be stored';
  if (retry?.on.includes(facts.condition) === false) return 'not a condition of the policy';
  return 'the method is not idempotent';
}
