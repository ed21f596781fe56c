/** Limits a line of the log that peers could repeat without end: written once in ten seconds, with how many were left out. */

import type { Clock } from './clock.ts';

const EVERY_MS = 10_000;

export class LogThrottle {
  readonly #clock: Clock;
  #writtenAtMs = -Infinity;
  #skipped = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `write` with how many were left out since the last time, or leaves this one out. */
  run(write: (skipped: number) => void): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#writtenAtMs < EVERY_MS) {
      this.#skipped += 1;
      return;
    }
    this.#writtenAtMs = nowMs;
    const skipped = this.#skipped;
    this.#skipped = 0;
    write(skipped);
  }
}
