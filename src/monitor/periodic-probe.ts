/**
 * Asks one question again and again: at once, then every 30 s while all is well, and every 5 s while something fails. What the
 * question is, and what fails, is up to whoever asks.
 */

import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';

export interface PeriodicProbeOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** One round; resolves with what is to be known next. Never rejects. `isOver`: it was stopped meanwhile, and what it finds does not count. */
  readonly ask: (isOver: () => boolean) => Promise<'well' | 'failing'>;
}

const PERIOD_MS = 30_000;
const PERIOD_FAILING_MS = 5_000;
/** Share of a period that is left to chance, so that replicas do not ask together. */
const JITTER = 0.2;
/** Failures in a row before it is a problem: one lost packet is none. */
const FAILURES_BEFORE_PROBLEM = 2;

export class PeriodicProbe {
  readonly #options: PeriodicProbeOptions;
  #timer: Timer | null = null;
  #isStarted = false;
  #run = 0;

  constructor(options: PeriodicProbeOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    void this.#round(++this.#run);
  }

  stop(): void {
    this.#isStarted = false;
    this.#run += 1;
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #round(run: number): Promise<void> {
    const { clock, random, ask } = this.#options;
    const isOver = (): boolean => run !== this.#run;
    const outcome = await ask(isOver);
    if (isOver()) return;
    const periodMs = outcome === 'failing' ? PERIOD_FAILING_MS : PERIOD_MS;
    this.#timer = clock.after(periodMs * (1 - JITTER / 2 + JITTER * random.next()), () => {
      void this.#round(run);
    });
  }
}

/** What one thing answered last, and how often in a row it failed. */
export class Streak<T extends { readonly state: string }> {
  readonly #unknown: T;
  #status: T;
  #failures = 0;

  constructor(unknown: T) {
    this.#unknown = unknown;
    this.#status = unknown;
  }

  get status(): T {
    return this.#status;
  }

  get isFailing(): boolean {
    return this.#failures > 0;
  }

  get isProblem(): boolean {
    return this.#failures >= FAILURES_BEFORE_PROBLEM;
  }

  take(status: T): void {
    this.#failures = status.state === 'works' ? 0 : this.#failures + 1;
    this.#status = status;
  }

  forget(): void {
    this.#status = this.#unknown;
    this.#failures = 0;
  }
}
