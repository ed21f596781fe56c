/** The shop from the outside: starts the thread with the replicas, breaks and heals single ones. */

import { Worker } from 'node:worker_threads';
import { DemoError } from '../error.ts';
import type { ShopPod } from './manifest.ts';
import type { Mode, ReplicaCounts } from './replica.ts';
import type { ShopReply, ShopRequest, ShopWorkerData } from './worker.ts';

export interface RunningShop {
  /** Changes what one Pod does; settles once it is so. */
  setMode(pod: string, mode: Mode): Promise<void>;
  /** What each Pod counted itself, by name: the truth that the mesh's figures are held against. */
  counts(): Promise<Readonly<Record<string, ReplicaCounts>>>;
  /** Settles when the thread ends by itself, with the reason: it never does so in good health. */
  readonly failed: Promise<Error>;
  stop(): Promise<void>;
}

/** Rejects with a `DemoError` when a Pod's address cannot be bound. Only Pods with a port are started. */
export async function startShop(
  pods: readonly ShopPod[],
  options: { readonly spells: boolean },
): Promise<RunningShop> {
  const workerData: ShopWorkerData = {
    pods: pods.filter((pod) => pod.port !== 0),
    spells: options.spells,
  };
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData });
  const waiting = new Map<number, (reply: ShopReply) => void>();
  let nextId = 1;
  const failed = new Promise<Error>((resolve) => {
    worker.once('error', (error) =>
      resolve(error instanceof Error ? error : new Error(String(error))),
    );
    worker.once('exit', (code) => resolve(new Error(`the shop's thread ended with code ${code}`)));
  });
  const ready = new Promise<ShopReply>((resolve) => waiting.set(0, resolve));
  worker.on('message', (reply: ShopReply) => {
    const id = 'id' in reply ? reply.id : 0;
    waiting.get(id)?.(reply);
    waiting.delete(id);
  });
  const first = await Promise.race([ready, failed]);
  if (first instanceof Error || first.kind === 'cannot-listen') {
    await worker.terminate();
    throw first instanceof Error ? first : cannotListen(first);
  }
  const ask = (make: (id: number) => ShopRequest): Promise<ShopReply> =>
    new Promise((resolve) => {
      const id = nextId++;
      waiting.set(id, resolve);
      worker.postMessage(make(id), []);
    });
  return {
    failed,
    async setMode(pod, mode) {
      const reply = await ask((id) => ({ kind: 'mode', id, pod, mode }));
      if (reply.kind === 'done' && reply.error !== '') throw new Error(reply.error);
    },
    async counts() {
      const reply = await ask((id) => ({ kind: 'counts', id }));
      return reply.kind === 'counts' ? reply.pods : {};
    },
    async stop() {
      await worker.terminate();
    },
  };
}

function cannotListen(reply: Extract<ShopReply, { kind: 'cannot-listen' }>): DemoError {
  const { pod, code } = reply;
  const what = `Cannot start the replica "${pod.name}" on "${pod.ip}:${pod.port}"`;
  if (code === 'EADDRINUSE') {
    return new DemoError(
      `${what}: the port is taken, perhaps by another demo; see who has it with "ss -ltnp 'sport = :${pod.port}'" and end that`,
    );
  }
  if (code === 'EADDRNOTAVAIL') {
    return new DemoError(
      `${what}: this machine has no such address; bring the loopback up with "sudo ip addr add 127.0.0.1/8 dev lo"`,
    );
  }
  return new DemoError(`${what}: ${code}; allow listening there or change the Pod's address`);
}
