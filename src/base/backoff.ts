/** How long to wait before the next try: longer with each failure in a row, and never in step with others. */

import type { Random } from './random.ts';

/** Ceilings of the wait; each wait is between half of its ceiling and all of it. */
export interface BackoffBounds {
  /** After the first failure; it doubles with each further one. */
  readonly firstMs: number;
  readonly lastMs: number;
}

/** The wait after that many failures in a row, at least one, in milliseconds. */
export function backoffMs(random: Random, bounds: BackoffBounds, failures: number): number {
  const ceilingMs = Math.min(bounds.firstMs * 2 ** Math.min(failures - 1, 30), bounds.lastMs);
  return ceilingMs * (0.5 + 0.5 * random.next());
}

export class Backoff {
  readonly #random: Random;
  readonly #bounds: BackoffBounds;
  #failures = 0;

  constructor(random: Random, bounds: BackoffBounds) {
    this.#random = random;
    this.#bounds = bounds;
  }

  /** Failures since the last `reset`. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure and tells the wait, in milliseconds. */
  fail(): number {
    this.#failures += 1;
    return backoffMs(this.#random, this.#bounds, this.#failures);
  }

  reset(): void {
    this.#failures = 0;
  }
}
