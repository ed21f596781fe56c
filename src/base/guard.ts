/**
 * The boundary between what peers send and the process. Every handler of a socket, server or stream that a peer can reach
 * runs inside: what it throws is a defect of maesh, and costs the one datagram or connection that it came with.
 */

import type { Clock, Timer } from './clock.ts';
import type { Log } from './log.ts';
import { LogThrottle } from './log-throttle.ts';

/** The parts of a process that defects are counted by. */
export const PARTS = ['admin', 'config', 'discovery', 'dns', 'other', 'proxy'] as const;
export type Part = (typeof PARTS)[number];

export class Guard {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #counts = new Map<Part, number>(PARTS.map((part) => [part, 0]));
  readonly #throttles = new Map<Part, LogThrottle>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Defects since the start, by part. */
  get counts(): ReadonlyMap<Part, number> {
    return this.#counts;
  }

  /** A handler that lets nothing out. When `handle` throws, `drop` gets the same arguments and lets go of what they belong to. */
  wrap<Arguments extends readonly unknown[]>(
    part: Part,
    handle: (...args: Arguments) => void,
    drop: (...args: Arguments) => void,
  ): (...args: Arguments) => void {
    return (...args) => {
      try {
        handle(...args);
      } catch (error) {
        this.caught(part, error);
        drop(...args);
      }
    };
  }

  /** The same clock, whose timers let nothing out. */
  clock(part: Part): Clock {
    const clock = this.#clock;
    const guarded = (run: () => void): (() => void) => this.wrap(part, run, () => undefined);
    return {
      nowMs: () => clock.nowMs(),
      wallMs: () => clock.wallMs(),
      after: (delayMs, run): Timer => clock.after(delayMs, guarded(run)),
      every: (periodMs, run): Timer => clock.every(periodMs, guarded(run)),
    };
  }

  /** Counts a defect, and logs it with its stack and `fields`, once in a while for each part. */
  caught(part: Part, error: unknown, fields: Readonly<Record<string, unknown>> = {}): void {
    this.add(part, 1);
    let throttle = this.#throttles.get(part);
    if (throttle === undefined)
      this.#throttles.set(part, (throttle = new LogThrottle(this.#clock)));
    throttle.run((skipped) =>
      this.#log.error('A defect in maesh, please report it; the rest goes on', {
        part,
        error,
        ...fields,
        ...(skipped === 0 ? {} : { alsoCaught: skipped }),
      }),
    );
  }

  /** Counts defects that were logged elsewhere. */
  add(part: Part, count: number): void {
    this.#counts.set(part, (this.#counts.get(part) ?? 0) + count);
  }
}
