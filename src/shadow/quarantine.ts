/** When a quarantine that an object tells by wall-clock time is over, by a clock that nobody can set. */

import type { Clock } from '../base/clock.ts';

/** Times kept; of more, those that are over are forgotten. */
const TIMES_MAX = 50_000;

export class Quarantine {
  readonly #clock: Clock;
  readonly #lengthMs: number;
  /** Of each time as written, when it is over, monotonic. */
  readonly #overAt = new Map<string, number>();

  constructor(clock: Clock, lengthMs: number) {
    this.#clock = clock;
    this.#lengthMs = lengthMs;
  }

  /** RFC 3339. */
  now(): string {
    return new Date(this.#clock.wallMs()).toISOString();
  }

  /** Monotonic. A time that is read for the first time counts by the wall clock, and never longer than a whole quarantine. */
  overAtMs(retiredAt: string): number {
    const known = this.#overAt.get(retiredAt);
    if (known !== undefined) return known;
    const sinceMs = this.#clock.wallMs() - Date.parse(retiredAt);
    const leftMs = Math.min(Math.max(this.#lengthMs - sinceMs, 0), this.#lengthMs);
    // What cannot be read counts from now.
    const overMs = this.#clock.nowMs() + (Number.isNaN(leftMs) ? this.#lengthMs : leftMs);
    this.#set(retiredAt, overMs);
    return overMs;
  }

  isOver(retiredAt: string): boolean {
    return this.overAtMs(retiredAt) <= this.#clock.nowMs();
  }

  #set(text: string, overMs: number): void {
    this.#overAt.set(text, overMs);
    if (this.#overAt.size <= TIMES_MAX) return;
    const nowMs = this.#clock.nowMs();
    for (const [time, endMs] of this.#overAt) if (endMs <= nowMs) this.#overAt.delete(time);
  }
}
