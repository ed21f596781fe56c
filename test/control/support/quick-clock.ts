/**
 * The system's time, faster while a test has to wait for what takes long by design. A process that stands still does not jump ahead
 * then: half a second of a busy machine would be as long as a Lease.
 */

import { type Clock, systemClock, type Timer } from '../../../src/base/clock.ts';

const TICK_MS = 5;
/** What a fast clock sees of a time in which nothing ran. */
const STOOD_STILL_MS = 25;

interface Entry {
  dueMs: number;
  /** 0 for once. */
  readonly everyMs: number;
  readonly run: () => void;
  timer: Timer | null;
}

export class QuickClock implements Clock {
  readonly #timers = new Set<Entry>();
  #rate = 1;
  /** Of both, when the rate was set. */
  #realMs = systemClock.nowMs();
  #ticker: NodeJS.Timeout | undefined;
  #ownMs = this.#realMs;

  nowMs(): number {
    const realMs = systemClock.nowMs() - this.#realMs;
    return (
      this.#ownMs + (this.#rate === 1 ? realMs : Math.min(realMs, STOOD_STILL_MS) * this.#rate)
    );
  }

  wallMs(): number {
    return systemClock.wallMs() + this.nowMs() - systemClock.nowMs();
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add(delayMs, 0, run);
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add(periodMs, periodMs, run);
  }

  /** Timers that somebody still waits for. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** So many times as fast as real time from here on. */
  setRate(rate: number): void {
    this.#tick();
    this.#rate = rate;
    clearInterval(this.#ticker);
    if (rate !== 1) this.#ticker = setInterval(() => this.#tick(), TICK_MS).unref();
    for (const entry of this.#timers) this.#arm(entry);
  }

  #tick(): void {
    this.#ownMs = this.nowMs();
    this.#realMs = systemClock.nowMs();
  }

  #add(delayMs: number, everyMs: number, run: () => void): Timer {
    const entry = { dueMs: this.nowMs() + delayMs, everyMs, run, timer: null };
    this.#timers.add(entry);
    this.#arm(entry);
    return { cancel: () => this.#drop(entry) };
  }

  #arm(entry: Entry): void {
    entry.timer?.cancel();
    const leftMs = Math.max(entry.dueMs - this.nowMs(), 0) / this.#rate;
    entry.timer = systemClock.after(leftMs, () => this.#fire(entry));
  }

  #fire(entry: Entry): void {
    // A part of a millisecond that the sum of two times lacks is long here.
    if (entry.dueMs > this.nowMs()) return this.#arm(entry);
    if (entry.everyMs === 0) {
      this.#drop(entry);
    } else {
      entry.dueMs = this.nowMs() + entry.everyMs;
      this.#arm(entry);
    }
    entry.run();
  }

  #drop(entry: Entry): void {
    entry.timer?.cancel();
    this.#timers.delete(entry);
  }
}
