/** Wakes the load generator when a request is due: an event loop counts whole milliseconds only, a futex wait does not. */

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../src/base/clock.ts';

const { startMs, periodMs }: { startMs: number; periodMs: number } = workerData;
const port = parentPort;
const cell = new Int32Array(new SharedArrayBuffer(4));

let tick = 0;
for (;;) {
  const waitMs = startMs + tick * periodMs - systemClock.nowMs();
  if (waitMs > 0) Atomics.wait(cell, 0, 0, waitMs);
  port?.postMessage(0);
  // Ticks that passed meanwhile are one: the receiver sends all that is due.
  tick = Math.max(tick + 1, Math.floor((systemClock.nowMs() - startMs) / periodMs));
}
