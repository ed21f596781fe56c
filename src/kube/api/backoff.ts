/** How long to wait before the next try: longer with each failure in a row, and never in step with others. */

import type { Random } from '../../base/random.ts';

/** Least and longest wait. */
const DELAY_MS_MIN = 800;
const DELAY_MS_MAX = 30_000;

export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Failures since the last `reset`. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure and tells the wait: 0.8 to 1.6 s after the first, twice that after each further one, up to 30 s. */
  fail(): number {
    const ceilingMs = Math.min(DELAY_MS_MAX, 2 * DELAY_MS_MIN * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return ceilingMs * (0.5 + 0.5 * this.#random.next());
  }

  reset(): void {
    this.#failures = 0;
  }
}
