/** What becomes of sessions of UDP when their port, or the proxy, comes to an end. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERVICE_OWN, SESSION_ENDS } from '../../src/proxy/ledger/layout.ts';
import type { Service } from '../../src/model/service.ts';
import { freshAddress, type TestProxy } from '../support/proxy.ts';
import { ask, caller, drops, echo, placeOf, udpFor } from '../support/udp.ts';
import { eventually } from '../support/wire.ts';

const DRAINING = SERVICE_OWN.sessionsEnded + SESSION_ENDS.indexOf('draining');
const IDLE = SERVICE_OWN.sessionsEnded + SESSION_ENDS.indexOf('idle');

test('sessions of a Service that leaves go on until they are silent for 5 s; new callers get nothing', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const [from, late] = [await caller(t), await caller(t)];
  await ask(from, at, 'a');
  const active = (): number => proxy.figure(service, SERVICE_OWN.sessionsActive);
  await proxy.apply([], { removed: [service.key] });
  assert.equal(await ask(from, at, 'b'), `${endpoint.address} b`);
  late.send('x', at);
  await eventually(() => drops(proxy, service, 'refused') === 1, 'the new caller to be dropped');
  proxy.advance(4_900);
  assert.equal(active(), 1);
  proxy.advance(200);
  assert.equal(active(), 0);
  assert.equal(proxy.figure(service, IDLE), 1);
  assert.equal(late.came.length, 0);
  assert.equal(proxy.failures(service, 'draining'), 1);
  assert.equal(proxy.context.callerConnections, 0);
});

for (const [name, leave] of [
  ['leaves', (proxy, { key }) => proxy.apply([], { removed: [key] })],
  [
    'leaves and comes back',
    async (proxy, service) => {
      await proxy.apply([], { removed: [service.key] });
      await proxy.apply([service]);
    },
  ],
  [
    'moves to another address',
    (proxy, service) => proxy.apply([{ ...service, address: freshAddress() }]),
  ],
] as const satisfies [string, (proxy: TestProxy, service: Service) => Promise<void>][]) {
  test(`sessions of a Service that ${name} stay with their endpoint, however much comes at once`, async (t) => {
    const endpoints = [await echo(t), await echo(t), await echo(t)];
    const { proxy, service, at } = await udpFor(t, endpoints);
    const from = await caller(t);
    const first = await ask(from, at, 'a');
    await leave(proxy, service);
    for (let i = 0; i < 20; i++) from.send('a', at);
    for (let i = 0; i < 20; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal(await from.text(), first);
    }
    const used = endpoints.flatMap(({ came }) => came.map((each) => each.from.port));
    assert.equal(new Set(used).size, 1, 'one socket');
    assert.equal(proxy.figure(service, SERVICE_OWN.retries), 0);
  });
}

test('a session of a port that left goes on with the Pods that its Service still has', async (t) => {
  const endpoints = [await echo(t), await echo(t)];
  const { proxy, service, at } = await udpFor(t, endpoints);
  const from = await caller(t);
  const [used] = (await ask(from, at, 'a')).split(' ');
  const left = endpoints.filter(({ address }) => address !== used);
  const made = proxy.service({ key: service.key, udp: true, endpoints: left });
  await proxy.apply([{ ...made, address: freshAddress() }]);
  assert.equal(await ask(from, at, 'b'), `${left[0]?.address} b`);
});

test('a port that comes back while its sessions go on takes new callers on the same socket', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint]);
  const from = await caller(t);
  await ask(from, at, 'a');
  await proxy.apply([], { removed: [service.key] });
  const again = { ...service, key: 'test/again' };
  await proxy.apply([again]);
  for (let i = 0; i < 20; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(await caller(t), at, 'b'), `${endpoint.address} b`);
  }
  assert.equal(proxy.figure(again, SERVICE_OWN.sessionsOpened), 20, 'two sockets would share them');
  await proxy.apply([], { removed: [again.key] });
});

test('a drain lets sessions go on, serves new callers meanwhile, and waits for none of these', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const from = await caller(t);
  await ask(from, at, 'a');
  let cut = -1;
  void proxy.server.drain(60_000).then((count) => (cut = count));
  // The listeners are closed in turns of the event loop.
  await proxy.advanceUntil(() => proxy.context.draining, 'the drain');
  proxy.advance(100);
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(from, at, 'b'), `${endpoint.address} b`);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await ask(await caller(t), at, 'new'), `${endpoint.address} new`);
    proxy.advance(4_000);
    assert.equal(cut, -1);
  }
  const newest = await caller(t);
  for (let i = 0; i < 2; i++) {
    newest.send('still here', at);
    proxy.advance(2_000);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await new Promise((resolve) => setImmediate(resolve));
  }
  await proxy.advanceUntil(() => cut >= 0, 'its end');
  assert.equal(cut, 0, 'those that it waited for had ended');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 0);
  newest.send('x', at);
  proxy.advance(100);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 0, 'nobody listens');
});

test('what goes on at the end of a drain is cut and counted', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const from = await caller(t);
  await ask(from, at, 'a');
  let cut = -1;
  void proxy.server.drain(3_000).then((count) => (cut = count));
  await proxy.advanceUntil(() => cut >= 0, 'its end');
  assert.equal(cut, 1);
  assert.equal(proxy.figure(service, DRAINING), 1);
  assert.equal(proxy.failures(service, 'draining'), 1);
});

test('a port that moves to another Service takes the sessions of before with it at once', async (t) => {
  const [one, two] = [await echo(t), await echo(t)];
  const { proxy, service, at } = await udpFor(t, [one]);
  const from = await caller(t);
  await ask(from, at, 'a');
  const made = proxy.service({ key: 'test/taker', udp: true, endpoints: [two] });
  const taker = {
    ...made,
    address: service.address,
    ports: made.ports.map((port) => ({ ...port, port: at.port })),
  } as typeof made;
  // The new one may come a while after the old one left.
  await proxy.apply([], { removed: [service.key] });
  assert.equal(await ask(from, at, 'a'), `${one.address} a`);
  await proxy.apply([taker]);
  assert.equal(proxy.figure(service, DRAINING), 1);
  assert.equal(await ask(await caller(t), placeOf(taker), 'b'), `${two.address} b`);
  assert.equal(await ask(from, at, 'c'), `${two.address} c`);
  assert.equal(proxy.figure(taker, SERVICE_OWN.sessionsOpened), 2);
});

test('a caller that is never silent is let go 30 s after its Service has left', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const from = await caller(t);
  await ask(from, at, 'a');
  await proxy.apply([], { removed: [service.key] });
  for (let second = 0; second < 29; second++) {
    proxy.advance(1_000);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(from, at, 'b'), `${endpoint.address} b`);
  }
  assert.equal(proxy.context.places.size, 1);
  proxy.advance(1_100);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 0);
  assert.equal(proxy.figure(service, DRAINING), 1);
  assert.equal(proxy.context.places.size, 0, 'its socket is closed');
});

test('a Service that comes back does not keep the sessions of before for longer', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const from = await caller(t);
  await ask(from, at, 'a');
  await proxy.apply([], { removed: [service.key] });
  await proxy.apply([service]);
  for (let second = 0; second < 31; second++) {
    proxy.advance(1_000);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(from, at, 'b'), `${endpoint.address} b`);
  }
  assert.equal(proxy.figure(service, DRAINING), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 2);
});
