/** Limits of sessions of UDP: who gives way to whom, and who is refused. */

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { LimitPolicy, RateLimitPolicy } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import {
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
  SESSION_ENDS,
  type SessionEnd,
} from '../../src/proxy/ledger/layout.ts';
import { placeKey, UdpShared } from '../../src/proxy/udp/shared.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { openRawUdp } from '../support/raw-datagram.ts';
import { ask, caller, Datagrams, drops, echo, placeOf, udpFor } from '../support/udp.ts';
import { dial, eventually, RawEndpoint } from '../support/wire.ts';

function limits(more: Partial<LimitPolicy>): { readonly limits: LimitPolicy } {
  return { limits: { ...DEFAULT_POLICIES.limits, ...more } };
}

function ended(proxy: TestProxy, service: Service, why: SessionEnd): number {
  return proxy.figure(service, SERVICE_OWN.sessionsEnded + SESSION_ENDS.indexOf(why));
}

test('at the limit of the Service the session that is silent for longest makes room', async (t) => {
  const endpoint = await echo(t);
  // An eighth is left to ports of TCP: 14 sessions.
  const policies = limits({ requestsInFlight: 16 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { policies });
  const callers = await Promise.all(Array.from({ length: 15 }, () => caller(t)));
  for (const from of callers.slice(0, 14)) {
    // oxlint-disable-next-line no-await-in-loop -- in this order
    await ask(from, at, 'a');
  }
  assert.equal(ended(proxy, service, 'replaced'), 0);
  const [first, second] = callers;
  assert(first !== undefined && second !== undefined);
  await ask(first, at, 'I am not silent');
  await ask(callers[14] ?? first, at, 'one more');
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 14);
  assert.equal(ended(proxy, service, 'replaced'), 1);
  const portsOf = (text: string) =>
    endpoint.came.filter((came) => came.text === text).map(({ from }) => from.port);
  await ask(first, at, 'still');
  const [before] = portsOf('I am not silent');
  assert.equal(portsOf('still')[0], before, 'the first one has its session');
  await ask(second, at, 'back');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 16, 'the second one had none');
});

test('who waits for an answer is not given up for a second, and the new one is refused', async (t) => {
  const endpoint = await Datagrams.bind(t, freshAddress());
  const policies = limits({ requestsInFlight: 2 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true, policies });
  const [one, two] = [await caller(t), await caller(t)];
  one.send('a', at);
  await endpoint.next();
  two.send('b', at);
  await eventually(() => proxy.failures(service, 'overloaded') === 1, 'its refusal');
  assert.equal(drops(proxy, service, 'refused'), 1);
  proxy.advance(1_020);
  two.send('c', at);
  assert.equal(await endpoint.text(), 'c');
  assert.equal(ended(proxy, service, 'replaced'), 1);
});

test('a flood of one source takes from itself, and from nobody else', async (t) => {
  const endpoint = await echo(t);
  const policies = limits({ requestsInFlight: 24 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { policies });
  const quiet = await Promise.all([2, 3, 4].map((i) => caller(t, `127.0.0.${i}`)));
  for (const from of quiet) {
    // oxlint-disable-next-line no-await-in-loop -- the oldest of all
    await ask(from, at, 'a');
  }
  const flood = await Promise.all(Array.from({ length: 100 }, () => caller(t)));
  for (const from of flood) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'flood');
  }
  assert.equal(ended(proxy, service, 'replaced'), 100 + 3 - 21);
  for (const from of quiet) {
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await ask(from, at, 'b');
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 103, 'they have theirs');
  const newcomer = await caller(t, '127.0.0.9');
  await ask(newcomer, at, 'c');
  for (const from of quiet) {
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await ask(from, at, 'd');
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 104, 'the flood made room');
});

test('at the limit of all endpoints a session makes room there, too', async (t) => {
  const endpoints = [await echo(t), await echo(t)];
  const policies = limits({ connectionsPerEndpoint: 3 });
  const { proxy, service, at } = await udpFor(t, endpoints, { policies });
  const callers = await Promise.all(Array.from({ length: 10 }, () => caller(t)));
  for (const from of callers) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'a');
  }
  for (const endpoint of endpoints)
    assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.inFlight), 3);
  assert.equal(ended(proxy, service, 'replaced'), 4);
});

test('at the limit of its endpoints a session at one of these makes room, and none elsewhere', async (t) => {
  const [before, endpoint] = [await echo(t), await echo(t)];
  const policies = limits({ connectionsPerEndpoint: 1 });
  const { proxy, service, at } = await udpFor(t, [before], { policies });
  const [one, two, three] = [await caller(t), await caller(t), await caller(t)];
  await ask(one, at, 'a');
  const { key } = service;
  await proxy.apply([proxy.service({ key, udp: true, endpoints: [endpoint], policies })]);
  await ask(two, at, 'b');
  // The first one is silent for longest, and at an endpoint that nobody is led to.
  await ask(three, at, 'c');
  assert.equal(ended(proxy, service, 'replaced'), 1);
  const opened = proxy.figure(service, SERVICE_OWN.sessionsOpened);
  before.send('still here', {
    address: before.came[0]?.from.address ?? '',
    port: before.came[0]?.from.port ?? 0,
  });
  assert.equal(await one.text(), 'still here');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), opened);
});

test('one that makes room at an endpoint makes it in the Service, too', async (t) => {
  const endpoint = await echo(t);
  const policies = limits({ requestsInFlight: 4, connectionsPerEndpoint: 3 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { policies });
  for (const from of await Promise.all(Array.from({ length: 6 }, () => caller(t)))) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'a');
  }
  assert.equal(ended(proxy, service, 'replaced'), 3);
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 3);
});

for (const sources of [1, 60])
  test(`a flood that nobody answers, from ${sources} sources, refuses no new caller and leaves half of the sessions`, async (t) => {
    const endpoint = await Datagrams.bind(t, freshAddress());
    endpoint.onDatagram = (data, from) => {
      if (data.toString() !== 'flood') endpoint.socket.send(data, from.port, from.address);
    };
    const policies = limits({ requestsInFlight: 32 });
    const options = { manual: true, policies } as const;
    const { proxy, service, at } = await udpFor(t, [endpoint], options);
    const talking = await Promise.all(
      Array.from({ length: 28 }, (_, i) => caller(t, `127.0.4.${i + 1}`)),
    );
    for (const from of talking) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await ask(from, at, 'hello');
    }
    const flood = await Promise.all(
      Array.from({ length: 120 }, (_, i) => caller(t, `127.0.3.${1 + (i % sources)}`)),
    );
    for (const from of flood) from.send('flood', at);
    const came = (count: number) => () => proxy.figure(service, SERVICE_OWN.datagrams) === count;
    await eventually(came(148), 'the flood');
    // Time stands still, so nobody has waited for a second.
    assert.equal(await ask(await caller(t, '127.0.5.1'), at, 'new'), 'new');
    // One source that has an eighth is refused itself.
    if (sources > 1) assert.equal(proxy.failures(service, 'overloaded'), 0);
    const opened = proxy.figure(service, SERVICE_OWN.sessionsOpened);
    for (const from of talking.slice(-13)) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await ask(from, at, 'still');
    }
    assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), opened, 'they have theirs');
  });

test('a session that is never answered makes room, however often its caller sends', async (t) => {
  const endpoint = await Datagrams.bind(t, freshAddress());
  const policies = limits({ requestsInFlight: 2 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true, policies });
  const [one, two] = [await caller(t), await caller(t)];
  for (let i = 0; i < 3; i++) {
    one.send('a', at);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await endpoint.next();
    proxy.advance(400);
  }
  two.send('b', at);
  assert.equal(await endpoint.text(), 'b');
  assert.equal(ended(proxy, service, 'replaced'), 1);
});

test('a thread leaves places of a limit to the others', async (t) => {
  const endpoints = [await echo(t), await echo(t)];
  const policies = limits({ requestsInFlight: 16 });
  const { proxy, service, at } = await udpFor(t, endpoints, { policies, threads: 2 });
  const few = proxy.service({
    udp: true,
    endpoints,
    policies: limits({ connectionsPerEndpoint: 3 }),
  });
  await proxy.apply([few]);
  for (const from of await Promise.all(Array.from({ length: 20 }, () => caller(t)))) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'a');
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await ask(from, placeOf(few), 'a');
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 13);
  for (const endpoint of endpoints)
    assert.equal(proxy.endpointWord(few, endpoint, ENDPOINT_WORD.inFlight), 2);
  assert.equal(proxy.failures(few, 'no_healthy_endpoint'), 0);
});

test('a Service without an endpoint costs nobody a session', async (t) => {
  const endpoint = await echo(t);
  const policies = limits({ requestsInFlight: 2 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { policies });
  const [one, two] = [await caller(t), await caller(t)];
  await ask(one, at, 'a');
  await proxy.apply([proxy.service({ key: service.key, udp: true, endpoints: [], policies })]);
  two.send('b', at);
  await eventually(() => proxy.failures(service, 'no_endpoint') === 1, 'its refusal');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 1);
});

test('the rate limit is one of sessions, not of datagrams', async (t) => {
  const endpoint = await echo(t);
  const rateLimit: RateLimitPolicy = {
    average: 1,
    periodMs: 1_000,
    burst: 2,
    per: 'service',
    callersMax: 1,
  };
  const { proxy, service, at } = await udpFor(t, [endpoint], {
    manual: true,
    policies: { rateLimit },
  });
  const callers = await Promise.all(Array.from({ length: 3 }, () => caller(t)));
  const [one, two, three] = callers;
  assert(one !== undefined && two !== undefined && three !== undefined);
  for (let i = 0; i < 5; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(one, at, 'a');
  }
  await ask(two, at, 'b');
  three.send('c', at);
  await eventually(() => proxy.failures(service, 'rate_limited') === 1, 'its refusal');
  assert.equal(proxy.requests(service, 4), 1);
  proxy.advance(1_000);
  await ask(three, at, 'd');
});

test('callers beyond the connections of a thread make room by source, of all protocols', async (t) => {
  const endpoint = await echo(t);
  const settings = { callerConnectionsMax: 8 };
  const { proxy, service, at } = await udpFor(t, [endpoint], { settings });
  const many = await Promise.all(Array.from({ length: 5 }, () => caller(t)));
  for (const from of many) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'a');
  }
  assert.equal(ended(proxy, service, 'shed'), 1, 'sessions have a half');
  assert.equal(proxy.context.room.count('connections', 'idle'), 1);
  await ask(await caller(t, '127.0.0.2'), at, 'c');
  assert.equal(ended(proxy, service, 'shed'), 2);
  assert.equal(proxy.failures(service, 'caller_shed'), 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 4);
  assert.equal(proxy.context.room.size, 4);
});

test('sessions from as many sources as one likes leave room for connections, and for new sessions', async (t) => {
  const endpoint = await Datagrams.bind(t, freshAddress());
  const settings = { callerConnectionsMax: 8 };
  const options = { settings, manual: true } as const;
  const { proxy, service, at } = await udpFor(t, [endpoint], options);
  const answering = await RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('hello'));
  const tcp = proxy.service({ key: 'test/tcp', tcp: true, endpoints: [answering] });
  await proxy.apply([tcp]);
  for (let i = 1; i <= 20; i++) {
    // oxlint-disable-next-line no-await-in-loop -- each from a source of its own
    (await caller(t, `127.0.3.${i}`)).send(String(i), at);
  }
  await eventually(() => proxy.figure(service, SERVICE_OWN.datagrams) === 20, 'all');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 4);
  const dialled = await dial(t, placeOf(tcp));
  assert.equal(await dialled.bytes(5), 'hello');
  proxy.advance(1_020);
  const sent = endpoint.came.length;
  (await caller(t, '127.0.3.100')).send('late', at);
  await eventually(
    () => endpoint.came.length > sent,
    'the one that is silent for longest made room',
  );
});

test('sessions leave local ports to others', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { ports: 8 });
  for (const from of await Promise.all(Array.from({ length: 9 }, () => caller(t)))) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'a');
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 6);
  assert.equal(ended(proxy, service, 'shed'), 3);
});

test('file descriptors that sessions take are counted, and a source with most of them makes room', async (t) => {
  const endpoint = await echo(t);
  // 64 are kept for everything else.
  const { proxy, service, at } = await udpFor(t, [endpoint], { descriptors: 64 + 11 });
  for (let i = 0; i < 30; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const from = await caller(t, i < 20 ? '127.0.0.1' : `127.0.0.${i}`);
    const refused = drops(proxy, service, 'refused');
    const isOver = (): boolean =>
      from.came.length > 0 || drops(proxy, service, 'refused') > refused;
    from.send('a', at);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(isOver, 'an answer, or a refusal');
  }
  assert.ok(proxy.figure(service, SERVICE_OWN.sessionsActive) <= 10);
  assert.ok(ended(proxy, service, 'shed') > 0);
});

test('a loop is seen before it is dialled: an endpoint that is a port of UDP of the mesh', async (t) => {
  const proxy = new TestProxy(t);
  const back = proxy.service({ key: 'test/back', udp: true, endpoints: [] });
  const front = proxy.service({ key: 'test/front', udp: true, endpoints: [placeOf(back)] });
  await proxy.apply([back, front]);
  (await caller(t)).send('x', placeOf(front));
  await eventually(() => proxy.failures(front, 'loop') === 1, 'its refusal');
  assert.equal(proxy.figure(back, SERVICE_OWN.datagrams), 0);
  const tcp = proxy.service({ key: 'test/tcp', tcp: true, endpoints: [] });
  const endpoint = await echo(t, tcp.address, placeOf(tcp).port);
  const beside = proxy.service({ key: 'test/beside', udp: true, endpoints: [endpoint] });
  await proxy.apply([tcp, beside]);
  assert.equal(await ask(await caller(t), placeOf(beside), 'x'), `${tcp.address} x`, 'no loop');
});

test('a datagram as if from another port of the mesh makes no loop of answers', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await echo(t);
  const back = proxy.service({ key: 'test/back', udp: true, endpoints: [endpoint] });
  const front = proxy.service({ key: 'test/front', udp: true, endpoints: [endpoint] });
  await proxy.apply([back, front]);
  const raw = openRawUdp(back.address);
  if (typeof raw === 'string') return t.skip(raw);
  const at = placeOf(front);
  raw.send(Buffer.from('x'), placeOf(back).port, at.port, at.address);
  raw.close();
  await eventually(() => proxy.figure(front, SERVICE_OWN.datagrams) > 0, 'it');
  assert.equal(proxy.failures(front, 'loop'), 1);
  assert.equal(proxy.figure(front, SERVICE_OWN.sessionsOpened), 0);
  assert.equal(endpoint.came.length, 0);
});

test('a port of the mesh on every address is one on each of them', async (t) => {
  const proxy = new TestProxy(t);
  const shared = new UdpShared(proxy.context);
  const port = 53;
  proxy.context.places.add(placeKey({ address: '0.0.0.0', port }));
  assert.ok(shared.isPlace({ address: '127.0.0.9', port }));
  assert.ok(!shared.isPlace({ address: '127.0.0.9', port: 54 }));
  assert.ok(!shared.isPlace({ address: '203.0.113.9', port }), 'of somebody else');
  const [own] = Object.values(networkInterfaces()).flatMap((of) => of ?? []);
  if (own !== undefined) assert.ok(shared.isPlace({ address: own.address, port }));
});

test('an endpoint that calls from its own port does not become its own endpoint', async (t) => {
  const endpoint = await Datagrams.bind(t, freshAddress());
  const { proxy, service, at } = await udpFor(t, [endpoint]);
  endpoint.send('x', at);
  await eventually(() => proxy.failures(service, 'loop') === 1, 'its refusal');
  assert.equal(endpoint.came.length, 0);
  const other = await caller(t, endpoint.address);
  other.send('y', at);
  assert.equal(await endpoint.text(), 'y', 'another port of it');
});

test('a caller that is an agent of the mesh is a loop', async (t) => {
  const endpoint = await echo(t);
  const settings = { meshAccount: 'maesh/maesh-agent' };
  const { proxy, service, at } = await udpFor(t, [endpoint], { settings });
  const agent = {
    address: '127.0.0.7',
    namespace: 'maesh',
    pod: 'maesh-agent-1',
    serviceAccount: 'maesh-agent',
    node: '',
    zone: '',
    doubt: '' as const,
    labels: {},
  };
  await proxy.apply([], { identities: [agent] });
  (await caller(t, '127.0.0.7')).send('x', at);
  await eventually(() => proxy.failures(service, 'loop') === 1, 'its refusal');
  await ask(await caller(t), at, 'y');
});

test('4,000 callers leave no more behind than the limit allows', async (t) => {
  const addresses = ['127.0.1.1', '127.0.1.2'];
  const raws = addresses.map((address) => openRawUdp(address));
  const [missing] = raws.filter((raw) => typeof raw === 'string');
  if (missing !== undefined) return t.skip(missing);
  const endpoint = await echo(t);
  const policies = limits({ requestsInFlight: 200 });
  const { proxy, service, at } = await udpFor(t, [endpoint], { policies });
  const payload = Buffer.from('x');
  let most = 0;
  for (let port = 0; port < 2_000; port++) {
    for (const raw of raws) {
      if (typeof raw !== 'string') raw.send(payload, port, at.port, at.address);
    }
    if (port % 16 !== 0) continue;
    // oxlint-disable-next-line no-await-in-loop -- what comes is served
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, proxy.figure(service, SERVICE_OWN.sessionsActive));
  }
  for (const raw of raws) if (typeof raw !== 'string') raw.close();
  assert.equal(most, 175);
  assert.equal(proxy.context.room.size, 175);
  assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.connections), 175);
  assert.ok(proxy.figure(service, SERVICE_OWN.sessionsOpened) > 2_000);
  await ask(await caller(t), at, 'and one that is served');
});

test('a datagram from port 0 goes on, and its answer goes nowhere', async (t) => {
  const raw = openRawUdp();
  if (typeof raw === 'string') return t.skip(raw);
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint]);
  raw.send(Buffer.from('x'), 0, at.port, at.address);
  raw.close();
  assert.equal(await endpoint.text(), 'x');
  await eventually(() => drops(proxy, service, 'unsent_answer') === 1, 'its answer');
});
