/**
 * The last resort of a process that carries traffic. What its main thread throws for an unknown cause, past every guard,
 * does not end the process, and the proxy threads with it: the parts of the main thread are made anew while the threads go
 * on. When that happens too often the process ends, in order. See docs/decisions/main-thread.md.
 */

import type { Clock } from './clock.ts';
import type { Guard } from './guard.ts';
import type { Log } from './log.ts';

/** Times within `WINDOW_MS` that parts are made anew. */
export const RESTARTS_MAX = 10;
const WINDOW_MS = 600_000;

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly guard: Guard;
  /** Makes each part anew, by what it is called in the log; none may wait for another. */
  readonly parts: Readonly<Record<string, () => Promise<void>>>;
  /** It happened too often, or a part cannot be made anew: ends the process in order. */
  readonly giveUp: () => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  /** When parts were made anew, clock milliseconds. */
  #timesMs: number[] = [];
  #isRestarting = false;
  #gaveUp = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Whether the process ends because of what was thrown. */
  get gaveUp(): boolean {
    return this.#gaveUp;
  }

  /** From now on; before the first traffic a defect should end the process. */
  start(): void {
    process.on('uncaughtException', this.#onThrown);
  }

  /** May be called before `start`. */
  stop(): void {
    process.off('uncaughtException', this.#onThrown);
  }

  readonly #onThrown = (error: unknown): void => {
    this.#options.guard.caught('other', error);
    if (!this.#gaveUp && !this.#isRestarting) void this.#restart();
  };

  async #restart(): Promise<void> {
    const { clock, log, parts } = this.#options;
    const nowMs = clock.nowMs();
    this.#timesMs = this.#timesMs.filter((timeMs) => timeMs > nowMs - WINDOW_MS);
    if (this.#timesMs.length >= RESTARTS_MAX) {
      return this.#end(`it failed ${RESTARTS_MAX + 1} times in ten minutes`);
    }
    this.#timesMs.push(nowMs);
    this.#isRestarting = true;
    for (const [name, restart] of Object.entries(parts)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one after the other, so that an error is of one
        await restart();
      } catch (error) {
        log.error('A part of the main thread cannot be started again', { name, error });
        this.#end(`its part "${name}" cannot be started again`);
      }
    }
    this.#isRestarting = false;
    log.warn(
      'The main thread failed, and its parts were started again; the proxy threads went on',
      {
        parts: Object.keys(parts).join(', '),
      },
    );
  }

  #end(reason: string): void {
    if (this.#gaveUp) return;
    this.#gaveUp = true;
    this.#options.log.error(`The main thread cannot go on: ${reason}; this process ends in order`);
    this.#options.giveUp();
  }
}
