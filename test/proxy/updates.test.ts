/** Configuration that changes under traffic: no request fails for it, and what policies remember stays. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { onlyRoute } from '../../src/model/route.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { ServicePort } from '../../src/model/service.ts';
import { ENDPOINT_WORD, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { BREAKER_OPEN } from '../../src/proxy/policy/breaker.ts';
import { DATE, freshAddress, GET, OK, proxyFor, TestProxy } from '../support/proxy.ts';
import { dial, eventually, RawEndpoint, type Wire } from '../support/wire.ts';

/** Sends one request after the other until told to stop; every answer must be a 200. */
async function keepAsking(caller: Wire, goOn: () => boolean): Promise<number> {
  let count = 0;
  while (goOn()) {
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.until('ok'), OK);
    count++;
  }
  return count;
}

test('no request fails while endpoints and policies change all the time', async (t) => {
  const endpoints = await Promise.all(
    Array.from({ length: 6 }, () => RawEndpoint.answering(t, freshAddress(), () => OK)),
  );
  const { proxy, service } = await proxyFor(t, endpoints);
  const variants: Partial<Policies>[] = [
    {},
    { retry: DEFAULT_RETRY },
    { balance: { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' } },
    { balance: { ...DEFAULT_POLICIES.balance, algorithm: 'peak-ewma' } },
    { rateLimit: { average: 1e6, periodMs: 1_000, burst: 1e6, per: 'caller', callersMax: 64 } },
    { affinity: { cookie: 'x', maxAgeSeconds: 0 } },
  ];
  const traffic = { isOver: false };
  const callers = await Promise.all(Array.from({ length: 12 }, () => proxy.call(service)));
  const asked = Promise.all(
    callers.map(async (caller) => {
      while (!traffic.isOver) {
        caller.write(GET);
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.match(await caller.until('\r\n\r\nok'), /^HTTP\/1\.1 200 OK\r\n/);
      }
    }),
  );
  for (let i = 0; i < 150; i++) {
    const some = endpoints.filter((_, n) => (n + i) % 6 < 1 + (i % 5));
    const policies = variants[i % variants.length] ?? {};
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.apply([proxy.service({ key: service.key, endpoints: some, policies })]);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  traffic.isOver = true;
  await asked;
  const all = [0, 1, 3, 4, 5].map((one) => proxy.requests(service, one));
  assert.deepEqual(all, [0, 0, 0, 0, 0]);
  assert(proxy.requests(service, 2) > 300, `${proxy.requests(service, 2)} requests`);
});

test('policy state outlives updates: bucket, breaker, health', async (t) => {
  const endpoints = await Promise.all(
    [0, 1].map(() => RawEndpoint.answering(t, freshAddress(), () => OK)),
  );
  const rateLimit = {
    average: 1,
    periodMs: 60_000,
    burst: 1,
    per: 'service',
    callersMax: 8,
  } as const;
  const { proxy, service } = await proxyFor(t, endpoints, {
    policies: { rateLimit },
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  const [first] = endpoints;
  assert(first !== undefined);
  proxy.ledger.setWord('endpoint', proxy.endpointSlot(service, first), ENDPOINT_WORD.health, 1);
  proxy.setWord(service, SERVICE_WORD.breakerState, BREAKER_OPEN);
  await proxy.apply([
    proxy.service({
      key: service.key,
      endpoints,
      policies: { rateLimit: { ...rateLimit, burst: 1 }, retry: DEFAULT_RETRY },
    }),
  ]);
  caller.write(GET);
  assert.match(await caller.until('maesh: rate_limited'), /^HTTP\/1\.1 429 /);
  assert.equal(proxy.endpointWord(service, first, ENDPOINT_WORD.health), 1);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_OPEN);
});

async function stuckRequest(t: TestContext, manual = false) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { manual });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  return { endpoint, proxy, service, caller, wire };
}

test('callers of a removed Service finish what runs and are then closed; new ones are refused', async (t) => {
  const { proxy, service, caller, wire } = await stuckRequest(t);
  await proxy.apply([], { removed: [service.key] });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  await assert.rejects(dial(t, to), { code: 'ECONNREFUSED' });
  wire.write(OK);
  assert.equal(
    await caller.rest(),
    `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\nConnection: close\r\n\r\nok`,
  );
  await wire.gone();
});

test('a response that had begun when its Service was removed goes on to its end', async (t) => {
  const { proxy, service, caller, wire } = await stuckRequest(t, true);
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
  await caller.until('ab');
  await proxy.apply([], { removed: [service.key] });
  wire.write('cd');
  await caller.until('cd');
  assert.equal(caller.ending, 'open');
  proxy.advance(2_100);
  assert.equal(await caller.rest(), '');
});

test('a Service that moves to another port is served there; callers of the old one are let go', async (t) => {
  const { proxy, service, caller, wire } = await stuckRequest(t);
  const port = service.ports[0];
  assert(port !== undefined);
  const id = `${service.key}:${port.port + 1_000}`;
  const moved = {
    ...service,
    ports: [
      {
        ...port,
        port: port.port + 1_000,
        backend: { ...port.backend, id },
        routes: port.routes.map(({ source }) => onlyRoute(id, source)),
      },
    ],
  };
  await proxy.apply([moved]);
  const fresh = await proxy.call(moved);
  fresh.write(GET);
  await assert.rejects(dial(t, { address: service.address, port: port.port }));
  wire.write(OK);
  assert.match(await caller.rest(), /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\nok$/);
  fresh.reset();
});

test('an endpoint that leaves while it answers answers to the end, and is not used again', async (t) => {
  const { endpoint, proxy, service, caller, wire } = await stuckRequest(t);
  const other = await RawEndpoint.answering(t, freshAddress(), () => OK);
  await proxy.apply([proxy.service({ key: service.key, endpoints: [other] })]);
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow');
  await caller.until('slow');
  await wire.gone();
  assert.equal(await keepAsking(caller, () => other.heads.length < 5), 5);
  assert.equal(endpoint.wires.length, 1);
});

test('an idle connection to an endpoint that leaves is closed', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  const wire = await endpoint.next();
  await proxy.apply([proxy.service({ key: service.key, endpoints: [] })]);
  await wire.gone();
  caller.write(GET);
  assert.match(await caller.until('maesh: no_endpoint'), /^HTTP\/1\.1 503 /);
});

test('a Service that is removed and comes back keeps its figures', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint] });
  for (let i = 1; i <= 3; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    await proxy.apply([service]);
    const caller = await proxy.call(service);
    caller.write(GET);
    await caller.until('ok');
    assert.equal(proxy.requests(service, 2), i);
    caller.end();
    await eventually(() => proxy.context.callerConnections === 0, 'the close');
    await proxy.apply([], { removed: [service.key] });
    // oxlint-enable no-await-in-loop
  }
});

test('a proxy port is open at every address, and stays open while its Service gets its address', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service: plain } = await proxyFor(t, [endpoint]);
  const proxyPort = await freePort();
  const key = 'test/shared';
  const made = proxy.service({ key, endpoints: [endpoint] });
  const shared = { ...made, ports: made.ports.map((port) => ({ ...port, proxyPort })) };
  await proxy.apply([{ ...shared, address: '' }]);
  const at = (address: string): Promise<Wire> =>
    proxy.call({
      ...shared,
      address,
      ports: plain.ports.map((port) => ({ ...port, port: proxyPort })),
    });
  const callers = await Promise.all(['127.0.0.1', '127.3.2.1', '::1'].map(at));
  await proxy.apply([{ ...shared, address: '10.96.0.7', secondAddress: 'fd00::7' }]);
  for (const caller of callers) {
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.until('ok'), OK);
  }
  assert.equal(proxy.server.listeners, 2);
});

/** A port that nobody has on any address, most likely still so in a moment. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('endpoints that ask for TLS or HTTP/2 get no plain HTTP/1.1, by their own port or by the route of another Service', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, connectMs: 100 } };
  const { proxy, service: own } = await proxyFor(t, [endpoint], { policies });
  const plain = proxy.service({ key: 'test/plain', endpoints: [], policies });
  const [{ backend }] = own.ports as [ServicePort];
  const [{ routes }] = plain.ports as [ServicePort];
  const crossed = routes.map(({ source }) => onlyRoute(backend.id, source));
  const other = { ...plain, ports: plain.ports.map((port) => ({ ...port, routes: crossed })) };
  await proxy.apply([other]);
  const TLS = { serverName: 'a', trust: 'anyone', ca: '', client: null } as const;
  for (const [spoken, status] of [
    [{ protocol: 'http/1.1', tls: null }, 200],
    // It gets a handshake, and waits for a head.
    [{ protocol: 'http/1.1', tls: TLS }, 504],
    // It gets HTTP/2, and answers something else.
    [{ protocol: 'http/2', tls: null }, 502],
    [{ protocol: 'http/1.1', tls: null }, 200],
  ] as const) {
    const ports = own.ports.map((port) => ({ ...port, backend: { ...backend, ...spoken } }));
    await proxy.apply([{ ...own, ports }]);
    const caller = await proxy.call(other);
    caller.write(GET);
    assert.match(await caller.head(), new RegExp(`^HTTP/1.1 ${status} `));
  }
  const requests = endpoint.heads.filter((head) => head.startsWith('GET '));
  assert.equal(requests.length, 2, 'of the two that asked for plain HTTP/1.1');
});
