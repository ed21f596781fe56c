/** Connections of TCP: bytes both ways from the first one, to an endpoint that accepts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { exampleEndpoint, withProtocol } from '../support/model.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { deaf, piped, tcpFor } from '../support/tcp.ts';
import { blackHole, dial, eventually, RawEndpoint } from '../support/wire.ts';

test('a server may speak first, and bytes pass both ways, whatever they look like', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t);
  wire.write('220 ready\r\n');
  assert.equal(await caller.until('\n'), '220 ready\r\n');
  caller.write(`\x00\xff${GET}`);
  assert.equal(await wire.bytes(2 + GET.length), `\x00\xff${GET}`);
  wire.write(OK);
  assert.equal(await caller.bytes(OK.length), OK);
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 1);
  assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.inFlight), 1);
  caller.end();
  assert.equal(await wire.rest(), '');
  wire.end();
  assert.equal(await caller.rest(), '');
  await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the account');
  assert.equal(proxy.requests(service, 1), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), 2 + GET.length);
  assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), 11 + OK.length);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + 1), 1);
});

test('what a caller sends before its endpoint accepts arrives, in order, with its end', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('early');
  caller.end();
  const wire = await endpoint.next();
  assert.equal(await wire.rest(), 'early');
  wire.write('late');
  wire.end();
  assert.equal(await caller.rest(), 'late');
});

test('each side may close its half first', async (t) => {
  const { caller, wire } = await piped(t);
  wire.write('last');
  wire.end();
  assert.equal(await caller.rest(), 'last');
  caller.write('more');
  assert.equal(await wire.bytes(4), 'more');
  caller.end();
  await eventually(() => caller.socket.destroyed && wire.socket.destroyed, 'the close');
});

test('a reset is passed on as a reset, both ways, and counted', async (t) => {
  const first = await piped(t);
  first.wire.reset();
  assert.equal(await first.caller.gone(), 'reset');
  await eventually(() => first.proxy.failures(first.service, 'endpoint_reset_body') === 1, 'it');
  assert.equal(first.proxy.requests(first.service, 1), 1, 'it stood');
  assert.equal(first.proxy.requests(first.service, 0), 0);
  const second = await piped(t);
  second.caller.reset();
  assert.equal(await second.wire.gone(), 'reset');
  await eventually(() => second.proxy.failures(second.service, 'caller_gone') === 1, 'it');
});

test('a refused connection goes to another endpoint before the caller sees anything', async (t) => {
  const [dead, alive] = [await deaf(t), await RawEndpoint.listen(t, freshAddress())];
  const { proxy, service } = await tcpFor(t, [dead, alive]);
  for (let i = 0; i < 8; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    const wire = await alive.next();
    wire.write('hello');
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await caller.bytes(5), 'hello');
    caller.end();
    wire.end();
  }
  await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the account');
  assert.equal(proxy.requests(service, 1), 8);
  const refused = proxy.endpointFigure(service, dead, ENDPOINT_OWN.connectFailures);
  assert.ok(refused > 0 && refused < 8, `${refused}: it was ejected after five`);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), refused);
});

test('an endpoint that does not answer costs the connect time, and then another one is asked', async (t) => {
  const [silent, alive] = [
    await blackHole(t, freshAddress()),
    await RawEndpoint.listen(t, freshAddress()),
  ];
  const policies = {
    balance: { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' as const },
    timeouts: { ...DEFAULT_POLICIES.timeouts, connectMs: 1_000 },
  };
  const { proxy, service } = await tcpFor(t, [silent, alive], { manual: true, policies });
  const callers = [await proxy.call(service), await proxy.call(service)];
  for (const caller of callers) caller.write('x');
  await proxy.advanceUntil(() => alive.wires.length === 2, 'both');
  await eventually(() => alive.wires.every(({ pending }) => pending === 'x'), 'their bytes');
  assert.equal(proxy.endpointFigure(service, silent, ENDPOINT_OWN.timeouts), 1);
});

for (const algorithm of ['least-request', 'consistent-hash', 'round-robin'] as const) {
  test(`two endpoints that refuse never cost a connection, by ${algorithm}`, async (t) => {
    const alive = await RawEndpoint.listen(t, freshAddress());
    const endpoints = [await deaf(t), alive, await deaf(t)];
    const { balance, ejection } = DEFAULT_POLICIES;
    const policies = {
      balance: { ...balance, algorithm, hashKey: { kind: 'source' as const } },
      // Each connection meets them anew.
      ejection: { ...ejection, consecutiveFailures: 0 },
    };
    const { proxy, service } = await tcpFor(t, endpoints, { policies });
    for (let i = 1; i <= 24; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await proxy.call(service, `127.0.0.${i}`);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await alive.next();
    }
    await eventually(() => proxy.requests(service, 1) === 24, 'all to stand');
    assert.equal(proxy.failures(service, 'connect_failed'), 0);
  });
}

test('three endpoints are tried; then the caller gets a reset and no end', async (t) => {
  const endpoints = [await deaf(t), await deaf(t), await deaf(t), await deaf(t)];
  const { proxy, service } = await tcpFor(t, endpoints);
  await proxy.callRefused(service);
  assert.equal(proxy.failures(service, 'connect_failed'), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 2);
  assert.equal(proxy.requests(service, 5), 1, 'as HTTP would answer it');
});

test('without an endpoint the caller gets a reset, with a reason that is counted', async (t) => {
  const { proxy, service } = await tcpFor(t, []);
  await proxy.callRefused(service);
  assert.equal(proxy.failures(service, 'no_endpoint'), 1);
});

test('a route leads to backends of TCP by weight, and to none of HTTP', async (t) => {
  const [a, b] = [
    await RawEndpoint.listen(t, freshAddress()),
    await RawEndpoint.listen(t, freshAddress()),
  ];
  const proxy = new TestProxy(t);
  const web = proxy.service({ key: 'test/web', endpoints: [a] });
  const other = proxy.service({ key: 'test/other', endpoints: [b], tcp: true });
  const called = proxy.service({ key: 'test/called', endpoints: [a], tcp: true });
  const [port] = called.ports;
  assert(port?.protocol === 'tcp');
  const [route] = port.routes;
  assert(route !== undefined);
  const to = (backend: string, weight: number) => ({ backend, weight, invalid: '', filters: null });
  const lead = (backends: ReturnType<typeof to>[]) => ({
    ...called,
    ports: [{ ...port, routes: [{ ...route, backends }] }],
  });
  const [own, theirs, http] = [called, other, web].map(({ ports }) => ports[0]?.backend.id ?? '');
  await proxy.apply([web, other, lead([to(own!, 0), to(theirs!, 1)])]);
  await proxy.call(called);
  await b.next();
  assert.equal(a.wires.length, 0);
  await proxy.apply([lead([to(http!, 1)])]);
  await proxy.callRefused(called);
  assert.equal(proxy.failures(called, 'no_endpoint'), 1);
  await proxy.apply([lead([{ ...to(theirs!, 1), invalid: 'it may not' }])]);
  await proxy.callRefused(called);
  assert.equal(proxy.failures(called, 'invalid_backend'), 1);
  await proxy.apply([lead([to(theirs!, 0)])]);
  await proxy.callRefused(called);
  assert.equal(proxy.failures(called, 'no_route'), 1);
  assert.equal(a.wires.length, 0);
});

test('connections go where there are fewest, and stay by source where that is asked for', async (t) => {
  const endpoints = [
    await RawEndpoint.listen(t, freshAddress()),
    await RawEndpoint.listen(t, freshAddress()),
  ];
  const { proxy, service } = await tcpFor(t, endpoints);
  const count = (): number[] => endpoints.map(({ wires }) => wires.length);
  for (let i = 0; i < 10; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.call(service);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(() => count().reduce((a, b) => a + b) === i + 1, 'it');
  }
  assert.deepEqual(count(), [5, 5]);
  const policies = {
    balance: {
      ...DEFAULT_POLICIES.balance,
      algorithm: 'consistent-hash' as const,
      hashKey: { kind: 'source' as const },
    },
  };
  await proxy.apply([proxy.service({ key: service.key, tcp: true, endpoints, policies })]);
  for (let i = 0; i < 6; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.call(service, '127.0.0.9');
  }
  await eventually(() => count().reduce((a, b) => a + b) === 16, 'all');
  assert.deepEqual([Math.min(...count()), Math.max(...count())], [5, 11]);
});

test('a drain lets connections go on, and cuts what is left with a reset', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t, { manual: true });
  const other = await proxy.call(service);
  const second = await endpoint.next();
  const drained = proxy.server.drain(5_000);
  await proxy.advanceUntil(() => proxy.server.listeners === 0, 'the listeners to close');
  wire.write('still');
  assert.equal(await caller.bytes(5), 'still');
  caller.end();
  wire.end();
  await caller.rest();
  await eventually(() => proxy.context.callerConnections === 1, 'the first to end');
  await proxy.advanceUntil(() => second.ending === 'reset', 'the cut');
  assert.equal(await other.gone(), 'reset');
  assert.equal(await drained, 1);
  assert.equal(proxy.failures(service, 'draining'), 1);
});

test('updates that have nothing to do with it, and the end of its endpoint in the configuration, leave a connection alone', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t);
  const later = await RawEndpoint.listen(t, freshAddress());
  await proxy.apply([proxy.service({ key: service.key, tcp: true, endpoints: [later] })]);
  wire.write('on');
  assert.equal(await caller.bytes(2), 'on');
  await proxy.call(service);
  await later.next();
  assert.equal(endpoint.wires.length, 1);
  await proxy.apply([], { removed: [service.key] });
  caller.write('and on');
  assert.equal(await wire.bytes(6), 'and on');
});

test('a port that becomes one of HTTP, and back, is carried by what it is', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await tcpFor(t, [endpoint]);
  const caller = await proxy.call(service);
  const wire = await endpoint.next();
  const http = proxy.service({ key: service.key, endpoints: [endpoint] });
  await proxy.apply([http]);
  const web = await proxy.call(service);
  web.write(GET);
  const request = await endpoint.next();
  assert.match(await request.head(), /^GET \/ HTTP\/1\.1\r\n/);
  request.write(OK);
  assert.match(await web.until('ok'), /^HTTP\/1\.1 200 /);
  wire.write('on');
  assert.equal(await caller.bytes(2), 'on');
  await proxy.apply([service]);
  const raw = await proxy.call(service);
  const last = await endpoint.next();
  last.write('raw');
  assert.equal(await raw.bytes(3), 'raw');
});

test('a loop ends before it begins', async (t) => {
  const proxy = new TestProxy(t);
  const service = proxy.service({ tcp: true });
  await proxy.apply([service]);
  const port = service.ports[0]?.port ?? 0;
  const own = exampleEndpoint(service.address, { port });
  await proxy.apply([proxy.service({ key: service.key, tcp: true, endpoints: [own] })]);
  await proxy.callRefused(service);
  await eventually(() => proxy.context.callerConnections === 0, 'all of it to be gone');
  assert.equal(proxy.failures(service, 'loop'), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.callerConnectionsOpened), 1, 'none was dialled');
});

test('a caller that leaves while its endpoint is dialled takes the dial with it', async (t) => {
  const silent = await blackHole(t, freshAddress());
  // Without a time limit that would end it, too.
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, connectMs: 0 } };
  const { proxy, service } = await tcpFor(t, [silent], { manual: true, policies });
  const caller = await proxy.call(service);
  await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 1, 'the dial');
  caller.reset();
  await proxy.advanceUntil(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the end');
  assert.equal(proxy.failures(service, 'caller_gone'), 1);
  assert.equal(proxy.endpointWord(service, silent, ENDPOINT_WORD.inFlight), 0);
  assert.equal(proxy.endpointFigure(service, silent, ENDPOINT_OWN.failed), 0, 'nobody is blamed');
});

test('a new connection to a port of TCP in a cluster is accepted on the proxy port', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ tcp: true, endpoints: [endpoint] });
  const [port] = service.ports;
  assert(port !== undefined);
  const placed = withProtocol({ ...port, port: 5432, proxyPort: port.port + 5_000 }, 'tcp');
  await proxy.apply([{ ...service, ports: [placed] }]);
  const caller = await dial(t, { address: service.address, port: placed.proxyPort });
  caller.dropsByReset = true;
  const wire = await endpoint.next();
  wire.write('R');
  assert.equal(await caller.bytes(1), 'R');
});
