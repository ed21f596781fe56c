/** How long to wait before the next try: doubling, with jitter, so that a fleet does not come back in step. */

import type { Random } from '../base/random.ts';

const FIRST_MS = 200;
const LAST_MS = 10_000;

export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds until the next try; grows from 0.1–0.2 s to 5–10 s. */
  nextMs(): number {
    const ceilingMs = Math.min(FIRST_MS * 2 ** Math.min(this.#failures, 30), LAST_MS);
    this.#failures += 1;
    return ceilingMs * (0.5 + 0.5 * this.#random.next());
  }

  reset(): void {
    this.#failures = 0;
  }
}
