/** A thread that the system does not let run for a while: what came in time meanwhile is in time. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Clock, ManualClock } from '../../src/base/clock.ts';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { ENDPOINT_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, proxyFor, TestProxy } from '../support/proxy.ts';
import { atEnd, blackHole, dial, eventually } from '../support/wire.ts';

const TRY_MS = 1_000;
const STALL_MS = 2_000;

/** An endpoint on a thread of its own: it tells of a request, and answers half a time limit later. */
const ENDPOINT = `
  const { parentPort, workerData } = require('node:worker_threads');
  const server = require('node:http').createServer((_, response) => {
    parentPort.postMessage('asked');
    setTimeout(() => response.end('ok'), ${TRY_MS / 2});
  });
  server.listen(0, workerData, () => parentPort.postMessage(server.address().port));
`;

async function endpointOf(t: TestContext) {
  const address = freshAddress();
  const worker = new Worker(ENDPOINT, { eval: true, workerData: address });
  atEnd(t, () => void worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  return { worker, at: { address, port } };
}

test('an answer that came in time is none that is late, though the thread stood still', async (t) => {
  const { worker, at } = await endpointOf(t);
  const timeouts = { ...DEFAULT_POLICIES.timeouts, tryMs: TRY_MS };
  const { proxy, service } = await proxyFor(t, [at], { policies: { timeouts } });
  const never = new Int32Array(new SharedArrayBuffer(4));
  worker.once('message', () => Atomics.wait(never, 0, 0, STALL_MS));
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
  assert.equal(proxy.endpointFigure(service, at, ENDPOINT_OWN.timeouts), 0);
});

test('the time to connect begins with the dial, though the thread stood still just before', async (t) => {
  const manual = new ManualClock();
  let stoodMs = 0;
  const clock: Clock = {
    nowMs: () => manual.nowMs() + stoodMs,
    wallMs: () => manual.wallMs() + stoodMs,
    after: (delayMs, run) => manual.after(delayMs, run),
    every: (periodMs, run) => manual.every(periodMs, run),
  };
  const silent = await blackHole(t, freshAddress());
  const proxy = new TestProxy(t, { clock });
  const timeouts = { ...DEFAULT_POLICIES.timeouts, connectMs: 1_000 };
  const service = proxy.service({ endpoints: [silent], policies: { timeouts }, tcp: true });
  await proxy.apply([service]);
  const figure = (cell: number): number => proxy.endpointFigure(service, silent, cell);
  // In the turn in which the caller is let in, before the wheel has seen what time it is.
  stoodMs = 1_500;
  await dial(t, { address: service.address, port: service.ports[0]!.port });
  await eventually(() => figure(ENDPOINT_OWN.connectionsOpened) === 1, 'the dial');
  manual.advance(500);
  assert.equal(figure(ENDPOINT_OWN.timeouts), 0);
  await eventually(() => {
    manual.advance(100);
    return proxy.context.callerConnections === 0;
  }, 'the caller to be let go of');
  assert.ok(figure(ENDPOINT_OWN.timeouts) > 0);
});
