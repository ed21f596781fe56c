/** What a port says otherwise than its Service: what holds there, and what is counted for it alone. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { parseBreaker } from '../../src/compile/expression/breaker.ts';
import type { BreakerPolicy, Policies, RateLimitPolicy } from '../../src/model/policy.ts';
import type { Service, ServicePort } from '../../src/model/service.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

/** Tokens that do not come back within a test. */
const TWO: RateLimitPolicy = {
  average: 1,
  periodMs: 3_600_000,
  burst: 2,
  per: 'service',
  callersMax: 8,
};
const NO_SOURCE = { object: '', field: '' };

/** The Service with a second port; `own` is what that one says, `sources` the fields that are among it. */
function withPort(
  service: Service,
  own: Partial<Policies> | null,
  sources: readonly string[] = [],
): Service {
  const [first] = service.ports;
  assert(first?.protocol === 'http');
  const port = first.port + 5_000;
  const id = `${service.key}:${port}`;
  const [route] = first.routes;
  assert(route !== undefined);
  const second: ServicePort = {
    ...first,
    port,
    policies: own === null ? null : { ...service.policies, ...own },
    sources: Object.fromEntries(sources.map((path) => [path, NO_SOURCE])),
    backend: { ...first.backend, id },
    routes: [{ ...route, backends: [{ ...route.backends[0]!, backend: id }] }],
  };
  return { ...service, ports: [first, second] };
}

function idOf(service: Service): string {
  return service.ports[1]?.backend.id ?? '';
}

/** A caller of the second port. */
function callSecond(proxy: TestProxy, service: Service): Promise<Wire> {
  return proxy.call({ ...service, ports: service.ports.slice(1) });
}

async function ask(caller: Wire): Promise<string> {
  caller.write(GET);
  const head = await caller.head();
  const body = await caller.bytes(Number(/Content-Length: (\d+)/.exec(head)?.[1]));
  return `${head.slice(9, 12)}${/maesh: (\w+)/.exec(body)?.[1] ?? ''}`;
}

async function askTimes(caller: Wire, times: number): Promise<string[]> {
  const answers: string[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (let i = 0; i < times; i++) answers.push(await ask(caller));
  return answers;
}

async function setup(t: TestContext): Promise<{ proxy: TestProxy; endpoint: RawEndpoint }> {
  const proxy = new TestProxy(t, { manual: true });
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  return { proxy, endpoint };
}

test('a rate limit of the Service is one for all ports, whatever else a port says; its own is counted by itself', async (t) => {
  const { proxy, endpoint } = await setup(t);
  const plain = proxy.service({ endpoints: [endpoint], policies: { rateLimit: TWO } });
  const timeouts = { ...DEFAULT_POLICIES.timeouts, requestMs: 60_000 };
  const shared = withPort(plain, { timeouts }, ['timeouts.requestMs']);
  await proxy.apply([shared]);
  const first = await proxy.call(shared);
  const second = await callSecond(proxy, shared);
  assert.equal(await ask(first), '200');
  assert.deepEqual(await askTimes(second, 2), ['200', '429rate_limited']);
  assert.equal(await ask(first), '429rate_limited');

  const own = withPort(plain, { rateLimit: { ...TWO, burst: 3 } }, ['rateLimit.burst']);
  await proxy.apply([own]);
  assert.deepEqual(await askTimes(second, 4), ['200', '200', '200', '429rate_limited']);
  assert.equal(await ask(first), '429rate_limited');
});

test('requests in flight are counted with the Service, or for the port where it says how many', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  const held: Wire[] = [];
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    // oxlint-disable-next-line no-await-in-loop -- one request after the other
    while ((await wire.head()) !== '') held.push(wire);
  });
  const limits = { ...DEFAULT_POLICIES.limits, requestsInFlight: 2 };
  const plain = proxy.service({ endpoints: [endpoint], policies: { limits } });
  const shared = withPort(plain, { limits: { ...limits, requestBodyBytes: 9 } }, [
    'limits.requestBodyBytes',
  ]);
  await proxy.apply([shared]);
  /** Whether a request, on a connection of its own, stays. */
  const stays = async (calling: Promise<Wire>): Promise<boolean> => {
    const before = held.length;
    const caller = await calling;
    caller.write(GET);
    const isRefused = (): boolean => caller.pending.includes('maesh: overloaded');
    await eventually(() => isRefused() || held.length > before, 'an answer or a try');
    return !isRefused();
  };
  assert.equal(await stays(proxy.call(shared)), true);
  assert.equal(await stays(callSecond(proxy, shared)), true);
  assert.equal(await stays(callSecond(proxy, shared)), false);
  assert.equal(await stays(proxy.call(shared)), false);
  assert.equal(proxy.word(shared, SERVICE_WORD.inFlight), 2);

  const own = withPort(plain, { limits: { ...limits, requestsInFlight: 1 } }, [
    'limits.requestsInFlight',
  ]);
  await proxy.apply([own]);
  assert.equal(await stays(callSecond(proxy, own)), true, 'none of those before is its own');
  assert.equal(await stays(callSecond(proxy, own)), false);
  assert.equal(await stays(proxy.call(own)), false);
  for (const wire of held) wire.write(OK);
  await eventually(() => proxy.word(own, SERVICE_WORD.inFlight) === 0, 'the end of the first two');
  const slot = proxy.ledger.find('service', idOf(own));
  assert(slot !== undefined);
  await eventually(
    () => proxy.ledger.word('service', slot, SERVICE_WORD.inFlight) === 0,
    'the end of that of the port',
  );
});

test('retries, time limits and the limit of a body are those of the port', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  let answers = 0;
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => {
    answers++;
    return answers % 2 === 1 ? OK.replace('200 OK', '503 Busy') : OK;
  });
  const plain = proxy.service({ endpoints: [endpoint] });
  const retry = { ...DEFAULT_RETRY, on: ['status'] as const, backoffMs: 0, backoffMaxMs: 0 };
  const limits = { ...DEFAULT_POLICIES.limits, requestBodyBytes: 3 };
  const service = withPort(plain, { retry, limits }, ['retry.on', 'limits.requestBodyBytes']);
  await proxy.apply([service]);
  const first = await proxy.call(service);
  assert.deepEqual(await askTimes(first, 2), ['503', '200']);
  const second = await callSecond(proxy, service);
  assert.deepEqual(await askTimes(second, 2), ['200', '200']);
  const slot = proxy.ledger.find('service', idOf(service));
  assert(slot !== undefined);
  assert.equal(proxy.ledger.sum('service', slot, SERVICE_OWN.retries), 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 0);
  assert.equal(proxy.requests(service, 2), 1, 'what the port has of its own is counted there');
  const long = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n';
  second.write(long);
  assert.match(await second.until('body_too_large'), /^HTTP\/1\.1 413 /);
});

test('the breaker of a port opens for that port alone, and that of the Service for the others', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () =>
    OK.replace('200 OK', '500 Broken'),
  );
  const parsed = parseBreaker('ResponseCodeRatio(500, 600, 0, 600) > 0.5');
  assert(parsed.ok);
  const breaker: BreakerPolicy = {
    text: 'x',
    expression: parsed.value,
    checkPeriodMs: 100,
    openMs: 60_000,
    recoveryMs: 1_000,
  };
  const service = withPort(proxy.service({ endpoints: [endpoint] }), { breaker }, ['breaker.text']);
  const events: unknown[] = [];
  proxy.governor.onEvent = (event) => events.push(event);
  await proxy.apply([service]);
  const first = await proxy.call(service);
  const second = await callSecond(proxy, service);
  assert.equal(await ask(second), '500');
  proxy.governor.tick();
  proxy.advance(200);
  proxy.governor.tick();
  assert.deepEqual(events, [{ kind: 'breaker', service: idOf(service), state: 'open' }]);
  assert.equal(await ask(second), '503breaker_open');
  assert.equal(await ask(first), '500');

  const none = withPort(service, null);
  await proxy.apply([none]);
  assert.equal(await ask(second), '500', 'the port says nothing more');
});

test('a port lifts the rate limit of its Service and takes it back while its callers stay connected', async (t) => {
  const { proxy, endpoint } = await setup(t);
  const plain = proxy.service({ endpoints: [endpoint], policies: { rateLimit: TWO } });
  const shared = withPort(plain, null);
  const lifted = withPort(plain, { rateLimit: null }, ['rateLimit.average']);
  await proxy.apply([lifted]);
  const first = await proxy.call(lifted);
  const second = await callSecond(proxy, lifted);
  assert.deepEqual(
    await askTimes(second, 6),
    Array.from({ length: 6 }, () => '200'),
  );
  assert.deepEqual(await askTimes(first, 3), ['200', '200', '429rate_limited']);
  await proxy.apply([shared]);
  assert.deepEqual(await askTimes(second, 1), ['429rate_limited']);
  await proxy.apply([lifted]);
  assert.deepEqual(await askTimes(second, 2), ['200', '200']);
  assert.deepEqual(await askTimes(first, 1), ['429rate_limited']);
});

test('a port begins and stops to say something while its callers stay connected', async (t) => {
  const { proxy, endpoint } = await setup(t);
  const plain = proxy.service({ endpoints: [endpoint] });
  const none = withPort(plain, null);
  const own = withPort(plain, { rateLimit: { ...TWO, burst: 1 } }, ['rateLimit.average']);
  await proxy.apply([none]);
  const caller = await callSecond(proxy, none);
  assert.deepEqual(await askTimes(caller, 3), ['200', '200', '200']);
  const before = proxy.figure(plain, SERVICE_OWN.callerConnectionsOpened);
  await proxy.apply([own]);
  assert.deepEqual(await askTimes(caller, 2), ['200', '429rate_limited']);
  await proxy.apply([none]);
  assert.deepEqual(await askTimes(caller, 2), ['200', '200']);
  await proxy.apply([own]);
  assert.deepEqual(await askTimes(caller, 1), ['429rate_limited'], 'its bucket is as it was');
  assert.equal(proxy.figure(plain, SERVICE_OWN.callerConnectionsOpened), before);
  await proxy.apply([{ ...own, ports: own.ports.slice(0, 1) }]);
  assert.equal(proxy.server.listeners, 1);
});
