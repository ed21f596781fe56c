/** The thread that runs all callers. */

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.ts';
import { Caller, type CallerOptions, type Outcome } from './caller.ts';

export type Target = Omit<CallerOptions, 'clock'>;

export type TrafficRequest = { readonly kind: 'outcome' | 'stop'; readonly id: number };

export interface TrafficReply {
  readonly id: number;
  readonly services: Readonly<Record<string, Outcome>>;
}

const port = parentPort;
if (port === null) throw new Error('The traffic runs as a worker: start it with startTraffic()');
const targets: readonly Target[] = workerData;
const callers = targets.map((target) => ({
  service: target.service,
  caller: new Caller({ ...target, clock: systemClock }),
}));
for (const { caller } of callers) caller.start();

port.on('message', (request: TrafficRequest) => void answer(request));

async function answer(request: TrafficRequest): Promise<void> {
  if (request.kind === 'stop') await Promise.all(callers.map(({ caller }) => caller.stop()));
  const services = Object.fromEntries(
    callers.map(({ service, caller }) => [service, caller.outcome()]),
  );
  const reply: TrafficReply = { id: request.id, services };
  port?.postMessage(reply);
}
