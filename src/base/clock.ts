/** Time as a value that is passed in, so that tests own it. The only file that touches timers and the system clock. */

// As a global it is looked up anew by each call.
import { performance } from 'node:perf_hooks';

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds with a fraction, the same origin on every thread of the process. Never jumps. */
  nowMs(): number;
  /** Unix time in milliseconds, for people and logs only. It may jump. */
  wallMs(): number;
  /** Calls `run` once after `delayMs`, never before `nowMs()` says that they are over. The timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` every `periodMs` until cancelled. The timer does not keep the process alive. */
  every(periodMs: number, run: () => void): Timer;
}

/** CLOCK_MONOTONIC has one origin for all threads; `performance.now()` counts from each thread's own start. */
const originMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

export const systemClock: Clock = {
  nowMs: () => originMs + performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const dueMs = systemClock.nowMs() + delayMs;
    // The runtime counts in whole milliseconds: its timers are early by a part of one.
    const fire = (): void => {
      const leftMs = dueMs - systemClock.nowMs();
      if (leftMs > 0) timer = startTimer(fire, leftMs);
      else run();
    };
    let timer = startTimer(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, run) {
    const timer = setInterval(run, periodMs);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
};

/** Longer ones would run at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

function startTimer(run: () => void, delayMs: number): NodeJS.Timeout {
  return setTimeout(run, Math.min(delayMs, TIMER_MS_MAX)).unref();
}

/** Resolves after `ms`, soon when that is 0 or below, or as soon as the signal is aborted: look at it afterwards. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(Math.max(ms, 0), done);
    signal?.addEventListener('abort', done);
    if (signal?.aborted === true) done();
  });
}

interface ManualTimer {
  at: number;
  readonly every: number;
  readonly run: () => void;
}

/** A clock that stands still until a test advances it; due timers run in order of their time. */
export class ManualClock implements Clock {
  #now: number;
  readonly #wallOffset: number;
  #timers: ManualTimer[] = [];

  constructor(startMs = 1_000_000, wallStartMs = 1_700_000_000_000) {
    this.#now = startMs;
    this.#wallOffset = wallStartMs - startMs;
  }

  nowMs(): number {
    return this.#now;
  }

  wallMs(): number {
    return this.#now + this.#wallOffset;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#add(delayMs, 0, run);
  }

  every(periodMs: number, run: () => void): Timer {
    return this.#add(periodMs, periodMs, run);
  }

  /** Moves time forward by `ms`, running what becomes due on the way at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: ManualTimer | undefined;
      for (const timer of this.#timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
      }
      if (next === undefined) break;
      this.#now = Math.max(this.#now, next.at);
      if (next.every > 0) next.at += next.every;
      else this.#timers = this.#timers.filter((timer) => timer !== next);
      next.run();
    }
    this.#now = end;
  }

  #add(delayMs: number, every: number, run: () => void): Timer {
    const timer = { at: this.#now + Math.max(delayMs, 0), every, run };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
  }
}
