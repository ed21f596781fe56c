/** Rate limits of routes beside that of the Service, as callers, the counters and the access log see them. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { RateLimitPolicy } from '../../src/model/policy.ts';
import type { HttpRoute } from '../../src/model/route.ts';
import type { Service } from '../../src/model/service.ts';
import { AccessWriter } from '../../src/proxy/call/access.ts';
import type { AccessLog, AccessRecord } from '../../src/proxy/telemetry/access-log.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { RawEndpoint, type Wire } from '../support/wire.ts';

/** One token, and the next in ten seconds. */
const ONE: RateLimitPolicy = {
  average: 6,
  periodMs: 60_000,
  burst: 1,
  per: 'service',
  callersMax: 8,
};
/** The tokens of a Service do not come back within a test. */
const THREE: RateLimitPolicy = { ...ONE, average: 1, periodMs: 3_600_000, burst: 3 };

interface Limited {
  readonly proxy: TestProxy;
  /** With these limits on `/slow`, on `/other`, and on the Service. */
  readonly serve: (limits: {
    slow?: RateLimitPolicy | null;
    other?: RateLimitPolicy;
    service?: RateLimitPolicy;
  }) => Promise<Service>;
}

async function setup(t: TestContext): Promise<Limited> {
  const proxy = new TestProxy(t, { manual: true });
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
  );
  const routeOn = (path: string, rest: HttpRoute, rateLimit?: RateLimitPolicy | null) => ({
    ...rest,
    name: path,
    matches: [{ path: { kind: 'exact', value: path }, method: '', headers: [], query: [] }],
    policies: rateLimit === undefined ? {} : { rateLimit },
  });
  return {
    proxy,
    serve: async ({ slow, other, service = null }) => {
      const made = proxy.service({
        key: 'shop/web',
        endpoints: [endpoint],
        policies: { rateLimit: service },
      });
      const [port] = made.ports;
      assert(port?.protocol === 'http');
      const [rest] = port.routes;
      assert(rest !== undefined);
      const found = { path: { kind: 'exact', value: '/' }, method: '', headers: [], query: [] };
      const routes = [
        routeOn('/slow', rest, slow),
        routeOn('/other', rest, other),
        { ...rest, matches: [found] },
      ] as HttpRoute[];
      const routed: Service = { ...made, ports: [{ ...port, routes }] };
      await proxy.apply([routed]);
      return routed;
    },
  };
}

/** The status, and for 429 the reason and Retry-After. */
async function ask(caller: Wire, path: string): Promise<string> {
  caller.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const head = await caller.head();
  const body = await caller.bytes(Number(/Content-Length: (\d+)/.exec(head)?.[1]));
  const status = head.slice(9, 12);
  if (status !== '429') return status;
  return `429 ${/maesh: (\w+)/.exec(body)?.[1]} ${/Retry-After: (\d+)/.exec(head)?.[1]}`;
}

/** Path and failure of each request from now on, as the access log has them. */
function logOf({ context }: TestProxy): string[] {
  const lines: string[] = [];
  const log = {
    wants: () => true,
    origin: () => Buffer.alloc(0),
    write: ({ target, targetLength, failure }: AccessRecord) => {
      lines.push(`${target.toString('latin1', 0, targetLength)} ${failure}`);
    },
  };
  context.accessLog = new AccessWriter(log as unknown as AccessLog, context.clock, context.random);
  return lines;
}

async function askAll(caller: Wire, ...paths: readonly string[]): Promise<string[]> {
  const answers: string[] = [];
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const path of paths) answers.push(await ask(caller, path));
  return answers;
}

const NO_ROUTE_TOKEN = '429 route_rate_limited 10';
const NO_TOKEN = '429 rate_limited 3600';

test('a route refuses what is beyond its own limit, and the other routes go on', async (t) => {
  const { proxy, serve } = await setup(t);
  const service = await serve({ slow: ONE, other: ONE });
  const logged = logOf(proxy);
  const caller = await proxy.call(service);
  assert.deepEqual(await askAll(caller, '/slow', '/slow', '/', '/other', '/other', '/'), [
    '200',
    NO_ROUTE_TOKEN,
    '200',
    '200',
    NO_ROUTE_TOKEN,
    '200',
  ]);
  assert.deepEqual(logged, [
    '/slow ',
    '/slow route_rate_limited',
    '/ ',
    '/other ',
    '/other route_rate_limited',
    '/ ',
  ]);
  assert.equal(proxy.failures(service, 'route_rate_limited'), 2);
  assert.equal(proxy.failures(service, 'rate_limited'), 0);
  proxy.advance(10_000);
  assert.deepEqual(await askAll(caller, '/slow', '/slow'), ['200', NO_ROUTE_TOKEN]);
});

test('what a route refuses takes no token of the Service, and the Service limits its routes, too', async (t) => {
  const { proxy, serve } = await setup(t);
  const service = await serve({ slow: ONE, service: THREE });
  const caller = await proxy.call(service);
  const storm = Array.from({ length: 20 }, () => '/slow');
  assert.deepEqual(await askAll(caller, '/slow', ...storm), [
    '200',
    ...storm.map(() => NO_ROUTE_TOKEN),
  ]);
  assert.deepEqual(await askAll(caller, '/', '/', '/', '/other'), [
    '200',
    '200',
    NO_TOKEN,
    NO_TOKEN,
  ]);
  proxy.advance(10_000);
  assert.match(await ask(caller, '/slow'), /^429 rate_limited 3590/);
  await serve({ slow: ONE, service: { ...THREE, burst: 4 } });
  assert.deepEqual(
    await askAll(caller, '/slow', '/slow'),
    ['200', '429 rate_limited 3590'],
    'what the Service refused took no token of the route',
  );
});

test('what no route takes takes a token of the Service, whatever its routes have', async (t) => {
  const { proxy, serve } = await setup(t);
  for (const slow of [undefined, ONE]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const service = await serve({ ...(slow === undefined ? {} : { slow }), service: THREE });
    const caller = await proxy.call(service);
    const answers = await askAll(caller, '/a', '/a', '/a', '/a', '/');
    assert.deepEqual(answers, ['404', '404', '404', NO_TOKEN, NO_TOKEN]);
    proxy.advance(4 * 3_600_000);
    // oxlint-enable no-await-in-loop
  }
});

test('a route without a limit of its own, said or not, has that of the Service alone', async (t) => {
  const { proxy, serve } = await setup(t);
  const service = await serve({ slow: null, service: THREE });
  const caller = await proxy.call(service);
  assert.deepEqual(await askAll(caller, '/slow', '/other', '/', '/slow', '/other'), [
    '200',
    '200',
    '200',
    NO_TOKEN,
    NO_TOKEN,
  ]);
});

test('a limit of a route for each caller counts each source address by itself', async (t) => {
  const { proxy, serve } = await setup(t);
  const service = await serve({ slow: { ...ONE, per: 'caller' }, other: ONE });
  for (const from of ['127.5.5.5', '127.5.5.6']) {
    // oxlint-disable no-await-in-loop -- one after the other
    const first = await proxy.call(service, from);
    const second = await proxy.call(service, from);
    assert.equal(await ask(first, '/slow'), '200');
    assert.equal(await ask(second, '/slow'), NO_ROUTE_TOKEN);
    // oxlint-enable no-await-in-loop
  }
});

test('the tokens of a route outlive updates, and a limit that goes leaves nothing', async (t) => {
  const { proxy, serve } = await setup(t);
  const service = await serve({ slow: ONE });
  const caller = await proxy.call(service);
  assert.equal(await ask(caller, '/slow'), '200');
  await serve({ slow: ONE, other: ONE, service: { ...ONE, burst: 100 } });
  assert.equal(await ask(caller, '/slow'), NO_ROUTE_TOKEN);
  await serve({ slow: { ...ONE, burst: 2 } });
  assert.deepEqual(await askAll(caller, '/slow', '/slow'), ['200', NO_ROUTE_TOKEN]);
  await serve({});
  assert.deepEqual(await askAll(caller, '/slow', '/slow', '/slow'), ['200', '200', '200']);
});
