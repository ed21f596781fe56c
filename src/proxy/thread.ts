/** Entry of a proxy thread: listens to the main thread and runs one ProxyServer. */

import { BlockList, isIPv6 } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import assert from 'node:assert';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { ThreadContext } from './context.ts';
import { LedgerView } from './ledger/cells.ts';
import type { FromThread, ThreadData, ToThread } from './message.ts';
import { ProxyServer } from './server.ts';
import { probeHandles } from './socket.ts';

assert(parentPort !== null, 'thread.ts runs as a worker thread');
const port = parentPort;
const { settings } = workerData as ThreadData;
const view = new LedgerView();
const context = new ThreadContext({
  clock: systemClock,
  random: systemRandom,
  settings,
  isTrusted: trustCheck(settings.trustedSources),
});
const server = new ProxyServer(context, view, systemClock, systemRandom);
let version = 0;
/** Deltas apply strictly one after the other. */
let queue: Promise<void> = start();

port.on('message', (message: ToThread) => {
  if (message.kind === 'chunks') for (const chunk of message.chunks) view.add(chunk);
  else queue = queue.then(() => handle(message));
});
server.onRetried = report;

async function start(): Promise<void> {
  await probeHandles();
  context.wheel.start();
  send({ kind: 'started' });
}

async function handle(message: Exclude<ToThread, { kind: 'chunks' }>): Promise<void> {
  switch (message.kind) {
    case 'delta':
      await server.apply(message.delta);
      version = message.delta.version;
      return report();
    case 'drain':
      return send({ kind: 'drained', cut: await server.drain(message.timeoutMs) });
    case 'reopen':
      return context.accessLog?.reopen();
  }
}

function report(): void {
  send({ kind: 'applied', version, listeners: server.listeners, failures: server.failures });
}

function send(message: FromThread): void {
  port.postMessage(message);
}

/** The CIDRs were checked when the settings were read. */
function trustCheck(cidrs: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address, bits] = cidr.split('/') as [string, string];
    list.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
