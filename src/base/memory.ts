/**
 * Lets the start have memory, and gives it back afterwards: what reading and compiling the configuration needed, and what V8 needs while
 * it compiles code, which comes in bursts for some seconds and after that whenever traffic changes its kind.
 */

import { setFlagsFromString } from 'node:v8';
import type { Clock, Timer } from './clock.ts';
import { isTuned, memoryTrimmer } from './libc.ts';

/**
 * Between two looks for freed memory. One with nothing to find takes some 0.3 ms, others 0.1 ms more for each MB; no thread can
 * allocate meanwhile.
 */
const TRIM_MS = 1_000;

/**
 * By how much a heap may grow before its garbage is collected again. While a large configuration arrives almost nothing is garbage, and
 * V8, which is told to save memory, would look again and again. 0 leaves it to V8.
 */
const GROWTH_PERCENT = { start: 100, later: 0 };
/** With fewer Services nothing is gained, and memory is what counts. */
const SERVICES_MIN = 3_000;

export interface MemoryTools {
  readonly grow: (percent: number) => void;
  readonly trim: () => void;
  /** Collects all garbage of the calling thread. */
  readonly collect: () => void;
}

/** Call on the main thread before threads get so many Services, and none has any. It holds for all threads, until `keepMemoryLow`. */
export function letMemoryGrow(services: number, tools = systemTools()): void {
  if (services >= SERVICES_MIN) tools.grow(GROWTH_PERCENT.start);
}

/** Call on the main thread when the first configuration is served; until the timer is cancelled. */
export function keepMemoryLow(clock: Clock, tools = systemTools()): Timer {
  let collected = false;
  tools.grow(GROWTH_PERCENT.later);
  tools.trim();
  return clock.every(TRIM_MS, () => {
    // A second after the start, so that nobody waits for it longer: V8 itself would take its time.
    if (!collected) tools.collect();
    collected = true;
    tools.trim();
  });
}

/** Nothing happens where `bin/maesh` did not start the process. */
function systemTools(): MemoryTools {
  return {
    grow(percent) {
      if (isTuned) setFlagsFromString(`--heap-growing-percent=${percent}`);
    },
    trim: memoryTrimmer(),
    collect() {
      globalThis.gc?.({ type: 'major', flavor: 'last-resort' });
    },
  };
}
