/** A line of the log that strangers could repeat without end: told once in a while, with how often it was meant. */

import type { Clock } from './clock.ts';

const EVERY_MS = 10_000;

export class Rare {
  readonly #clock: Clock;
  #toldAtMs = -Infinity;
  #untold = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `tell` with how many were left out since the last time, or leaves this one out. */
  tell(tell: (untold: number) => void): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#toldAtMs < EVERY_MS) {
      this.#untold += 1;
      return;
    }
    this.#toldAtMs = nowMs;
    const untold = this.#untold;
    this.#untold = 0;
    tell(untold);
  }
}
