/** Waits before a change that takes something away: half-written files and replaced folders pass in a moment. */

import type { Clock } from '../../base/clock.ts';

/** A loss must look the same for this long before it counts. */
export const SETTLE_MS = 40;

/** A file that changes all the time is taken as it is after this long. */
export const HOLD_MS_MAX = 500;

interface HeldLoss {
  readonly fingerprint: string;
  readonly atMs: number;
  readonly sinceMs: number;
}

/** One hold per path. Whoever asks comes back for every path in `paths()` after `SETTLE_MS`. */
export class Holds {
  /** While set, nothing is held: a start or a reload takes things as they are. */
  isOff = false;
  readonly #clock: Clock;
  readonly #holds = new Map<string, HeldLoss>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when the loss may be applied now; otherwise it is remembered. `fingerprint` tells one state of the path from another. */
  mayApply(path: string, fingerprint: string): boolean {
    const nowMs = this.#clock.nowMs();
    const hold = this.#holds.get(path);
    const isSettled = hold?.fingerprint === fingerprint && nowMs - hold.atMs >= SETTLE_MS;
    const isOverdue = hold !== undefined && nowMs - hold.sinceMs >= HOLD_MS_MAX;
    if (this.isOff || isSettled || isOverdue) {
      this.#holds.delete(path);
      return true;
    }
    if (hold?.fingerprint !== fingerprint) {
      this.#holds.set(path, { fingerprint, atMs: nowMs, sinceMs: hold?.sinceMs ?? nowMs });
    }
    return false;
  }

  /** Forgets the path: it is whole again. */
  clear(path: string): void {
    this.#holds.delete(path);
  }

  paths(): readonly string[] {
    return [...this.#holds.keys()];
  }
}
