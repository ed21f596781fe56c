/** Upgrade: bytes both ways after a 101, and what may not become a tunnel. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { ENDPOINT_OWN, SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { BREAKER_CLOSED } from '../../src/proxy/policy/breaker.ts';
import { exampleBreaker } from '../support/model.ts';
import { freshAddress, GET, OK, proxyFor, type ProxyOptions } from '../support/proxy.ts';
import { readSome } from '../support/slow-reader.ts';
import { CONNECTION_BYTES } from '../../src/proxy/net/caller-room.ts';
import { HIGH_WATER_BYTES } from '../../src/proxy/net/socket.ts';
import { eventually, RawEndpoint, settled } from '../support/wire.ts';

const ASK =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n';
const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

async function tunnel(
  t: Parameters<typeof proxyFor>[0],
  options: ProxyOptions & { policies?: object } = {},
) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], options);
  const caller = await proxy.call(service);
  caller.write(ASK);
  const wire = await endpoint.next();
  assert.match(await wire.head(), /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n$/);
  wire.write(SWITCH);
  assert.equal(await caller.head(), SWITCH);
  return { endpoint, proxy, service, caller, wire };
}

test('bytes pass both ways, whatever they look like', async (t) => {
  const { proxy, service, caller, wire } = await tunnel(t);
  caller.write(`\x81\x00${GET}`);
  assert.equal(await wire.bytes(2 + GET.length), `\x81\x00${GET}`);
  wire.write(`\x00${OK}`);
  assert.equal(await caller.bytes(1 + OK.length), `\x00${OK}`);
  assert.equal(proxy.figure(service, SERVICE_OWN.upgradesActive), 1);
  caller.end();
  assert.equal(await wire.rest(), '');
  wire.write('bye');
  wire.end();
  assert.equal(await caller.rest(), 'bye');
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), 2 + GET.length);
  assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), 1 + OK.length + 3);
});

test('bytes sent before the 101 and right behind it arrive, in order', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`${ASK}early`);
  const wire = await endpoint.next();
  await wire.head();
  caller.write(' bird');
  assert.equal(wire.pending, '');
  wire.write(`${SWITCH}first`);
  assert.equal(await caller.until('first'), `${SWITCH}first`);
  assert.equal(await wire.bytes(10), 'early bird');
  wire.end();
  await caller.gone();
});

test('each side may close its half first', async (t) => {
  const { caller, wire } = await tunnel(t);
  wire.write('last');
  wire.end();
  assert.equal(await caller.rest(), 'last');
  caller.write('more');
  assert.equal(await wire.bytes(4), 'more');
  caller.end();
  await eventually(() => caller.socket.destroyed, 'the close');
});

test('a reset is passed on as a reset, both ways', async (t) => {
  const first = await tunnel(t);
  first.wire.reset();
  assert.equal(await first.caller.gone(), 'reset');
  const second = await tunnel(t);
  second.caller.reset();
  assert.equal(await second.wire.gone(), 'reset');
});

test('a tunnel that breaks counts as answered, whoever broke it: callers could blame endpoints else', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await tunnel(t, {
    policies: { breaker: exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 }) },
    manual: true,
  });
  proxy.advance(100);
  proxy.governor.tick();
  wire.reset();
  assert.equal(await caller.gone(), 'reset');
  proxy.advance(200);
  proxy.governor.tick();
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_CLOSED);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + 1), 1);
});

test('a tunnel without a byte for the idle time is cut at both sides, with a reset and a reason', async (t) => {
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, idleMs: 2_000 } };
  const { proxy, service, caller, wire } = await tunnel(t, { manual: true, policies });
  proxy.advance(1_900);
  caller.write('x');
  await wire.bytes(1);
  proxy.advance(1_900);
  wire.write('y');
  await caller.bytes(1);
  proxy.advance(2_100);
  assert.equal(await caller.gone(), 'reset');
  assert.equal(await wire.gone(), 'reset');
  assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 1);
  assert.equal(proxy.requests(service, 1), 1, 'it was answered when it opened');
});

test('a tunnel with a slow and steady reader is not idle', async (t) => {
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, idleMs: 1_000 } };
  const { proxy, service, caller, wire } = await tunnel(t, { manual: true, policies });
  caller.socket.pause();
  caller.discard();
  wire.write(Buffer.alloc(32 << 20, 1));
  await settled(() => 1 + caller.socket.bytesRead);
  for (let step = 0; step < 8; step++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await readSome(caller, 200_000);
    proxy.advance(800);
    assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 0, `step ${step}`);
  }
  await settled(() => 1 + caller.socket.bytesRead);
  proxy.advance(2_500);
  assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 1);
  caller.socket.resume();
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
});

test('who has taken all of what waited is not idle, however long that took', async (t) => {
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, idleMs: 1_000 } };
  const { proxy, service, caller, wire } = await tunnel(t, { manual: true, policies });
  const { room } = proxy.context;
  const waiting = (): number => {
    room.sweep();
    return room.bytes - proxy.context.callerConnections * CONNECTION_BYTES;
  };
  caller.socket.pause();
  caller.discard();
  let written = 0;
  for (; waiting() === 0; written += 8_192) {
    wire.write(Buffer.alloc(8_192, 1));
    // oxlint-disable-next-line no-await-in-loop -- until the system has no room for more; so the proxy is never far behind
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
  }
  proxy.advance(900);
  caller.socket.resume();
  await caller.received(SWITCH.length + written);
  await eventually(() => waiting() === 0, 'the last byte to leave');
  proxy.advance(200);
  assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 0);
  proxy.advance(1_000);
  assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 1);
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
});

test('a refused upgrade is an ordinary response, and the next request an ordinary request', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(ASK + GET);
  await caller.until('ok');
  await caller.until('ok');
  assert.equal(endpoint.heads.length, 2);
  assert.doesNotMatch(endpoint.heads[1] ?? '', /Upgrade/);
});

test('h2c is no upgrade: it is not asked for, and a 101 is refused', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () =>
    SWITCH.replace('websocket', 'h2c'),
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
  );
  assert.match(await caller.until('\n'), /^HTTP\/1\.1 502 /);
  assert.doesNotMatch(endpoint.heads[0] ?? '', /upgrade|http2/i);
});

const ASK_WITH_BODY = ASK.replace('GET', 'POST').replace(
  '\r\n\r\n',
  '\r\nContent-Length: 4\r\n\r\n',
);

test('an upgrade with a body switches behind the body', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`${ASK_WITH_BODY}body+`);
  const wire = await endpoint.next();
  await wire.head();
  assert.equal(await wire.bytes(4), 'body');
  wire.write(SWITCH);
  assert.equal(await wire.bytes(1), '+');
  await caller.head();
  caller.end();
  wire.end();
  await caller.rest();
});

test('a 101 before the whole body is refused: where the new protocol starts would be anybody’s guess', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`${ASK_WITH_BODY}bo`);
  const wire = await endpoint.next();
  await wire.until('bo');
  wire.write(SWITCH);
  assert.match(await caller.until('maesh: bad_response'), /^HTTP\/1\.1 502 /);
  await wire.gone();
});

test('a slow reader of a tunnel slows the other side down', async (t) => {
  const { caller, wire } = await tunnel(t);
  caller.socket.pause();
  caller.discard();
  const piece = Buffer.alloc(1 << 20, 1);
  const count = 64;
  for (let i = 0; i < count; i++) wire.write(piece);
  await eventually(() => wire.socket.bytesWritten > 1 << 20, 'the first bytes');
  const left = await settled(() => wire.socket.writableLength);
  assert(left > (count / 2) << 20, `the proxy took all but ${left} bytes`);
  caller.socket.resume();
  await caller.received(SWITCH.length + (count << 20));
  caller.end();
  wire.end();
});

test('a tunnel whose endpoint reads slowly is not held to the time limits of the request that opened it', async (t) => {
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, requestMs: 2_000 } };
  const { proxy, service, caller, wire } = await tunnel(t, { manual: true, policies });
  wire.socket.pause();
  wire.discard();
  const count = 32;
  for (let i = 0; i < count; i++) caller.write(Buffer.alloc(1 << 20, 1));
  await settled(() => 1 + caller.socket.writableLength);
  proxy.advance(5_000);
  await settled(() => 1 + caller.bytesReceived);
  assert.equal(caller.pending, '', 'nothing but what the endpoint says');
  assert.equal(proxy.figure(service, SERVICE_OWN.upgradesActive), 1);
  const before = wire.bytesReceived;
  wire.socket.resume();
  await wire.received(before + (count << 20));
  caller.end();
  wire.write('all');
  wire.end();
  assert.equal(await caller.rest(), 'all');
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
});

/** A tunnel that both sides have closed, with bytes on their way to the endpoint, which does not read. */
async function leftBehind(t: Parameters<typeof tunnel>[0], options: ProxyOptions = {}) {
  const { proxy, service, caller, wire } = await tunnel(t, options);
  const { room } = proxy.context;
  wire.socket.pause();
  const waiting = (): number => {
    room.sweep();
    return room.bytes - proxy.context.callerConnections * CONNECTION_BYTES;
  };
  let written = 0;
  for (; waiting() === 0; written += 8_192) {
    caller.write(Buffer.alloc(8_192, 1));
    // oxlint-disable-next-line no-await-in-loop -- until the system has no room for more; so the proxy is never far behind
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
  }
  wire.end();
  caller.end();
  assert.equal(await caller.rest(), '');
  await eventually(() => proxy.context.callerConnections === 0, 'the end of the caller');
  assert(waiting() > 0);
  wire.discard();
  return { proxy, service, wire, waiting, written };
}

test('the last bytes of a tunnel count as long as they wait, after their caller is gone', async (t) => {
  const { wire, waiting, written } = await leftBehind(t);
  wire.socket.resume();
  await wire.received(written);
  await eventually(() => waiting() === 0, 'the last byte');
  assert.equal(await wire.gone(), 'ended');
});

test('the last bytes of a tunnel make room for callers, and their endpoint is told that they are not all', async (t) => {
  const connections = 20;
  const settings = { callerMemoryBytes: connections * CONNECTION_BYTES };
  const { proxy, service, wire, waiting } = await leftBehind(t, { settings });
  const callers = [];
  for (let i = 0; i < connections; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    callers.push(await proxy.call(service));
  }
  await eventually(() => proxy.context.callerConnections === connections, 'all callers');
  assert.equal(waiting(), 0);
  assert.equal(proxy.context.room.count('memory', 'leaving'), 1);
  wire.socket.resume();
  assert.equal(await wire.gone(), 'reset');
});

test('what the endpoint of a tunnel has not taken counts as held for the caller', async (t) => {
  const { proxy, caller, wire } = await tunnel(t);
  const { room } = proxy.context;
  wire.socket.pause();
  for (let i = 0; i < 32; i++) caller.write(Buffer.alloc(1 << 20, 1));
  await settled(() => 1 + caller.socket.writableLength);
  room.sweep();
  assert(room.bytes >= CONNECTION_BYTES + HIGH_WATER_BYTES / 2, `${room.bytes} bytes`);
  wire.reset();
  assert.equal(await caller.gone(), 'reset');
});
