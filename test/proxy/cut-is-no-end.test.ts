/** A response that lasts until the connection closes ends with FIN. A reset is a cut, whatever was read, paused or drained before. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { ENDPOINT_OWN } from '../../src/proxy/ledger/layout.ts';
import {
  freshAddress,
  GET,
  type ProxyOptions,
  proxyFor,
  type TestProxy,
} from '../support/proxy.ts';
import { eventually, RawEndpoint, settled, type Wire } from '../support/wire.ts';

const OPEN = 'HTTP/1.1 200 OK\r\n\r\n';
const GET10 = 'GET / HTTP/1.0\r\n\r\n';
const LONG = 64 << 20;

async function streaming(t: TestContext, request: string, options: ProxyOptions = {}) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], options);
  const caller = await proxy.call(service);
  caller.write(request);
  const wire = await endpoint.next();
  await wire.until('\r\n\r\n');
  const cuts = (): number => proxy.failures(service, 'endpoint_reset_body');
  return { endpoint, proxy, service, caller, wire, cuts };
}

for (const [version, request] of [
  ['1.0', GET10],
  ['1.1', GET],
] as const) {
  test(`HTTP/${version}: a reset behind a part of the body is a cut`, async (t) => {
    const { proxy, service, endpoint, caller, wire, cuts } = await streaming(t, request);
    wire.write(`${OPEN}some`);
    await caller.until('some');
    wire.reset();
    assert.equal(await caller.gone(), 'reset');
    assert.equal(cuts(), 1);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.resets), 1);
  });

  test(`HTTP/${version}: a reset in the same turn as the body is a cut`, async (t) => {
    const { caller, wire, cuts } = await streaming(t, request);
    wire.write(`${OPEN}some`);
    wire.reset();
    assert.equal(await caller.gone(), 'reset');
    await eventually(() => cuts() === 1, 'the failure');
  });

  test(`HTTP/${version}: a reset while the caller is slow and we have paused is a cut`, async (t) => {
    const { caller, wire, cuts } = await streaming(t, request);
    caller.socket.pause();
    caller.discard();
    wire.write(OPEN);
    wire.write(Buffer.alloc(LONG, 120));
    // The rest is stuck on its way: the caller takes nothing.
    await settled(() => 1 + caller.socket.bytesRead, 20);
    assert(wire.socket.writableLength > 0);
    wire.reset();
    caller.socket.resume();
    assert.equal(await caller.gone(), 'reset');
    assert(caller.bytesReceived < LONG);
    await eventually(() => cuts() === 1, 'the failure');
  });

  test(`HTTP/${version}: a reset during the drain is a cut`, async (t) => {
    const { proxy, caller, wire, cuts } = await streaming(t, request);
    wire.write(`${OPEN}some`);
    await caller.until('some');
    const drained = proxy.server.drain(5_000);
    await eventually(() => proxy.server.listeners === 0, 'the listeners to close');
    wire.write('more');
    await caller.until('more');
    wire.reset();
    assert.equal(await caller.gone(), 'reset');
    assert.equal(await drained, 0);
    assert.equal(cuts(), 1);
  });

  test(`HTTP/${version}: FIN is the end, also behind bytes that a slow caller has not taken yet`, async (t) => {
    const { caller, wire, cuts } = await streaming(t, request);
    caller.socket.pause();
    const body = 'z'.repeat(8 << 20);
    wire.write(OPEN + body);
    wire.end();
    await settled(() => 1 + caller.socket.bytesRead);
    caller.socket.resume();
    await caller.until('\r\n\r\n');
    await caller.received(body.length);
    if (version === '1.0') assert.equal(await caller.rest(), body);
    else await caller.until('0\r\n\r\n');
    assert.equal(cuts(), 0);
  });
}

test('a reset that a failed write has met first is a cut: the kernel tells the read of an end', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (let i = 0; i < 20; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write('POST / HTTP/1.0\r\nContent-Length: 9000000\r\n\r\nab');
    const wire = await endpoint.next();
    await wire.until('ab');
    wire.write(`${OPEN}some`);
    await caller.until('some');
    wire.socket.pause();
    // Both in one turn, so that the proxy may find its bytes refused before it reads of the reset.
    caller.write(Buffer.alloc(200_000, 120));
    wire.reset();
    assert.equal(await caller.gone(), 'reset', `round ${i}`);
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 20);
});

/** Sends little by little until the kernel takes no more of it for a reader that takes nothing, and some is left with the proxy. */
async function stuff(from: Wire, proxy: TestProxy): Promise<number> {
  const { room } = proxy.context;
  room.sweep();
  const before = room.bytes;
  const piece = Buffer.alloc(16_384, 120);
  for (let bytes = piece.length; bytes < LONG; bytes += piece.length) {
    from.write(piece);
    // oxlint-disable-next-line no-await-in-loop -- one piece after the other
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    room.sweep();
    if (room.bytes > before) return bytes;
  }
  return assert.fail('the kernel took everything');
}

/** Lets the reader have some, now and then, until it has all or its connection ends; time goes by. */
async function readSlowly(reader: Wire, proxy: TestProxy, bytes: number): Promise<void> {
  const { socket } = reader;
  let goal = 0;
  const pause = (): unknown => reader.bytesReceived >= goal && socket.pause();
  socket.on('data', pause);
  while (reader.bytesReceived < bytes && reader.ending === 'open') {
    goal = Math.min(reader.bytesReceived + 131_072, bytes);
    socket.resume();
    const isRead = (): boolean => reader.bytesReceived >= goal || reader.ending !== 'open';
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(isRead, 'some bytes');
    proxy.advance(SLOW_MS);
  }
  socket.off('data', pause);
  socket.resume();
}

/** Between two reads of one that is slow. The kernel tells of some of them only: less than the limits of both sides. */
const SLOW_MS = 1_000;
const SLOW = { manual: true, settings: { callerIdleMs: 10_000 } };

for (const stops of [false, true]) {
  test(`HTTP/1.0: the last bytes of a response ${stops ? 'are cut for a caller that stops' : 'wait for a slow caller'}`, async (t) => {
    const { proxy, caller, wire } = await streaming(t, GET10, SLOW);
    caller.socket.pause();
    caller.discard();
    wire.write(OPEN);
    const bytes = await stuff(wire, proxy);
    wire.end();
    await wire.rest();
    if (stops) {
      proxy.advance(21_000);
      caller.socket.resume();
      assert.equal(await caller.gone(), 'reset');
      return;
    }
    await readSlowly(caller, proxy, bytes);
    assert.equal(await caller.gone(), 'ended');
    assert(caller.bytesReceived > bytes, `${caller.bytesReceived} of ${bytes}`);
  });

  test(`the last bytes of a tunnel ${stops ? 'are cut for an endpoint that stops' : 'wait for a slow endpoint'}`, async (t) => {
    const { proxy, caller, wire } = await streaming(
      t,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
      SLOW,
    );
    wire.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await caller.head();
    const before = wire.bytesReceived;
    wire.socket.pause();
    wire.discard();
    const bytes = await stuff(caller, proxy);
    caller.end();
    wire.end();
    await caller.rest();
    if (stops) {
      proxy.advance(21_000);
      wire.socket.resume();
      assert.equal(await wire.gone(), 'reset');
      return;
    }
    await readSlowly(wire, proxy, before + bytes);
    assert.equal(await wire.gone(), 'ended');
    assert.equal(wire.bytesReceived, before + bytes);
  });
}
