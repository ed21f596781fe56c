/** Sessions of UDP: one datagram in is one datagram out, both ways, to one endpoint as long as it is there. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { exampleEndpoint } from '../support/model.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';
import { ask, caller, Datagrams, deafUdp, drops, echo, placeOf, udpFor } from '../support/udp.ts';
import { eventually } from '../support/wire.ts';

test('a datagram reaches an endpoint, and its answer comes from the address that was called', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint]);
  const from = await caller(t);
  assert.equal(await ask(from, at, 'hello'), `${endpoint.address} hello`);
  assert.equal(from.came[0]?.from.address, at.address);
  assert.equal(from.came[0]?.from.port, at.port);
  assert.equal(await ask(from, at, 'again'), `${endpoint.address} again`);
  assert.equal(endpoint.came[0]?.from.port, endpoint.came[1]?.from.port, 'one session');
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 1);
  assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.inFlight), 1);
  assert.equal(proxy.requests(service, 1), 1, 'counted once');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.datagrams), 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.datagrams + 1), 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), 10);
  assert.equal(
    proxy.figure(service, SERVICE_OWN.responseBytes),
    2 * `${endpoint.address} hello`.length,
  );
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + 1), 1);
});

test('one datagram in is one datagram out, empty ones and those of 65,507 bytes too', async (t) => {
  const endpoint = await Datagrams.bind(t, freshAddress());
  endpoint.onDatagram = (data, from) => endpoint.socket.send(data, from.port, from.address);
  const { at } = await udpFor(t, [endpoint]);
  const from = await caller(t);
  for (const size of [0, 1, 1_472, 1_473, 9_000, 65_506, 65_507]) {
    const data = Buffer.alloc(size, size % 251);
    from.send(data, at);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await from.next(`${size} bytes`);
    assert.ok(Buffer.from(answer.text, 'latin1').equals(data), `${size} bytes`);
  }
  assert.equal(endpoint.came.length, 7);
});

test('a caller is an address and a port: each has a session, and gets its own answers', async (t) => {
  const endpoints = [await echo(t), await echo(t)];
  const { proxy, service, at } = await udpFor(t, endpoints);
  const callers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => caller(t, `127.0.0.${1 + (i % 4)}`)),
  );
  for (let round = 0; round < 3; round++) {
    const texts = callers.map((_, i) => `${i}.${round}`);
    // oxlint-disable-next-line no-await-in-loop -- round by round
    const answers = await Promise.all(callers.map((from, i) => ask(from, at, texts[i] ?? '')));
    assert.deepEqual(
      answers.map((answer) => answer.split(' ')[1]),
      texts,
    );
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 40);
  for (const endpoint of endpoints) {
    const ports = new Set(endpoint.came.map(({ from }) => from.port));
    assert.equal(endpoint.came.length, 3 * ports.size, 'a session stays with its endpoint');
    assert.equal(ports.size, 20, 'least in flight shares them evenly');
  }
});

test('a Service with TCP and UDP on one number gets both', async (t) => {
  const udp = await echo(t);
  const tcp = await RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('tcp'));
  const proxy = new TestProxy(t);
  const port = 21_053;
  const one = proxy.service({ port, udp: true, endpoints: [udp] });
  const two = proxy.service({ port, tcp: true, endpoints: [tcp] });
  const renamed = two.ports.map((each) => ({
    ...each,
    backend: { ...each.backend, id: `${one.key}:${port}`, service: one.key },
    routes: each.routes.map((route) => ({
      ...route,
      backends: route.backends.map((share) => ({ ...share, backend: `${one.key}:${port}` })),
    })),
  }));
  const both = { ...one, ports: [...renamed, ...one.ports] } as typeof one;
  await proxy.apply([both]);
  const from = await caller(t);
  assert.equal(await ask(from, placeOf(both), 'a'), `${udp.address} a`);
  const wire = await proxy.call(both);
  assert.equal(await wire.bytes(3), 'tcp');
  const without = { ...both, ports: both.ports.filter(({ protocol }) => protocol === 'tcp') };
  await proxy.apply([without]);
  assert.equal(proxy.server.listeners, 1, 'each comes and goes alone');
  wire.write('still');
  assert.equal(await (await tcp.next()).bytes(5), 'still');
});

test('a session that is silent for its idle limit is over, and each datagram keeps it', async (t) => {
  const endpoint = await echo(t);
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const from = await caller(t);
  await ask(from, at, 'a');
  for (let i = 0; i < 3; i++) {
    proxy.advance(59_000);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, at, 'b');
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 1);
  proxy.advance(60_100);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsActive), 0);
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 0);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsEnded), 1, 'idle');
  await ask(from, at, 'c');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 2);
});

test('answers alone keep a session, too, and come for as long as it goes on', async (t) => {
  const endpoint = await Datagrams.bind(t, freshAddress());
  const { proxy, service, at } = await udpFor(t, [endpoint], { manual: true });
  const from = await caller(t);
  from.send('subscribe', at);
  const { port, address } = (await endpoint.next()).from;
  for (let i = 0; i < 4; i++) {
    proxy.advance(40_000);
    endpoint.send(`news ${i}`, { address, port });
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await from.text(), `news ${i}`);
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 1);
});

test('timeout-idle and timeout-tunnel of the Service hold, and silence may be without end', async (t) => {
  const endpoint = await echo(t);
  const proxy = new TestProxy(t, { manual: true });
  const { timeouts } = DEFAULT_POLICIES;
  const made = (key: string, more: Partial<typeof timeouts>) => ({
    ...proxy.service({
      key,
      udp: true,
      endpoints: [endpoint],
      policies: { timeouts: { ...timeouts, ...more } },
    }),
    sources: { 'timeouts.idleMs': { object: '', field: '' } },
  });
  const short = made('test/short', { idleMs: 2_000 });
  const endless = made('test/endless', { idleMs: 0 });
  const bounded = made('test/bounded', { idleMs: 0, tunnelMs: 90_000 });
  await proxy.apply([short, endless, bounded]);
  const from = await caller(t);
  for (const service of [short, endless, bounded]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(from, placeOf(service), 'a');
  }
  const active = (): number[] =>
    [short, endless, bounded].map((each) => proxy.figure(each, SERVICE_OWN.sessionsActive));
  proxy.advance(1_900);
  assert.deepEqual(active(), [1, 1, 1]);
  proxy.advance(200);
  assert.deepEqual(active(), [0, 1, 1]);
  proxy.advance(88_000);
  assert.deepEqual(active(), [0, 1, 0]);
  assert.equal(proxy.figure(bounded, SERVICE_OWN.sessionsEnded + 1), 1, 'lifetime');
  proxy.advance(10_000_000);
  assert.deepEqual(active(), [0, 1, 0]);
});

test('an endpoint that cannot be reached is blamed, and the session goes to another one', async (t) => {
  const [dead, alive] = [await deafUdp(t), await echo(t)];
  const { proxy, service, at } = await udpFor(t, [dead, alive]);
  // Each second one begins with the dead one.
  const callers = await Promise.all(Array.from({ length: 6 }, () => caller(t)));
  for (const from of callers) {
    const isAnswered = (): boolean => from.came.length > 0;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(() => {
      from.send('x', at);
      return isAnswered();
    }, 'an answer');
    assert.match(from.came[0]?.text ?? '', new RegExp(`^${alive.address} `));
  }
  const failed = proxy.endpointFigure(service, dead, ENDPOINT_OWN.connectFailures);
  assert.ok(failed > 0, 'it was tried');
  assert.equal(proxy.failures(service, 'connect_failed'), failed);
  assert.equal(proxy.requests(service, 5), failed, 'as HTTP would answer it');
  assert.ok(drops(proxy, service, 'unreachable') >= failed);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), failed, 'each moved one session');
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 6, 'none began anew');
  assert.equal(proxy.endpointWord(service, dead, ENDPOINT_WORD.connections), 0);
});

test('an endpoint that cannot be reached is ejected, comes back by a probe, and is praised for silence', async (t) => {
  const address = freshAddress();
  const first = await Datagrams.bind(t, address);
  const { port } = first;
  first.close();
  const others = [await echo(t), await echo(t)];
  const policies = {
    balance: { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' as const },
    ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 2, maxEjectedRatio: 1 },
  };
  const dead = { address, port };
  // The sockets of the runtime do not know who says so.
  const settings = { sockets: 'system' as const };
  const options = { manual: true, policies, settings };
  const { proxy, service, at } = await udpFor(t, [dead, ...others], options);
  const health = (): number => proxy.endpointWord(service, dead, ENDPOINT_WORD.health);
  const callers = await Promise.all(Array.from({ length: 60 }, () => caller(t)));
  const callUntil = (ready: () => boolean, what: string): Promise<void> =>
    eventually(() => {
      if (ready()) return true;
      callers.shift()?.send('x', at);
      return false;
    }, what);
  await callUntil(() => health() === 1, 'its ejection');
  // It is back, and never says a word.
  const back = await Datagrams.bind(t, address, port);
  proxy.advance(DEFAULT_POLICIES.ejection.baseMs + 1_000);
  await callUntil(() => back.came.length > 0, 'its probe');
  assert.equal(health(), 2, 'nobody knows yet');
  proxy.advance(5_100);
  assert.equal(health(), 0);
});

test('the sessions of an endpoint that leaves go to others, with their next datagram', async (t) => {
  const [one, two] = [await echo(t), await echo(t)];
  const { proxy, service, at } = await udpFor(t, [one]);
  const from = await caller(t);
  assert.equal(await ask(from, at, 'a'), `${one.address} a`);
  await proxy.apply([proxy.service({ key: service.key, udp: true, endpoints: [two] })]);
  assert.equal(await ask(from, at, 'b'), `${two.address} b`);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 1);
  await proxy.apply([proxy.service({ key: service.key, udp: true, endpoints: [] })]);
  from.send('c', at);
  await eventually(() => proxy.failures(service, 'no_endpoint') === 1, 'its refusal');
  assert.equal(drops(proxy, service, 'refused'), 1);
  await proxy.apply([proxy.service({ key: service.key, udp: true, endpoints: [one] })]);
  assert.equal(await ask(from, at, 'd'), `${one.address} d`);
});

test('updates of policies, of other endpoints and of other Services leave sessions alone', async (t) => {
  const one = await echo(t);
  const { proxy, service, at } = await udpFor(t, [one]);
  const from = await caller(t);
  await ask(from, at, 'a');
  const two = await echo(t);
  const policies = { limits: { ...DEFAULT_POLICIES.limits, requestsInFlight: 77 } };
  const changed = proxy.service({ key: service.key, udp: true, endpoints: [one, two], policies });
  await proxy.apply([changed, proxy.service({ key: 'test/other', udp: true })]);
  await proxy.apply([], { removed: ['test/other'] });
  assert.equal(await ask(from, at, 'b'), `${one.address} b`);
  assert.equal(one.came[0]?.from.port, one.came[1]?.from.port, 'the same session');
});

test('a datagram that begins no session is refused, counted and logged with its reason', async (t) => {
  const { proxy, service, at } = await udpFor(t, []);
  const from = await caller(t);
  from.send('a', at);
  from.send('b', at);
  await eventually(() => proxy.failures(service, 'no_endpoint') === 2, 'both');
  assert.equal(proxy.requests(service, 5), 2, 'as HTTP would answer it');
  assert.equal(proxy.figure(service, SERVICE_OWN.datagrams), 2, 'they came');
  assert.equal(drops(proxy, service, 'refused'), 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.sessionsOpened), 0);
});

test('a route leads to backends of UDP by weight, and to none of TCP', async (t) => {
  const [one, two] = [await echo(t), await echo(t)];
  const proxy = new TestProxy(t);
  const canary = proxy.service({ key: 'test/canary', udp: true, endpoints: [two] });
  const plain = proxy.service({
    key: 'test/tcp',
    tcp: true,
    endpoints: [exampleEndpoint('127.0.0.1')],
  });
  const made = proxy.service({ udp: true, endpoints: [one] });
  const [port] = made.ports;
  assert(port?.protocol === 'udp');
  const share = (backend: string | undefined, weight: number) => ({
    backend: backend ?? '',
    weight,
    invalid: '',
    filters: null,
  });
  const led = (...backends: ReturnType<typeof share>[]) => ({
    ...made,
    ports: [{ ...port, routes: port.routes.map((route) => ({ ...route, backends })) }],
  });
  const own = port.backend.id;
  const split = led(share(own, 1), share(canary.ports[0]?.backend.id, 3));
  await proxy.apply([canary, plain, split]);
  const answers = await Promise.all(
    Array.from({ length: 80 }, async (_, i) => ask(await caller(t), placeOf(split), String(i))),
  );
  const toCanary = answers.filter((answer) => answer.startsWith(`${two.address} `)).length;
  assert.ok(toCanary > 40 && toCanary < 78, String(toCanary));
  const nowhere = led(share(plain.ports[0]?.backend.id, 1));
  await proxy.apply([nowhere]);
  (await caller(t)).send('x', placeOf(nowhere));
  await eventually(() => proxy.failures(nowhere, 'no_endpoint') === 1, 'its refusal');
});
