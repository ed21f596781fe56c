/** How long a retry waits. */

import type { Random } from '../../base/random.ts';
import type { RetryPolicy } from '../../model/policy.ts';

/**
 * Milliseconds before retry number `retry` (1 is the first): anything from 0 to `backoffMs`, doubled with each retry up to
 * `backoffMaxMs` (full jitter, so that callers that failed together do not come back together).
 */
export function retryDelayMs(policy: RetryPolicy, retry: number, random: Random): number {
  const ceilingMs = Math.min(policy.backoffMs * 2 ** (retry - 1), policy.backoffMaxMs);
  return random.next() * ceilingMs;
}
