/** What the phases before the first try decided on a request. One object per thread, valid until the next request. */

import type { FailureReason } from '../../model/failure.ts';
import type { TargetFilters } from '../head/filter.ts';
import { Defect } from '../net/copy-whole.ts';
import type { RouteState, Target } from '../table/table.ts';

export class Verdict {
  /** '' when the request may go to `target`, or where its route redirects it. */
  failure: FailureReason | '' = '';
  /** What Retry-After says; 0 says nothing. */
  retryAfterMs = 0;
  /** The route as far as one was found. */
  route: RouteState | null = null;
  /** The backend as far as one was chosen. */
  target: Target | null = null;
  /** What is changed for it. */
  filters: TargetFilters | null = null;

  /** The route of a request that was not refused. */
  get taken(): RouteState {
    if (this.route === null) throw new Defect('a request was admitted without a route');
    return this.route;
  }

  allow(): this {
    this.failure = '';
    this.retryAfterMs = 0;
    return this;
  }

  refuse(failure: FailureReason, retryAfterMs: number): this {
    this.failure = failure;
    this.retryAfterMs = retryAfterMs;
    return this;
  }
}
