/** Connections and tunnels with an endpoint that is no longer one: how long they go on, and how they end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { piped } from '../support/tcp.ts';
import { openWebSocket, webSocketEndpoint } from '../support/websocket.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const GOING_AWAY = '880203e9';
const drainsIn = (drainMs: number) => ({
  timeouts: { ...DEFAULT_POLICIES.timeouts, drainMs },
});

test('a connection goes on with an endpoint that left for as long as it may, and is reset', async (t) => {
  const policies = drainsIn(60_000);
  const { proxy, service, caller, wire } = await piped(t, { manual: true, policies });
  const other = await RawEndpoint.listen(t, freshAddress());
  await proxy.apply([proxy.service({ key: service.key, tcp: true, endpoints: [other], policies })]);
  proxy.advance(50_000);
  wire.write('still here');
  assert.equal(await caller.bytes(10), 'still here');
  const next = await proxy.call(service);
  next.write('x');
  const there = await other.next();
  assert.equal(await there.bytes(1), 'x');
  await proxy.advanceUntil(() => caller.ending === 'reset', 'the end');
  assert.equal(await wire.gone(), 'reset');
  assert.equal(proxy.failures(service, 'endpoint_removed'), 1);
  assert.equal(next.ending, 'open');
  proxy.advance(60_000);
  assert.equal(there.ending, 'open');
});

test('one of them that ends before is not cut, and nothing is kept of it', async (t) => {
  const policies = drainsIn(60_000);
  const { proxy, service, caller, wire } = await piped(t, { manual: true, policies });
  await proxy.apply([proxy.service({ key: service.key, tcp: true, endpoints: [], policies })]);
  caller.end();
  wire.end();
  assert.equal(await caller.rest(), '');
  await eventually(() => proxy.context.callerConnections === 0, 'its end');
  proxy.advance(70_000);
  assert.equal(proxy.failures(service, 'endpoint_removed'), 0);
  assert.equal(proxy.context.wheel.size, 0);
});

test('without a time it may stay, and so it may when only other things change', async (t) => {
  const { proxy, service, caller, endpoint } = await piped(t, { manual: true });
  await proxy.apply([proxy.service({ key: service.key, tcp: true, endpoints: [] })]);
  proxy.advance(3_600_000);
  assert.equal(caller.ending, 'open');
  const policies = drainsIn(10_000);
  const again = await piped(t, { manual: true, policies });
  const more = await RawEndpoint.listen(t, freshAddress());
  await again.proxy.apply([
    again.proxy.service({
      key: again.service.key,
      tcp: true,
      endpoints: [again.endpoint, more],
      policies: { ...policies, limits: { ...DEFAULT_POLICIES.limits, requestsInFlight: 7 } },
    }),
  ]);
  again.proxy.advance(60_000);
  assert.equal(again.caller.ending, 'open');
  assert.ok(endpoint.wires.length === 1);
});

test('when its Service leaves, its connections have the same time', async (t) => {
  const policies = drainsIn(10_000);
  const { proxy, service, caller } = await piped(t, { manual: true, policies });
  await proxy.apply([], { removed: [service.key] });
  proxy.advance(8_900);
  assert.equal(caller.ending, 'open');
  await proxy.advanceUntil(() => caller.ending === 'reset', 'the end');
});

for (const [of, to] of [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
] as const) {
  test(`a WebSocket of HTTP/${of} is told to go when its endpoint of HTTP/${to} left`, async (t) => {
    const endpoint = await webSocketEndpoint(t, to, freshAddress());
    const proxy = new TestProxy(t, { manual: true });
    const policies = drainsIn(5_000);
    const options = { endpoints: [endpoint], http2: to === 2, policies };
    const service = proxy.service(options);
    await proxy.apply([service]);
    const at = { address: service.address, port: service.ports[0]!.port };
    const caller = await openWebSocket(t, of, at);
    const server = await endpoint.next();
    await proxy.apply([proxy.service({ ...options, key: service.key, endpoints: [] })]);
    proxy.advance(4_400);
    assert.equal(caller.count + server.count, 0);
    await proxy.advanceUntil(() => caller.count === 4 && server.count === 8, 'the goodbyes');
    assert.equal(await caller.bytes(4), GOING_AWAY);
    assert.match(await server.bytes(8), /^8882/);
    await proxy.advanceUntil(() => proxy.failures(service, 'endpoint_removed') === 1, 'the end');
  });
}
