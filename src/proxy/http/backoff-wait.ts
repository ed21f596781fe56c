/** The time between two tries. */

import type { Clock, Timer } from '../../base/clock.ts';

export class BackoffWait {
  #timer: Timer | null = null;

  /** What `next` throws goes to `onDefect`. */
  begin(clock: Clock, delayMs: number, next: () => void, onDefect: (error: unknown) => void): void {
    this.#timer = clock.after(delayMs, () => {
      this.#timer = null;
      try {
        next();
      } catch (error) {
        onDefect(error);
      }
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
