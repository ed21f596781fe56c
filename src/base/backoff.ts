/** How long to wait before the next try: longer with each failure in a row, and never in step with others. */

import type { Random } from './random.ts';

/** Ceilings of the wait; each wait is between half of its ceiling and all of it. */
export interface BackoffBounds {
  /** After the first failure; it doubles with each further one. */
  readonly firstMs: number;
  readonly lastMs: number;
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
    const { firstMs, lastMs } = this.#bounds;
    const ceilingMs = Math.min(firstMs * 2 ** Math.min(this.#failures, 30), lastMs);
    this.#failures += 1;
    return ceilingMs * (0.5 + 0.5 * this.#random.next());
  }

  reset(): void {
    this.#failures = 0;
  }
}
