/** Long work in short turns of the event loop, so that what others wait for runs in between. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** A turn ends after this time; the piece in hand is finished first. */
const TURN_MS = 5;

/** One for each piece of long work; pieces should be short. */
export class Turns {
  readonly #clock: Clock;
  #endMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#endMs = clock.nowMs() + TURN_MS;
  }

  /** Whether to wait for `next` before the next piece. */
  get isOver(): boolean {
    return this.#clock.nowMs() >= this.#endMs;
  }

  /** Resolves when everything else that was due has run. */
  async next(): Promise<void> {
    await nextTurn();
    this.#endMs = this.#clock.nowMs() + TURN_MS;
  }
}
