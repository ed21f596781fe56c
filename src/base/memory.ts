/**
 * Gives back the memory that start leaves behind: what reading and compiling the configuration needed, and what V8 needs while
 * it compiles code, which comes in bursts for some seconds and after that whenever traffic changes its kind.
 */

import type { Clock, Timer } from './clock.ts';
import { memoryTrimmer } from './libc.ts';

/**
 * Between two looks for freed memory. One with nothing to find takes some 0.3 ms, others 0.1 ms more for each MB; no thread can
 * allocate meanwhile.
 */
const TRIM_MS = 1_000;

export interface MemoryTools {
  readonly trim: () => void;
  /** Collects all garbage of the calling thread. */
  readonly collect: () => void;
}

/** Call on the main thread when the first configuration is served; until the timer is cancelled. */
export function keepMemoryLow(clock: Clock, tools = systemTools()): Timer {
  let collected = false;
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
    trim: memoryTrimmer(),
    collect() {
      globalThis.gc?.({ type: 'major', flavor: 'last-resort' });
    },
  };
}
