/**
 * Work by key: each key at most once in the queue and once at work, a few keys at a time, those that are urgent first, and
 * writes no faster than allowed.
 */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../base/clock.ts';
import { TokenBucket } from '../base/token-bucket.ts';

/** After this time other things of the process get their turn. */
const TURN_MS = 5;

export interface WorkQueueOptions {
  readonly clock: Clock;
  /** Keys at work at a time. */
  readonly concurrency: number;
  /** Never throws: what goes wrong is its own business. */
  readonly work: (key: string) => Promise<void>;
}

/** A key that is added while it is at work is done once more after that. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #urgent = new Set<string>();
  readonly #waiting = new Set<string>();
  readonly #atWork = new Set<string>();
  #workers = 0;
  #turnEndMs = 0;
  #isOpen = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#urgent.size + this.#waiting.size + this.#atWork.size;
  }

  open(): void {
    this.#isOpen = true;
  }

  /** Forgets what waits; what is at work ends by itself. */
  close(): void {
    this.#isOpen = false;
    this.#urgent.clear();
    this.#waiting.clear();
  }

  /** One that waits already becomes urgent, never the other way round. */
  add(key: string, isUrgent = false): void {
    if (!this.#isOpen) return;
    if (isUrgent) {
      this.#waiting.delete(key);
      this.#urgent.add(key);
    } else if (!this.#urgent.has(key)) {
      this.#waiting.add(key);
    }
    if (this.#workers >= this.#options.concurrency) return;
    this.#workers += 1;
    void this.#run();
  }

  async #run(): Promise<void> {
    // Keys that come together are all there before the first one is looked at.
    await Promise.resolve();
    try {
      for (let key = this.#next(); key !== undefined; key = this.#next()) {
        this.#atWork.add(key);
        try {
          await this.#yield();
          await this.#options.work(key);
        } finally {
          this.#atWork.delete(key);
        }
      }
    } finally {
      this.#workers -= 1;
    }
  }

  #next(): string | undefined {
    return this.#firstOf(this.#urgent) ?? this.#firstOf(this.#waiting);
  }

  #firstOf(keys: Set<string>): string | undefined {
    for (const key of keys) {
      if (this.#atWork.has(key)) continue;
      keys.delete(key);
      return key;
    }
    return undefined;
  }

  async #yield(): Promise<void> {
    if (this.#options.clock.nowMs() < this.#turnEndMs) return;
    await nextTurn();
    this.#turnEndMs = this.#options.clock.nowMs() + TURN_MS;
  }
}

/** A token bucket that makes takers wait in order. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #takers: (() => void)[] = [];
  #pausedUntilMs = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock, perSecond: number, burst: number) {
    this.#clock = clock;
    this.#bucket = new TokenBucket(clock, { perSecond, burst });
  }

  /** Resolves when one more may go. */
  take(): Promise<void> {
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      if (this.#timer === null) this.#serve();
    });
  }

  /** Nobody goes for that long: the server asked for it. */
  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#clock.nowMs() + ms);
  }

  /** Lets all who wait go: they see for themselves that it is over. */
  release(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const go of this.#takers.splice(0)) go();
  }

  #serve(): void {
    this.#timer = null;
    let waitMs = Math.max(0, this.#pausedUntilMs - this.#clock.nowMs());
    while (waitMs === 0 && this.#takers.length > 0) {
      waitMs = this.#bucket.take();
      if (waitMs === 0) this.#takers.shift()?.();
    }
    if (waitMs > 0) this.#timer = this.#clock.after(waitMs, () => this.#serve());
  }
}
