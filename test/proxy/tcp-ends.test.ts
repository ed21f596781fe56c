/** How connections of TCP end where no byte tells it, and who is blamed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  DEFAULT_FAILOVER,
  DEFAULT_HEALTH_CHECK,
  DEFAULT_POLICIES,
} from '../../src/model/defaults.ts';
import { EJECTED, IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { STEADY_MS } from '../../src/proxy/balance/health.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { piped, tcpFor } from '../support/tcp.ts';
import { blackHole, eventually, RawEndpoint, settled } from '../support/wire.ts';

for (const kind of ['http', 'grpc'] as const) {
  test(`an ejected endpoint comes back by a probe where the Service asks for checks by ${kind}`, async (t) => {
    const [sick, well] = [
      await RawEndpoint.listen(t, freshAddress()),
      await RawEndpoint.listen(t, freshAddress()),
    ];
    sick.stop();
    const { ejection, balance } = DEFAULT_POLICIES;
    const policies = {
      healthCheck: { ...DEFAULT_HEALTH_CHECK, kind },
      balance: { ...balance, algorithm: 'round-robin' as const },
      ejection: { ...ejection, consecutiveFailures: 1, maxEjectedRatio: 0.5 },
    };
    const { proxy, service } = await tcpFor(t, [sick, well], { manual: true, policies });
    const healthOf = (): number => proxy.endpointWord(service, sick, ENDPOINT_WORD.health);
    const call = async (): Promise<void> => {
      const caller = await proxy.call(service);
      caller.reset();
    };
    for (let i = 0; i < 4; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await call();
    }
    await eventually(() => healthOf() === EJECTED, 'the ejection');
    await sick.open();
    proxy.advance(ejection.baseMs * 4);
    await proxy.call(service);
    const probe = await sick.next();
    probe.write('hello');
    await eventually(() => healthOf() === IN_ROTATION, 'the return');
  });
}

test('a caller that resets while its endpoint does not read is noticed, and nobody else is blamed', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, { manual: true });
  wire.socket.pause();
  const block = Buffer.alloc(16 << 20, 'x');
  caller.socket.write(block);
  await settled(() => caller.socket.bytesWritten);
  caller.reset();
  await within(proxy, 5_000, () => proxy.failures(service, 'caller_gone') === 1);
  wire.discard();
  wire.socket.resume();
  assert.equal(await wire.gone(), 'reset');
});

test('a caller that has closed its half, and then resets, is noticed while its endpoint is silent', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, { manual: true });
  caller.end();
  assert.equal(await wire.rest(), '');
  proxy.advance(60_000);
  assert.equal(wire.ending, 'ended', 'a closed half alone is no reason');
  caller.reset();
  await within(proxy, 5_000, () => proxy.failures(service, 'caller_gone') === 1);
  // It has read the end before, so nothing but a write tells it.
  wire.write('x');
  await eventually(() => wire.ending === 'reset', 'the endpoint to hear of it');
});

test('two closed halves with bytes between them are no caller that is gone', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, { manual: true });
  wire.end();
  assert.equal(await caller.rest(), '');
  wire.socket.pause();
  const block = Buffer.alloc(16 << 20, 'y');
  caller.socket.end(block);
  await settled(() => wire.bytesReceived + 1);
  for (let i = 0; i < 100; i++) {
    proxy.advance(500);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await turn();
  }
  assert.equal(proxy.failures(service, 'caller_gone'), 0);
  wire.discard();
  wire.socket.resume();
  await wire.received(block.length);
});

test('a connection for which there is no room is reset, as all that the mesh ends', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint], { settings: { callerConnectionsMax: 1 } });
  await proxy.call(service);
  await endpoint.next();
  await proxy.callRefused(service);
  assert.equal(proxy.context.room.count('connections', 'refused'), 1);
});

test('after a failover the connect time is that of the Service that is called', async (t) => {
  const silent = await blackHole(t, freshAddress());
  const proxy = new TestProxy(t, { manual: true });
  const { timeouts } = DEFAULT_POLICIES;
  const port = 30_444;
  const called = proxy.service({
    key: 'test/db',
    tcp: true,
    port,
    policies: {
      timeouts: { ...timeouts, connectMs: 1_000 },
      failover: { ...DEFAULT_FAILOVER, service: 'test/other' },
    },
  });
  const other = proxy.service({
    key: 'test/other',
    tcp: true,
    port,
    endpoints: [silent],
    policies: { timeouts: { ...timeouts, connectMs: 3_600_000 } },
  });
  await proxy.apply([other, called]);
  const caller = await proxy.call(called);
  await eventually(
    () => proxy.endpointWord(other, silent, ENDPOINT_WORD.inFlight) === 1,
    'the dial',
  );
  proxy.advance(4_000);
  assert.equal(await caller.gone(), 'reset');
  assert.equal(proxy.failures(called, 'connect_timeout'), 1);
  assert.ok(proxy.endpointFigure(other, silent, ENDPOINT_OWN.timeouts) > 0);
});

test('an endpoint that resets what it has accepted, before its first byte, is ejected', async (t) => {
  const sick = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.bytes(1);
    wire.reset();
  });
  const well = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.bytes(1);
    wire.write('hello');
  });
  const { proxy, service } = await tcpFor(t, [sick, well]);
  const isOut = (): boolean => proxy.endpointWord(service, sick, ENDPOINT_WORD.health) === EJECTED;
  const ask = async (): Promise<string> => {
    const caller = await proxy.call(service);
    caller.write('x');
    return caller.bytes(5).catch(() => 'nothing');
  };
  const said: string[] = [];
  for (let i = 0; i < 40 && !isOut(); i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    said.push(await ask());
  }
  assert.ok(isOut(), `it attracts everybody: ${said.join(' ')}`);
  assert.equal(proxy.endpointFigure(service, sick, ENDPOINT_OWN.resets), 5);
  assert.equal(proxy.endpointWord(service, well, ENDPOINT_WORD.consecutiveFailures), 0);
  assert.deepEqual([await ask(), await ask(), await ask()], ['hello', 'hello', 'hello']);
});

test('what an endpoint has said, or how long it has stood, ends a row of failures; a reset afterwards is none', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t, { manual: true });
  const row = (): number =>
    proxy.endpointWord(service, endpoint, ENDPOINT_WORD.consecutiveFailures);
  const connect = async () => {
    const before = proxy.requests(service, 1);
    const next = await proxy.call(service);
    const theirs = await endpoint.next();
    await eventually(() => proxy.requests(service, 1) === before + 1, 'it to stand');
    return { caller: next, wire: theirs };
  };
  const fail = async (): Promise<void> => {
    const before = row();
    const { wire: sick } = await connect();
    sick.reset();
    await eventually(() => row() === before + 1, 'the failure');
  };
  await fail();
  await fail();
  wire.write('x');
  assert.equal(await caller.bytes(1), 'x');
  assert.equal(row(), 0, 'it has said something');
  wire.reset();
  await eventually(() => proxy.failures(service, 'endpoint_reset_body') === 3, 'the third reset');
  assert.equal(row(), 0);
  await fail();
  const silent = await connect();
  proxy.advance(STEADY_MS - 100);
  assert.equal(row(), 1);
  proxy.advance(200);
  assert.equal(row(), 0, 'it has stood');
  silent.wire.reset();
  await eventually(() => proxy.failures(service, 'endpoint_reset_body') === 5, 'the last reset');
  assert.equal(row(), 0);
  await fail();
  // A caller that leaves says nothing of an endpoint.
  const left = await connect();
  left.caller.reset();
  await eventually(() => proxy.failures(service, 'caller_gone') === 1, 'it to go');
  assert.equal(row(), 1);
});

test('an endpoint that closes what it has accepted, before anybody has said a word, is ejected', async (t) => {
  const sick = await RawEndpoint.listen(t, freshAddress(), async (wire) => wire.end());
  const well = await RawEndpoint.listen(t, freshAddress(), async (wire) => wire.write('hello'));
  const { proxy, service } = await tcpFor(t, [sick, well], { manual: true });
  const isOut = (): boolean => proxy.endpointWord(service, sick, ENDPOINT_WORD.health) === EJECTED;
  const ask = async (): Promise<string> => {
    const caller = await proxy.call(service);
    await eventually(() => caller.ending !== 'open' || caller.pending !== '', 'something');
    const said = caller.pending;
    if (said === '') caller.end();
    return said;
  };
  const said: string[] = [];
  for (let i = 0; i < 40 && !isOut(); i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    said.push(await ask());
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(() => proxy.endpointWord(service, sick, ENDPOINT_WORD.inFlight) === 0, 'it');
  }
  assert.ok(isOut(), `it attracts everybody: ${said.join(' ')}`);
  assert.equal(proxy.endpointFigure(service, sick, ENDPOINT_OWN.failed), 5);
  assert.equal(proxy.endpointWord(service, well, ENDPOINT_WORD.consecutiveFailures), 0);
  assert.deepEqual([await ask(), await ask(), await ask()], ['hello', 'hello', 'hello']);
});

test('who comes and goes without a word says nothing of its endpoint; who says something, and is let end, does', async (t) => {
  const { proxy, service, endpoint } = await piped(t, { manual: true });
  const row = (): number =>
    proxy.endpointWord(service, endpoint, ENDPOINT_WORD.consecutiveFailures);
  const connect = async () => {
    const before = proxy.requests(service, 1);
    const caller = await proxy.call(service);
    const wire = await endpoint.next();
    await eventually(() => proxy.requests(service, 1) === before + 1, 'it to stand');
    return { caller, wire };
  };
  const inFlight = (): number => proxy.endpointWord(service, endpoint, ENDPOINT_WORD.inFlight);
  for (let i = 1; i <= 2; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { wire } = await connect();
    wire.reset();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(() => row() === i, 'the failure');
  }
  // As a balancer checks whether somebody listens.
  const silent = await connect();
  silent.caller.end();
  assert.equal(await silent.wire.rest(), '');
  silent.wire.end();
  await eventually(() => inFlight() === 1, 'its end');
  assert.equal(row(), 2);
  // Some servers, such as stunnel, reset what ends before it has begun.
  const looked = await connect();
  looked.caller.end();
  assert.equal(await looked.wire.rest(), '');
  looked.wire.reset();
  await eventually(() => proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.resets) === 3, 'it');
  assert.equal(row(), 2);
  // As one ships logs.
  const oneWay = await connect();
  oneWay.caller.write('a line');
  oneWay.caller.end();
  assert.equal(await oneWay.wire.rest(), 'a line');
  oneWay.wire.end();
  await eventually(() => row() === 0, 'the praise');
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 2);
});

test('an endpoint that has turned a caller away is none that has stood, though the caller stays', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t, { manual: true });
  const failed = (): number => proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed);
  wire.end();
  assert.equal(await caller.rest(), '');
  assert.equal(failed(), 0, 'it may still take bytes');
  proxy.advance(STEADY_MS + 100);
  assert.equal(failed(), 1);
  // One that only takes.
  const log = await proxy.call(service);
  const taking = await endpoint.next();
  taking.end();
  assert.equal(await log.rest(), '');
  log.write('a line');
  assert.equal(await taking.bytes(6), 'a line');
  proxy.advance(STEADY_MS + 100);
  assert.equal(failed(), 1);
  assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.consecutiveFailures), 0);
});

test('an endpoint that gives up a silent caller after a while is not blamed for it', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t, { manual: true });
  const failed = (): number => proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed);
  // As servers do that want to know at once who calls.
  proxy.advance(2_000);
  wire.end();
  assert.equal(await caller.rest(), '');
  caller.end();
  const inFlight = (): number => proxy.endpointWord(service, endpoint, ENDPOINT_WORD.inFlight);
  await eventually(() => inFlight() === 0, 'its end');
  assert.equal(failed(), 0);
  const patient = await proxy.call(service);
  const next = await endpoint.next();
  await eventually(() => proxy.requests(service, 1) === 2, 'it to stand');
  proxy.advance(2_000);
  next.end();
  assert.equal(await patient.rest(), '');
  proxy.advance(STEADY_MS);
  assert.equal(failed(), 0);
  await proxy.call(service);
  const stern = await endpoint.next();
  await eventually(() => proxy.requests(service, 1) === 3, 'it to stand');
  proxy.advance(2_000);
  stern.reset();
  await eventually(() => proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.resets) === 1, 'it');
  assert.equal(failed(), 0);
});

test('last bytes that are given up leave nothing behind', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, {
    manual: true,
    settings: { callerMemoryBytes: 20_000 },
  });
  const [guest] = proxy.context.room.guestsOf(service.key);
  assert(guest !== undefined);
  wire.end();
  assert.equal(await caller.rest(), '');
  wire.socket.pause();
  const block = Buffer.alloc(32_768, 'z');
  while (guest.heldBytes === 0) {
    const passed = new Promise((resolve) => caller.socket.write(block, resolve));
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that the last one alone waits
    await passed;
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await turn();
  }
  caller.end();
  await eventually(() => proxy.context.callerConnections === 0, 'the tunnel to end');
  proxy.advance(100);
  await eventually(() => proxy.context.room.endpointConnections === 0, 'the endpoint to be left');
  assert.equal(proxy.context.room.count('memory', 'leaving'), 1);
  assert.equal(proxy.context.wheel.size, 0);
});

/** It comes true before so much time has passed. */
async function within(proxy: TestProxy, ms: number, ready: () => boolean): Promise<void> {
  const stepMs = 50;
  for (let left = ms; left > 0 && !ready(); left -= stepMs) {
    proxy.advance(stepMs);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await turn();
  }
  assert.ok(ready(), `not within ${ms} ms`);
}
