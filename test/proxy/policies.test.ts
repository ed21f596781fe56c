/** Rate limits, breakers, health and balancing as callers see them. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { BalancePolicy, EjectionPolicy } from '../../src/model/policy.ts';
import { BREAKER_OPEN, BREAKER_RECOVERING } from '../../src/proxy/policy/breaker.ts';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_FLOAT,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { exampleBreaker, exampleEndpoint } from '../support/model.ts';
import { freshAddress, GET, OK, post, proxyFor, TestProxy } from '../support/proxy.ts';
import { RawEndpoint, type Wire } from '../support/wire.ts';

/** Endpoints that answer with their number. */
function numbered(t: TestContext, count: number): Promise<RawEndpoint[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) =>
      RawEndpoint.answering(
        t,
        freshAddress(),
        () => `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${i}`,
      ),
    ),
  );
}

/** Sends a request; gives back the head and the body. */
async function ask(caller: Wire, fields = ''): Promise<{ head: string; body: string }> {
  caller.write(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  const head = await caller.head();
  return { head, body: await caller.bytes(Number(/Content-Length: (\d+)/.exec(head)?.[1])) };
}

async function askOften(caller: Wire, count: number, fields = ''): Promise<string[]> {
  const bodies: string[] = [];
  for (let i = 0; i < count; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    bodies.push((await ask(caller, fields)).body);
  }
  return bodies;
}

function balance(more: Partial<BalancePolicy>): { balance: BalancePolicy } {
  return { balance: { ...DEFAULT_POLICIES.balance, ...more } };
}

function ejection(more: Partial<EjectionPolicy>): { ejection: EjectionPolicy } {
  return { ejection: { ...DEFAULT_POLICIES.ejection, ...more } };
}

test('requests beyond the rate get 429 with Retry-After and go on when there is a token', async (t) => {
  const [endpoint] = await numbered(t, 1);
  assert(endpoint !== undefined);
  const rateLimit = {
    average: 1,
    periodMs: 2_000,
    burst: 2,
    per: 'service',
    callersMax: 8,
  } as const;
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: { rateLimit },
    manual: true,
  });
  const caller = await proxy.call(service);
  await askOften(caller, 2);
  const { head, body } = await ask(caller);
  assert.match(head, /^HTTP\/1\.1 429 Too Many Requests\r\n[^]*Retry-After: 2\r\n/);
  assert.match(body, /rate_limited/);
  const other = await proxy.call(service, '127.5.5.5');
  assert.match((await ask(other)).head, / 429 /);
  proxy.advance(2_000);
  assert.equal((await ask(caller)).body, '0');
  assert.match((await ask(caller)).head, / 429 /);
  assert.equal(proxy.failures(service, 'rate_limited'), 3);
  assert.equal(endpoint.heads.length, 3);
});

test('a rate per caller counts each source address by itself', async (t) => {
  const [endpoint] = await numbered(t, 1);
  assert(endpoint !== undefined);
  const rateLimit = {
    average: 1,
    periodMs: 1_000,
    burst: 1,
    per: 'caller',
    callersMax: 8,
  } as const;
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: { rateLimit },
    manual: true,
  });
  for (const from of ['127.5.5.5', '127.5.5.6']) {
    // oxlint-disable no-await-in-loop -- one after the other
    const first = await proxy.call(service, from);
    assert.equal((await ask(first)).body, '0');
    const second = await proxy.call(service, from);
    assert.match((await ask(second)).head, / 429 /);
    // oxlint-enable no-await-in-loop
  }
});

const BREAKER = exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 });

test('an open breaker answers 503 with Retry-After and never dials', async (t) => {
  const [endpoint] = await numbered(t, 1);
  assert(endpoint !== undefined);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: { breaker: BREAKER },
    manual: true,
  });
  const slot = proxy.ledger.find('service', service.key) ?? -1;
  const until = proxy.clock.nowMs() + 3_500;
  proxy.ledger.setFloat('service', slot, SERVICE_FLOAT.breakerUntilMs, until);
  proxy.setWord(service, SERVICE_WORD.breakerState, BREAKER_OPEN);
  const caller = await proxy.call(service);
  const { head, body } = await ask(caller);
  assert.match(head, /^HTTP\/1\.1 503 [^]*\r\nRetry-After: 4\r\n/);
  assert.match(body, /breaker_open/);
  assert.equal(endpoint.wires.length, 0);
  proxy.setWord(service, SERVICE_WORD.breakerState, 0);
  assert.equal((await ask(caller)).body, '0');
});

test('the governor opens a breaker on network errors, recovers it, and closes it', async (t) => {
  let isBroken = true;
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await wire.head();
      if (isBroken) return wire.end();
      wire.write(OK);
    }
  });
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: { breaker: BREAKER, ...ejection({ consecutiveFailures: 0 }) },
    manual: true,
  });
  const caller = await proxy.call(service);
  const tick = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      proxy.advance(100);
      proxy.governor.tick();
    }
  };
  tick(100);
  for (const body of await askOften(caller, 20)) assert.match(body, /endpoint_reset/);
  tick(200);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_OPEN);
  assert.match((await ask(caller)).body, /breaker_open/);
  const { length } = endpoint.wires;
  assert.equal(length, 20);
  isBroken = false;
  tick(5_000);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_RECOVERING);
  tick(2_500);
  const bodies = await askOften(caller, 40);
  const passed = bodies.filter((body) => body === 'ok').length;
  assert(passed > 8 && passed < 32, `${passed} of 40 passed half-way through the recovery`);
  tick(3_000);
  assert.deepEqual(new Set(await askOften(caller, 10)), new Set(['ok']));
});

/** Endpoint 0 answers 503 while `sick`. */
async function withSick(t: TestContext): Promise<{ endpoints: RawEndpoint[]; heal: () => void }> {
  let isSick = true;
  const sick = await RawEndpoint.answering(t, freshAddress(), () =>
    isSick
      ? 'HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\n!'
      : 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ns',
  );
  return { endpoints: [sick, ...(await numbered(t, 1))], heal: () => (isSick = false) };
}

test('an endpoint that fails in a row is left out, probed once when due, and comes back', async (t) => {
  const { endpoints, heal } = await withSick(t);
  const { proxy, service } = await proxyFor(t, endpoints, {
    // Round robin goes on asking an endpoint that has failed.
    policies: {
      ...ejection({ consecutiveFailures: 3, baseMs: 2_000 }),
      ...balance({ algorithm: 'round-robin' }),
    },
    manual: true,
  });
  const sick = endpoints[0] as RawEndpoint;
  const caller = await proxy.call(service);
  await askOften(caller, 30);
  assert.equal(sick.heads.length, 3);
  proxy.advance(1_900);
  assert.deepEqual(new Set(await askOften(caller, 10)), new Set(['0']));
  proxy.advance(200);
  const probed = await askOften(caller, 10);
  assert.equal(probed.filter((body) => body === '!').length, 1, 'one probe, which fails');
  proxy.advance(2_200);
  assert.deepEqual(new Set(await askOften(caller, 10)), new Set(['0']), 'twice as long now');
  heal();
  proxy.advance(2_000);
  const healed = await askOften(caller, 40);
  assert(healed.filter((body) => body === 's').length > 5, healed.join(''));
  assert.equal(proxy.endpointWord(service, sick, ENDPOINT_WORD.health), 0);
});

test('never are all endpoints left out', async (t) => {
  const endpoints = await Promise.all(
    [0, 1, 2].map(() =>
      RawEndpoint.answering(
        t,
        freshAddress(),
        () => 'HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\n!',
      ),
    ),
  );
  const { proxy, service } = await proxyFor(t, endpoints, {
    policies: ejection({ consecutiveFailures: 1, maxEjectedRatio: 1 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  assert.deepEqual(new Set(await askOften(caller, 30)), new Set(['!']));
  const out = endpoints.filter(
    (endpoint) => proxy.endpointWord(service, endpoint, ENDPOINT_WORD.health) !== 0,
  );
  assert.equal(out.length, 2);
});

test('an affinity cookie keeps a caller at its endpoint until that is gone', async (t) => {
  const endpoints = await numbered(t, 4);
  const affinity = { cookie: 'stick', maxAgeSeconds: 60 };
  const { proxy, service } = await proxyFor(t, endpoints, { policies: { affinity } });
  const caller = await proxy.call(service);
  const { head, body } = await ask(caller);
  const cookie =
    /\r\nSet-Cookie: (stick=[0-9a-f]{8}); Path=\/; HttpOnly; SameSite=Lax; Max-Age=60\r\n/.exec(
      head,
    )?.[1];
  assert(cookie !== undefined, head);
  for (let i = 0; i < 20; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const again = await ask(caller, `Cookie: a=b; ${cookie}\r\n`);
    assert.equal(again.body, body);
    assert.doesNotMatch(again.head, /Set-Cookie/);
  }
  const rest = endpoints.filter((_, i) => String(i) !== body);
  await proxy.apply([proxy.service({ key: service.key, endpoints: rest, policies: { affinity } })]);
  const moved = await ask(caller, `Cookie: ${cookie}\r\n`);
  assert.notEqual(moved.body, body);
  assert.match(moved.head, /\r\nSet-Cookie: stick=/);
});

test('a source address keeps its endpoint over connections and updates until that is gone', async (t) => {
  const endpoints = await numbered(t, 4);
  const policies = {
    ...balance({ algorithm: 'round-robin' }),
    sourceAffinity: { timeoutMs: 60_000 },
  };
  const { proxy, service } = await proxyFor(t, endpoints.slice(0, 3), { policies });
  const { body } = await ask(await proxy.call(service));
  const { key } = service;
  await proxy.apply([proxy.service({ key, endpoints, policies })]);
  for (let i = 0; i < 8; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.deepEqual([...new Set(await askOften(caller, 3))], [body]);
  }
  const rest = endpoints.filter((_, i) => String(i) !== body);
  await proxy.apply([proxy.service({ key, endpoints: rest, policies })]);
  const moved = (await ask(await proxy.call(service))).body;
  assert.notEqual(moved, body);
  assert.deepEqual([...new Set(await askOften(await proxy.call(service), 5))], [moved]);
});

test('a node-local Service without an endpoint on the node answers 503 and says so', async (t) => {
  const [endpoint] = await numbered(t, 1);
  assert(endpoint !== undefined);
  const policies = balance({ locality: 'require-node' });
  const { address, port } = endpoint;
  const on = (node: string) => [exampleEndpoint(address, { port, node })];
  const proxy = new TestProxy(t, { settings: { node: 'n1' } });
  const service = proxy.service({ endpoints: on('n2'), policies });
  await proxy.apply([service]);
  const caller = await proxy.call(service);
  const refused = await ask(caller);
  assert.match(refused.head, /^HTTP\/1\.1 503 /);
  assert.match(refused.body, /^maesh: no_local_endpoint: .*internalTrafficPolicy Local/);
  await proxy.apply([proxy.service({ key: service.key, endpoints: on('n1'), policies })]);
  assert.equal((await ask(await proxy.call(service))).body, '0');
});

test('consistent hash keeps a key at its endpoint and spreads keys', async (t) => {
  const endpoints = await numbered(t, 4);
  const { proxy, service } = await proxyFor(t, endpoints, {
    policies: balance({
      algorithm: 'consistent-hash',
      hashKey: { kind: 'header', name: 'x-user' },
    }),
  });
  const caller = await proxy.call(service);
  const seen = new Set<string>();
  for (let user = 0; user < 24; user++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const bodies = new Set(await askOften(caller, 3, `X-User: u${user}\r\n`));
    assert.equal(bodies.size, 1);
    for (const body of bodies) seen.add(body);
  }
  assert(seen.size >= 3, `24 keys went to ${seen.size} endpoints`);
});

test('a new endpoint starts slowly', async (t) => {
  const endpoints = await numbered(t, 2);
  const policies = balance({ algorithm: 'weighted', slowStartMs: 60_000 });
  const { proxy, service } = await proxyFor(t, endpoints.slice(0, 1), { policies, manual: true });
  proxy.advance(1_000);
  await proxy.apply([proxy.service({ key: service.key, endpoints, policies })]);
  const caller = await proxy.call(service);
  const share = async (): Promise<number> =>
    (await askOften(caller, 200)).filter((body) => body === '1').length / 200;
  const early = await share();
  proxy.advance(60_000);
  const late = await share();
  assert(early > 0.02 && early < 0.2, `${early} at first`);
  assert(late > 0.35 && late < 0.65, `${late} in the end`);
});

test('callers are served on their own node, then in their own zone', async (t) => {
  const raw = await numbered(t, 3);
  const places = [
    { node: 'n1', zone: 'z1' },
    { node: 'n2', zone: 'z1' },
    { node: 'n3', zone: 'z2' },
  ];
  const endpoints = raw.map(({ address, port }, i) =>
    exampleEndpoint(address, { port, ...places[i] }),
  );
  const { proxy, service } = await proxyFor(t, endpoints);
  const identity = (address: string, node: string, zone: string) => ({
    address,
    namespace: 'test',
    pod: node,
    serviceAccount: 'default',
    node,
    zone,
    doubt: '' as const,
    labels: {},
  });
  await proxy.apply([], {
    identities: [
      identity('127.6.0.1', 'n1', 'z1'),
      identity('127.6.0.2', 'n2', 'z1'),
      identity('127.6.0.3', 'elsewhere', 'z2'),
    ],
  });
  assert.deepEqual(await placesOf(proxy, service, '127.6.0.1'), ['0']);
  assert.deepEqual(await placesOf(proxy, service, '127.6.0.2'), ['1']);
  assert.deepEqual(await placesOf(proxy, service, '127.6.0.3'), ['2']);
  assert.deepEqual(await placesOf(proxy, service, '127.6.0.9'), ['0', '1', '2']);
});

async function placesOf(
  proxy: TestProxy,
  service: Parameters<TestProxy['call']>[0],
  from: string,
): Promise<string[]> {
  const caller = await proxy.call(service, from);
  return [...new Set(await askOften(caller, 30))].toSorted();
}

test('requests, failures and bytes are counted where they belong', async (t) => {
  const [endpoint] = await numbered(t, 1);
  assert(endpoint !== undefined);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET + post('hello'));
  await caller.until('0');
  await caller.until('\r\n\r\n0');
  caller.write('BAD\r\n\r\n');
  await caller.rest();
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + 2), 2);
  assert.equal(proxy.requests(service, 2), 2);
  assert.equal(proxy.requests(service, 4), 1);
  assert.equal(proxy.failures(service, 'bad_request'), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), 5);
  assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), 2);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectionsOpened), 1);
});
