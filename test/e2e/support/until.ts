/** Waiting for what happens in another process: asks again until it is so. */

import { setTimeout as sleep } from 'node:timers/promises';

/** A busy machine stands still for seconds. Who has to tell soon from late measures it, and says what would be late. */
const TIMEOUT_MS_MIN = 30_000;

/** Asks every few milliseconds until `ask` returns something other than undefined, null or false; then returns that. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  timeoutMs = 60_000,
): Promise<NonNullable<T>> {
  if (timeoutMs < TIMEOUT_MS_MIN) throw new Error(`${timeoutMs} ms are few for a busy machine`);
  const end = performance.now() + timeoutMs;
  let last: unknown = '';
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== null && answer !== false) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end)
      throw new Error(`Gave up after ${timeoutMs} ms waiting until ${what}; last: ${String(last)}`);
    await sleep(5);
  }
}
