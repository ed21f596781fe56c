/** What bounds connections of TCP, and what is told of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { STREAM_IDLE_MS } from '../../src/model/stream-limits.ts';
import { SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { accessLogOf } from '../support/access-log.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { piped } from '../support/tcp.ts';
import { eventually, RawEndpoint, settled } from '../support/wire.ts';

test('what is over a limit is reset at once: connections of the Service, of an endpoint, new ones', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { limits } = DEFAULT_POLICIES;
  const rate = { average: 2, periodMs: 60_000, burst: 2, per: 'service' as const, callersMax: 10 };
  const cases = [
    [{ limits: { ...limits, requestsInFlight: 2 } }, 'overloaded'],
    [{ limits: { ...limits, connectionsPerEndpoint: 2 } }, 'no_healthy_endpoint'],
    [{ rateLimit: rate }, 'rate_limited'],
  ] as const;
  const proxy = new TestProxy(t);
  for (const [index, [policies, reason]] of cases.entries()) {
    const service = proxy.service({
      key: `test/c${index}`,
      tcp: true,
      endpoints: [endpoint],
      policies,
    });
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.apply([service]);
    for (let i = 0; i < 2; i++) {
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await proxy.call(service);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await endpoint.next();
    }
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await proxy.callRefused(service);
    assert.equal(proxy.failures(service, reason), 1);
    assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 2);
  }
  assert.equal(endpoint.wires.length, 6);
});

test('silence is cut after a day, or when the Service says so, with a reset to both sides', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t, { manual: true });
  proxy.advance(DEFAULT_POLICIES.timeouts.idleMs * 2);
  wire.write('x');
  assert.equal(await caller.bytes(1), 'x');
  const timeouts = { ...DEFAULT_POLICIES.timeouts, idleMs: 2_000 };
  const sources = { 'timeouts.idleMs': { object: 'Service test/s0', field: 'annotations' } };
  await proxy.apply([{ ...service, policies: { ...service.policies, timeouts }, sources }]);
  const short = await proxy.call(service);
  await eventually(() => proxy.requests(service, 1) === 2, 'the second');
  proxy.advance(1_900);
  short.write('x');
  assert.equal(await (await endpoint.next()).bytes(1), 'x');
  proxy.advance(1_900);
  assert.equal(short.ending, 'open');
  proxy.advance(2_100);
  assert.equal(await short.gone(), 'reset');
  assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 1);
  assert.equal(caller.ending, 'open');
  assert.ok(STREAM_IDLE_MS > 2 * DEFAULT_POLICIES.timeouts.idleMs);
});

test('a lifetime ends what goes on, with a reset to both sides', async (t) => {
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, tunnelMs: 5_000 } };
  const { proxy, service, caller, wire } = await piped(t, { manual: true, policies });
  proxy.advance(4_900);
  assert.equal(caller.ending, 'open');
  proxy.advance(200);
  assert.equal(await caller.gone(), 'reset');
  assert.equal(await wire.gone(), 'reset');
  assert.equal(proxy.failures(service, 'tunnel_lifetime'), 1);
});

test('a slow reader holds its sender back, and gets every byte in the end', async (t) => {
  const { proxy, service, caller, wire } = await piped(t);
  const block = Buffer.alloc(1 << 20, 'abcdefgh');
  const total = 24;
  caller.socket.pause();
  let sent = 0;
  const send = (): void => {
    while (sent < total) {
      sent++;
      if (!wire.socket.write(block)) return;
    }
    wire.socket.end();
  };
  wire.socket.on('drain', send);
  send();
  await settled(() => wire.socket.bytesWritten);
  const held = [...proxy.context.room.guestsOf(service.key)].reduce(
    (sum, { heldBytes }) => sum + heldBytes,
    0,
  );
  assert.ok(held < 1_000_000, `${held} bytes wait`);
  assert.ok(sent < total, 'the sender waits');
  caller.discard();
  caller.socket.resume();
  await caller.received(total * block.length);
  assert.equal(caller.bytesReceived, total * block.length);
});

test('a connection of which nothing waits costs the room no looks until something does', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, { manual: true });
  const { room } = proxy.context;
  const [guest] = room.guestsOf(service.key);
  assert(guest !== undefined);
  for (const [from, to] of [
    [caller, wire],
    [wire, caller],
  ] as const) {
    room.sweep();
    assert.equal(guest.asleep, true);
    from.write('x');
    assert.equal(await to.bytes(1), 'x');
    assert.equal(guest.asleep, false);
  }
});

test('one line of the access log a connection, when it is over: what passed, or why nothing did', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t);
  const log = accessLogOf(t, proxy);
  caller.write('abc');
  await wire.bytes(3);
  wire.write('defgh');
  await caller.bytes(5);
  assert.equal(log.text, '');
  caller.end();
  wire.end();
  await eventually(() => log.text.includes('\n'), 'the line');
  const line = JSON.parse(log.text) as Record<string, unknown>;
  const { time, durationMs, callerAddress, ...rest } = line;
  assert.ok(typeof time === 'string' && typeof durationMs === 'number');
  assert.equal(callerAddress, '127.0.0.1');
  assert.deepEqual(rest, {
    originAddress: '',
    caller: '',
    service: service.key,
    port: service.ports[0]?.port,
    method: '',
    target: '',
    targetCut: false,
    protocol: 'TCP',
    status: 0,
    grpcStatus: '',
    failure: '',
    rule: '',
    requestBytes: 3,
    responseBytes: 5,
    tries: 1,
    endpoint: `${endpoint.address}:${endpoint.port}`,
  });
  log.text = '';
  await proxy.apply([proxy.service({ key: service.key, tcp: true })]);
  await proxy.callRefused(service);
  await eventually(() => log.text.includes('\n'), 'the second line');
  const { failure, tries, endpoint: at } = JSON.parse(log.text) as Record<string, unknown>;
  assert.deepEqual({ failure, tries, at }, { failure: 'no_endpoint', tries: 0, at: '' });
});

test('a port says otherwise than its Service, and is counted by itself', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ tcp: true, endpoints: [endpoint] });
  const [port] = service.ports;
  assert(port !== undefined);
  const { limits } = service.policies;
  const policies = { ...service.policies, limits: { ...limits, requestsInFlight: 1 } };
  const sources = { 'limits.requestsInFlight': { object: 'Service test/s0', field: 'x' } };
  await proxy.apply([{ ...service, ports: [{ ...port, policies, sources }] }]);
  await proxy.call(service);
  await endpoint.next();
  await proxy.callRefused(service);
  const slot = proxy.ledger.find('service', port.backend.id);
  assert(slot !== undefined);
  assert.equal(proxy.ledger.word('service', slot, SERVICE_WORD.inFlight), 1);
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 0);
});

test('who holds most makes room: its connection is reset, and the endpoint hears of it', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, {
    settings: { callerConnectionsMax: 2 },
  });
  const second = await proxy.call(service);
  await eventually(() => proxy.requests(service, 1) === 2, 'the second to stand');
  const other = await proxy.call(service, '127.0.0.77');
  await eventually(() => proxy.failures(service, 'caller_shed') === 1, 'one to be shed');
  await eventually(
    () => [caller, second].filter(({ ending }) => ending === 'reset').length === 1,
    'a reset',
  );
  assert.equal(other.ending, 'open');
  if (caller.ending === 'reset') assert.equal(await wire.gone(), 'reset');
});

test('last bytes are waited for as long as they move, at either side, and no longer', async (t) => {
  const { proxy, service, caller, wire } = await piped(t, { manual: true });
  caller.socket.pause();
  const block = Buffer.alloc(8 << 20, 'z');
  wire.socket.end(block);
  caller.end();
  await settled(() => wire.socket.bytesWritten);
  proxy.advance(30_000);
  assert.equal(proxy.context.callerConnections, 1, 'it still waits');
  caller.discard();
  caller.socket.resume();
  await caller.received(block.length);
  await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'the end');
  assert.equal(proxy.failures(service, 'tunnel_idle_timeout'), 0);
});

test('endpoints are checked by connections alone, whatever is asked for the ports of HTTP beside', async (t) => {
  const healthCheck = { ...DEFAULT_HEALTH_CHECK, intervalMs: 1_000 };
  const kinds = ['tcp', 'http'] as const;
  const looks: number[] = [];
  for (const kind of kinds) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { proxy, endpoint } = await piped(t, {
      manual: true,
      policies: { healthCheck: { ...healthCheck, kind } },
    });
    const enough = (): boolean => endpoint.wires.length > (kind === 'tcp' ? 2 : 1);
    for (let i = 0; i < 400 && !enough(); i++) {
      proxy.advance(20);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await new Promise((resolve) => setImmediate(resolve));
    }
    looks.push(endpoint.wires.length);
    assert.ok(
      endpoint.wires.every(({ pending }) => pending === ''),
      'nothing is sent',
    );
  }
  assert.deepEqual(looks, [3, 1]);
});
