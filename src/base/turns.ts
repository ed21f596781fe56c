/** Long work in short turns of the event loop, so that what others wait for runs in between. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from './clock.ts';

/** A turn ends after this time; the piece in hand is finished first. */
const TURN_MS = 5;
/** Turns that others get in a row: a request takes some to be read, sent on and answered. */
const TURNS_FOR_OTHERS = 4;
/** A turn that was shorter had nothing to do. */
const IDLE_MS = 0.25;

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

  /** Resolves when everything else that was due has run, and what came of it. */
  async next(): Promise<void> {
    let nowMs = this.#clock.nowMs();
    for (
      let turn = 0, startMs = -Infinity;
      turn < TURNS_FOR_OTHERS && nowMs - startMs >= IDLE_MS;
      turn++
    ) {
      startMs = nowMs;
      // oxlint-disable-next-line no-await-in-loop -- one turn of the event loop is what is asked for
      await nextTurn();
      nowMs = this.#clock.nowMs();
    }
    this.#endMs = nowMs + TURN_MS;
  }
}
