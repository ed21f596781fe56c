/** A pause that a signal ends early. */

import type { Clock } from '../../base/clock.ts';

/** Resolves after `delayMs`, or as soon as the signal is aborted: look at it afterwards. */
export function wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(delayMs, done);
  signal.addEventListener('abort', done);
  function done(): void {
    timer.cancel();
    signal.removeEventListener('abort', done);
    resolve();
  }
  if (signal.aborted) done();
  return promise;
}
