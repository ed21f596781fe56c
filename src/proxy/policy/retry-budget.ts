/**
 * The retry budget of a Service: retries of the last 10 s are at most a share of the requests of the last 10 s that no caller
 * spoiled and no policy turned away, or a fixed rate, whichever is more. Workers take from a shared number of tokens; the governor tops it up.
 */

import { FAILURE_REASONS, FAILURES } from '../../model/failure.ts';
import type { RetryPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../ledger/layout.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { RollingWindow, WINDOW_SECONDS } from './rolling-window.ts';

/** Takes the right to send one retry; false when the budget is used up. */
export function takeRetry(cells: Cells): boolean {
  const at = cells.w + SERVICE_WORD.retryTokens;
  let left = Atomics.load(cells.words, at);
  while (left > 0) {
    const seen = Atomics.compareExchange(cells.words, at, left, left - 1);
    if (seen === left) return true;
    left = seen;
  }
  return false;
}

const TOKENS_MAX = 1_000_000_000;
const REQUEST_CLASSES = 6;
/** Places of the failures that earn no retries: what a caller spoiled or a policy turned away never was a request to an endpoint. */
const WITHOUT_RETRIES = FAILURE_REASONS.flatMap((reason, place) => {
  const { blames } = FAILURES[reason];
  return blames === 'caller' || blames === 'policy' ? [place] : [];
});

/**
 * The governor's side. What was taken is what was ever granted less what is left, so a token that is taken while the budget
 * is being topped up is never lost nor given twice.
 */
export class RetryBudget {
  readonly #ledger: Ledger;
  readonly #slot: number;
  readonly #window: RollingWindow;
  readonly #counts = new Float64Array(2);
  readonly #classes = new Float64Array(REQUEST_CLASSES);
  readonly #failures = new Float64Array(FAILURE_REASONS.length);
  #policy: RetryPolicy;
  #granted: number;

  /** Fills the budget at once, so that the first request may already be retried. */
  constructor(ledger: Ledger, slot: number, policy: RetryPolicy, nowMs: number) {
    this.#ledger = ledger;
    this.#slot = slot;
    this.#policy = policy;
    this.#granted = ledger.word('service', slot, SERVICE_WORD.retryTokens);
    this.#count(this.#granted);
    this.#window = new RollingWindow(this.#counts, nowMs);
    this.refill(nowMs);
  }

  setPolicy(policy: RetryPolicy, nowMs: number): void {
    this.#policy = policy;
    this.refill(nowMs);
  }

  refill(nowMs: number): void {
    const left = this.#ledger.word('service', this.#slot, SERVICE_WORD.retryTokens);
    this.#count(left);
    this.#window.advance(nowMs, this.#counts);
    const { budgetRatio, budgetMinPerSecond } = this.#policy;
    const allowed = Math.max(
      budgetRatio * this.#window.difference(0),
      budgetMinPerSecond * WINDOW_SECONDS,
    );
    const due = Math.floor(Math.min(allowed, TOKENS_MAX)) - this.#window.difference(1);
    const change = Math.max(due, 0) - left;
    if (change === 0) return;
    this.#granted += change;
    this.#ledger.addWord('service', this.#slot, SERVICE_WORD.retryTokens, change);
  }

  #count(left: number): void {
    this.#ledger.sumInto('service', this.#slot, SERVICE_OWN.requests, this.#classes);
    let requests = 0;
    for (const count of this.#classes) requests += count;
    this.#ledger.sumInto('service', this.#slot, SERVICE_OWN.failures, this.#failures);
    for (const place of WITHOUT_RETRIES) requests -= this.#failures[place] ?? 0;
    this.#counts[0] = requests;
    this.#counts[1] = this.#granted - left;
  }
}
