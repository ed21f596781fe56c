/** Which shadows to look at, and when. */

import type { Clock } from '../base/clock.ts';
import { WorkQueue } from './work.ts';

/** Services without a port that get another chance when ports become free. */
const FED_AT_ONCE = 32;
/** Shadows worked on at a time. An API server gives out cluster IPs one after the other, so that more would only queue there. */
const CONCURRENCY = 4;

export class ShadowQueue {
  /** Those that wait for agents to listen. */
  readonly waiting = new Set<string>();
  /** Those that wait for proxy ports. */
  readonly starved = new Set<string>();
  readonly #clock: Clock;
  readonly #queue: WorkQueue;
  /** Monotonic. */
  readonly #due = new Map<string, number>();

  constructor(clock: Clock, work: (name: string) => Promise<void>) {
    this.#clock = clock;
    this.#queue = new WorkQueue({ clock, concurrency: CONCURRENCY, work });
  }

  get size(): number {
    return this.#queue.size;
  }

  open(): void {
    this.#queue.open();
  }

  close(): void {
    this.#queue.close();
    this.#due.clear();
    this.waiting.clear();
    this.starved.clear();
  }

  /** Names that only wait to be published go first: at a first install callers need not wait until everything is announced. */
  soon(name: string): void {
    this.#queue.add(name, this.waiting.has(name));
  }

  after(name: string, delayMs: number): void {
    this.#due.set(name, this.#clock.nowMs() + delayMs);
  }

  /** At the earliest of these times, instead of when it was to be; never when there is none. */
  at(name: string, timesMs: readonly number[]): void {
    if (timesMs.length === 0) this.#due.delete(name);
    else this.#due.set(name, Math.min(...timesMs));
  }

  drop(name: string): void {
    this.#due.delete(name);
    this.waiting.delete(name);
  }

  /** To be called every now and then. */
  tick(): void {
    const nowMs = this.#clock.nowMs();
    for (const [name, dueMs] of this.#due) {
      if (dueMs > nowMs) continue;
      this.#due.delete(name);
      this.#queue.add(name);
    }
  }

  /** Ports have become free. Each time others are first, so that those that cannot have any never keep the rest from them. */
  feedStarved(): void {
    for (const name of [...this.starved].slice(0, FED_AT_ONCE)) {
      this.starved.delete(name);
      this.starved.add(name);
      this.#queue.add(name);
    }
  }
}
