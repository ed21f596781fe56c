/** The end of a proxy: what runs is finished, who waits is told, what does not end is cut. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { freshAddress, GET, OK, proxyFor, type TestProxy } from '../support/proxy.ts';
import { CONNECTION_BYTES } from '../../src/proxy/net/caller-room.ts';
import { dial, type Dialled, eventually, RawEndpoint } from '../support/wire.ts';

async function serving(t: TestContext) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  return { proxy, service, caller, wire, endpoint };
}

/** Resolves when nobody listens any more. Somebody who dials meanwhile would keep the listener open: it closes when nobody comes. */
async function refused(t: TestContext, proxy: TestProxy, to: Dialled): Promise<void> {
  await eventually(() => proxy.context.places.size === 0, 'nobody to listen');
  await assert.rejects(dial(t, to), { code: 'ECONNREFUSED' });
}

/** Begins to drain; resolves when nothing listens any more, a few hundred milliseconds later. */
async function beginDrain(proxy: TestProxy, timeoutMs: number): Promise<{ over: Promise<number> }> {
  const over = proxy.server.drain(timeoutMs);
  await proxy.advanceUntil(() => proxy.server.listeners === 0, 'the listeners to close');
  return { over };
}

test('what runs is finished and told to go; then the drain is over', async (t) => {
  const { proxy, service, caller, wire } = await serving(t);
  const { over: drained } = await beginDrain(proxy, 10_000);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  await assert.rejects(dial(t, to), { code: 'ECONNREFUSED' });
  wire.write(OK);
  assert.match(await caller.rest(), /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\nok$/);
  caller.end();
  await wire.gone();
  await eventually(() => proxy.context.callerConnections === 0, 'the caller to be gone');
  proxy.advance(20);
  assert.equal(await drained, 0);
});

test('nobody is told to go as long as another thread still accepts', async (t) => {
  const { proxy, service, caller, wire } = await serving(t);
  const { promise: othersClosed, resolve: close } = Promise.withResolvers<void>();
  const drained = proxy.server.drain(10_000, 0, () => othersClosed);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  await refused(t, proxy, to);
  proxy.advance(2_000);
  wire.write(OK);
  assert.doesNotMatch(await caller.until('ok'), /close/i);
  caller.write(GET);
  await wire.head();
  close();
  await proxy.advanceUntil(() => proxy.server.listeners === 0, 'the end of the wait');
  wire.write(OK);
  assert.match(await caller.rest(), /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\nok$/);
  caller.end();
  await wire.gone();
  await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the caller to be gone');
  proxy.advance(20);
  assert.equal(await drained, 0);
});

test('a thread that never stops accepting holds the farewell up for a quarter of the drain', async (t) => {
  const { proxy, service, caller } = await serving(t);
  const drained = proxy.server.drain(10_000, 0, () => new Promise(() => undefined));
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  await refused(t, proxy, to);
  proxy.advance(2_480);
  assert.equal(proxy.context.draining, false);
  proxy.advance(40);
  await eventually(() => proxy.context.draining, 'the farewell');
  proxy.advance(7_480);
  assert.equal(await drained, 1);
  assert.equal(await caller.gone(), 'reset');
});

test('other threads have their time after the last callers that are led here, not beside them', async (t) => {
  const { proxy } = await serving(t);
  // A quarter of the drain is over before the late callers are.
  const drained = proxy.server.drain(1_000, 400, () => new Promise(() => undefined));
  await proxy.advanceUntil(() => proxy.context.places.size === 0, 'nobody to listen');
  for (let ms = 0; ms < 200; ms += 20) {
    proxy.advance(20);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await turn();
  }
  assert.equal(proxy.server.listeners, 1, 'the others have not closed yet');
  proxy.advance(100);
  await eventually(() => proxy.server.listeners === 0, 'the end of their time');
  proxy.advance(1_000);
  assert.equal(await drained, 1);
});

test('where callers may still be led here, they are told at once, and served when they come back', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await serving(t);
  const drained = proxy.server.drain(10_000, 5_000);
  wire.write(OK);
  assert.match(await caller.rest(), /Connection: close\r\n\r\nok$/);
  caller.end();
  const again = await proxy.call(service);
  again.write(GET);
  const second = await endpoint.next();
  await second.head();
  second.write(OK);
  assert.match(await again.rest(), /Connection: close\r\n\r\nok$/);
  again.end();
  await proxy.advanceUntil(() => proxy.server.listeners === 0, 'the listeners to close');
  await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the callers to be gone');
  proxy.advance(20);
  assert.equal(await drained, 0);
});

test('a caller idle for long is closed at once, one that was busy just now a little later', async (t) => {
  const { proxy, service, caller, wire } = await serving(t);
  wire.write(OK);
  await caller.until('ok');
  proxy.advance(3_000);
  const busy = await proxy.call(service);
  busy.write(GET);
  await wire.head();
  wire.write(OK);
  await busy.until('ok');
  const { over: drained } = await beginDrain(proxy, 10_000);
  assert.equal(await caller.rest(), '');
  caller.end();
  assert.equal(busy.ending, 'open');
  proxy.advance(2_100);
  assert.equal(await busy.rest(), '');
  busy.end();
  await eventually(() => proxy.context.callerConnections === 0, 'the callers to be gone');
  proxy.advance(20);
  assert.equal(await drained, 0);
});

test('a request that comes on a kept connection during the drain is served, with Connection: close', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  const { over: drained } = await beginDrain(proxy, 10_000);
  caller.write(GET);
  assert.match(await caller.rest(), /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\nok$/);
  caller.end();
  await eventually(() => proxy.context.callerConnections === 0, 'the caller to be gone');
  proxy.advance(20);
  assert.equal(await drained, 0);
});

test('a kept connection without a request is closed before the drain ends', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  const { over: drained } = await beginDrain(proxy, 10_000);
  proxy.advance(2_100);
  assert.equal(await caller.rest(), '');
  caller.end();
  await eventually(() => proxy.context.callerConnections === 0, 'the caller to be gone');
  proxy.advance(20);
  assert.equal(await drained, 0);
});

test('what does not end in time is cut and counted', async (t) => {
  const { proxy, service, caller, wire } = await serving(t);
  const { over: drained } = await beginDrain(proxy, 5_000);
  proxy.advance(4_000);
  assert.equal(caller.ending, 'open');
  proxy.advance(1_100);
  assert.equal(await drained, 1);
  assert.equal(proxy.failures(service, 'draining'), 1);
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
});

test('a tunnel is cut when the time is over', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  await caller.head();
  const { over: drained } = await beginDrain(proxy, 5_000);
  caller.write('still');
  await wire.until('still');
  proxy.advance(5_100);
  assert.equal(await drained, 1);
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
});

test('a response that is whole arrives, though its caller has not read it when the time is over', async (t) => {
  const { proxy, service, caller, wire } = await serving(t);
  caller.socket.pause();
  const body = 'z'.repeat(500_000);
  wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  const { room } = proxy.context;
  await eventually(() => {
    room.sweep();
    return proxy.requests(service, 2) === 1 && room.bytes === CONNECTION_BYTES;
  }, 'the kernel to have it');
  const { over: drained } = await beginDrain(proxy, 1_000);
  proxy.advance(1_000);
  assert.equal(await drained, 1);
  caller.socket.resume();
  await caller.head();
  assert.equal(await caller.rest(), body);
});
