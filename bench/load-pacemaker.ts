/** Wakes the load generator when a request is due: an event loop counts whole milliseconds only, a futex wait does not. */

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../src/base/clock.ts';

interface Pace {
  /** [0] counts the schedules that began; the newest one began at `startMs[0]` of the clock. */
  readonly gate: Int32Array;
  readonly startMs: Float64Array;
  readonly periodMs: number;
}

const { gate, startMs, periodMs }: Pace = workerData;
const port = parentPort;
port?.postMessage('waiting');
Atomics.wait(gate, 0, 0);

let schedule = 0;
let tick = 0;
for (;;) {
  const newest = Atomics.load(gate, 0);
  if (newest !== schedule) tick = 0;
  schedule = newest;
  const origin = startMs[0] ?? 0;
  const waitMs = origin + tick * periodMs - systemClock.nowMs();
  // A schedule that begins meanwhile ends the wait.
  if (waitMs > 0 && Atomics.wait(gate, 0, schedule, waitMs) === 'ok') continue;
  port?.postMessage('due');
  // Ticks that passed meanwhile are one: the receiver sends all that is due.
  tick = Math.max(tick + 1, Math.floor((systemClock.nowMs() - origin) / periodMs));
}
