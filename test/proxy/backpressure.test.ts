/** Slow readers on either side: what they do not take stays where it comes from, not in our memory. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint, settled, type Wire } from '../support/wire.ts';

const TOTAL = 200 << 20;
const PIECE = Buffer.alloc(256 << 10, 120);
const GROWTH_MAX = 32 << 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Both ends live in this process: all they hold is one piece, so what grows is the proxy's. Garbage is not counted. */
function memory(): number {
  collectGarbage();
  const { rss, external, arrayBuffers } = process.memoryUsage();
  return Math.max(rss, external + arrayBuffers);
}

/** Writes so many bytes in pieces, never more than the kernel takes. */
async function pump(wire: Wire, piece = PIECE, total = TOTAL): Promise<void> {
  for (let sent = 0; sent < total; sent += piece.length) {
    if (!wire.socket.write(piece)) {
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      await new Promise((resolve) => wire.socket.once('drain', resolve));
    }
  }
}

/** Reads in bursts with pauses between them, then without. */
async function readSlowly(wire: Wire): Promise<number> {
  let most = 0;
  for (let burst = 0; burst < 10; burst++) {
    const goal = wire.bytesReceived + (4 << 20);
    wire.socket.resume();
    // oxlint-disable-next-line no-await-in-loop -- a poll
    await eventually(() => wire.bytesReceived >= goal, 'a burst');
    wire.socket.pause();
    // oxlint-disable-next-line no-await-in-loop -- a poll
    await new Promise((resolve) => setTimeout(resolve, 10));
    most = Math.max(most, memory());
  }
  wire.socket.resume();
  return most;
}

test('200 MB to a slow caller pass through little memory', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${TOTAL}\r\n\r\n`);
  const head = await caller.head();
  caller.discard();
  caller.socket.pause();
  const before = memory();
  const pumped = pump(wire);
  const stuck = await settled(() => wire.socket.bytesWritten);
  assert(stuck < TOTAL / 2, `the proxy took ${stuck} bytes that nobody read`);
  const most = Math.max(memory(), await readSlowly(caller));
  const startedMs = performance.now();
  await pumped;
  await caller.received(head.length + TOTAL, 20_000);
  const seconds = (performance.now() - startedMs) / 1_000;
  assert(most - before < GROWTH_MAX, `memory grew by ${(most - before) >> 20} MB`);
  assert(seconds < 10, `the rest took ${seconds} s`);
  assert.equal(caller.bytesReceived, head.length + TOTAL);
});

test('200 MB to a slow endpoint pass through little memory', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${TOTAL}\r\n\r\n`);
  const wire = await endpoint.next();
  const head = await wire.head();
  wire.discard();
  wire.socket.pause();
  const before = memory();
  const pumped = pump(caller);
  const stuck = await settled(() => caller.socket.bytesWritten);
  assert(stuck < TOTAL / 2, `the proxy took ${stuck} bytes that nobody read`);
  const most = Math.max(memory(), await readSlowly(wire));
  await pumped;
  await wire.received(head.length + TOTAL, 20_000);
  assert(most - before < GROWTH_MAX, `memory grew by ${(most - before) >> 20} MB`);
  wire.write(OK);
  assert.equal(await caller.until('ok'), OK);
  assert.equal(wire.bytesReceived, head.length + TOTAL);
});

test('an endpoint that floods a caller with 1xx is held back', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.discard();
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  const hints = Buffer.from('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(5_000));
  const total = 200 * hints.length;
  void pump(wire, hints, total);
  const stuck = await settled(() => wire.socket.bytesWritten, 60);
  assert(stuck < total / 2, `the proxy took ${stuck} bytes that nobody read`);
  caller.reset();
  await wire.gone();
});
