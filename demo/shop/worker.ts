/** The thread that runs every replica of the shop, so that they do not share an event loop with callers or the view. */

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import type { ShopPod } from './manifest.ts';
import { Replica, type Mode, type ReplicaCounts } from './replica.ts';

export interface ShopWorkerData {
  readonly pods: readonly ShopPod[];
  readonly spells: boolean;
}

export type ShopRequest =
  | { readonly kind: 'mode'; readonly id: number; readonly pod: string; readonly mode: Mode }
  | { readonly kind: 'counts'; readonly id: number };

export type ShopReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'cannot-listen'; readonly pod: ShopPod; readonly code: string }
  | { readonly kind: 'done'; readonly id: number; readonly error: string }
  | {
      readonly kind: 'counts';
      readonly id: number;
      readonly pods: Readonly<Record<string, ReplicaCounts>>;
    };

const port = parentPort;
if (port === null) throw new Error('The shop runs as a worker: start it with startShop()');
const data: ShopWorkerData = workerData;
const replicas = new Map(
  data.pods.map((pod) => [
    pod.name,
    new Replica({ pod, clock: systemClock, random: systemRandom, spells: data.spells }),
  ]),
);

port.on('message', (request: ShopRequest) => {
  if (request.kind === 'mode') void changeMode(request);
  else reply({ kind: 'counts', id: request.id, pods: allCounts() });
});

await open();

async function open(): Promise<void> {
  for (const replica of replicas.values()) {
    try {
      await replica.listen();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      reply({ kind: 'cannot-listen', pod: replica.pod, code });
      return;
    }
  }
  reply({ kind: 'ready' });
}

async function changeMode(request: Extract<ShopRequest, { kind: 'mode' }>): Promise<void> {
  let error = '';
  try {
    await replicas.get(request.pod)?.become(request.mode);
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
  }
  reply({ kind: 'done', id: request.id, error });
}

function allCounts(): Record<string, ReplicaCounts> {
  return Object.fromEntries([...replicas].map(([name, replica]) => [name, replica.counts()]));
}

function reply(message: ShopReply): void {
  port?.postMessage(message);
}
