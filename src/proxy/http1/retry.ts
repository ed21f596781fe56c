/** Whether a failed try may be followed by another one. */

import type { RetryCondition, RetryPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { takeRetry } from '../policy/retry-budget.ts';
import { add } from './account.ts';

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
 * policy it is. A connection that never stood carried nothing, so such a try may be repeated whatever the method.
 */
export function mayRetry(policy: RetryPolicy | null, facts: TryFacts, cells: Cells): boolean {
  if (policy === null || facts.tries >= policy.attempts || !facts.replayable) return false;
  if (!policy.on.includes(facts.condition)) return false;
  const repeatable =
    facts.idempotent || policy.nonIdempotent || facts.condition === 'connect-failure';
  if (!repeatable) return false;
  if (takeRetry(cells)) return true;
  add(cells, SERVICE_OWN.retriesDenied, 1);
  return false;
}
