/** The live traffic from the outside: starts the thread with the callers and reads what they saw. */

import { Worker } from 'node:worker_threads';
import type { Outcome } from './caller.ts';
import type { Target, TrafficReply, TrafficRequest } from './worker.ts';

export type Outcomes = Readonly<Record<string, Outcome>>;

export interface RunningTraffic {
  outcomes(): Promise<Outcomes>;
  /** Sends nothing more, waits for the answers under way (10 s at most) and returns the final counts. */
  finish(): Promise<Outcomes>;
  /** Settles when the thread ends by itself. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

export function startTraffic(targets: readonly Target[]): RunningTraffic {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: targets });
  const waiting = new Map<number, (reply: TrafficReply) => void>();
  let nextId = 0;
  worker.on('message', (reply: TrafficReply) => {
    waiting.get(reply.id)?.(reply);
    waiting.delete(reply.id);
  });
  const failed = new Promise<Error>((resolve) => {
    worker.once('error', (error) =>
      resolve(error instanceof Error ? error : new Error(String(error))),
    );
    worker.once('exit', (code) =>
      resolve(new Error(`the callers' thread ended with code ${code}`)),
    );
  });
  const ask = (kind: TrafficRequest['kind']): Promise<Outcomes> =>
    new Promise((resolve) => {
      const id = nextId++;
      waiting.set(id, (reply) => resolve(reply.services));
      worker.postMessage({ kind, id } satisfies TrafficRequest, []);
    });
  return {
    failed,
    outcomes: () => ask('outcome'),
    finish: () => ask('stop'),
    async stop() {
      await worker.terminate();
    },
  };
}
