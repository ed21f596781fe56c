/** Waits for what the API server shows, within a time. */

import { type Clock, delay } from '../base/clock.ts';

const PERIOD_MS = 1_000;

export interface WaitOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** What is missing, as a sentence; '' when nothing is. */
  readonly missing: () => Promise<string>;
  /** Called when that sentence changes. */
  readonly tell?: (missing: string) => void;
}

/** Asks every second. What is still missing when the time is over, or ''. */
export async function waitUntil(options: WaitOptions): Promise<string> {
  const { clock, timeoutMs, missing, tell } = options;
  const endMs = clock.nowMs() + timeoutMs;
  let told = '';
  for (;;) {
    const now = await missing();
    if (now === '' || clock.nowMs() >= endMs) return now;
    if (now !== told) tell?.(now);
    told = now;
    await delay(clock, PERIOD_MS);
  }
}
