/** Filters of routes and of their backends: what endpoints and callers get, over real sockets. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { FieldChange, Redirect, RouteFilters } from '../../src/model/filter.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { HttpRoute } from '../../src/model/route.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { BREAKER_OPEN } from '../../src/proxy/policy/breaker.ts';
import { exampleBreaker } from '../support/model.ts';
import { DATE, freshAddress, GET, OK, post, TestProxy } from '../support/proxy.ts';
import { NO_FILTERS, prefix, routed, to } from '../support/routes.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';
import { add, remove, set } from '../support/field-change.ts';

const REDIRECT: Redirect = { scheme: '', host: '', port: 0, path: null, status: 302 };

/** A Service of these endpoints with one route that has these filters. */
async function filtered(
  t: TestContext,
  endpoints: readonly RawEndpoint[],
  filters: Partial<RouteFilters>,
  more: { readonly route?: Partial<HttpRoute>; readonly policies?: Partial<Policies> } = {},
): Promise<{ proxy: TestProxy; service: Service }> {
  const proxy = new TestProxy(t);
  const policies = more.policies ?? {};
  const plain = proxy.service({ key: 'shop/web', endpoints, policies });
  const route = { ...more.route, filters: { ...NO_FILTERS, ...filters } };
  const service = routed(plain, [route]);
  await proxy.apply([service]);
  return { proxy, service };
}

/** The field lines of a head that begin with `x-`, as they are. */
function own(head: string): string[] {
  return head.split('\r\n').filter((line) => /^x-(?!forwarded)/i.test(line));
}

test('fields of requests and responses are set, added and removed', async (t) => {
  const heads: string[] = [];
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) => {
    heads.push(head);
    return `HTTP/1.1 200 OK\r\n${DATE}Server: old\r\nX-One: 1\r\nX-Two: 2\r\nX-ONE: 1\r\nContent-Length: 2\r\n\r\nok`;
  });
  const { proxy, service } = await filtered(t, [endpoint], {
    request: [set('x-one', 'new'), add('x-two', '3'), remove('x-three')],
    response: [set('x-one', 'new'), add('x-two', '3'), remove('server')],
  });
  const caller = await proxy.call(service);
  for (let i = 0; i < 3; i++) {
    caller.write('GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-Two: 2\r\nX-Three: 3\r\n\r\n');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const head = await caller.head();
    assert.deepEqual(own(head), ['X-Two: 2', 'x-one: new', 'x-two: 3']);
    assert.doesNotMatch(head, /server/i);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.bytes(2), 'ok');
    assert.deepEqual(own(heads[i] ?? ''), ['X-Two: 2', 'x-one: new', 'x-two: 3']);
  }
});

test('those of a backend come after those of its route, and others are not touched', async (t) => {
  const proxy = new TestProxy(t);
  const heads: string[] = [];
  const answering = (): Promise<RawEndpoint> =>
    RawEndpoint.answering(t, freshAddress(), (head) => {
      heads.push(head);
      return OK;
    });
  const web = proxy.service({ key: 'shop/web', endpoints: [await answering()] });
  const canary = proxy.service({ key: 'shop/canary', endpoints: [await answering()] });
  const ofRoute = { ...NO_FILTERS, request: [set('x-from', 'route')] };
  const ofBackend = {
    request: [set('x-from', 'backend')],
    response: [set('x-by', 'backend')],
    rewrite: { host: 'canary.shop', path: { kind: 'full', value: '/new' } as const },
  };
  const routes = (weights: readonly [number, number]): Partial<HttpRoute>[] => [
    {
      matches: [prefix('/a')],
      filters: ofRoute,
      backends: [to(web, weights[0]), to(canary, weights[1], ofBackend)],
    },
    { backends: [to(web)] },
  ];
  await proxy.apply([canary, routed(web, routes([1, 0]))]);
  const caller = await proxy.call(web);
  const ask = async (target: string): Promise<string[]> => {
    caller.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const answer = await caller.until('ok');
    const [line = '', host = ''] = (heads.at(-1) ?? '').split('\r\n');
    return [line.slice(0, -9), host, ...own(heads.at(-1) ?? ''), ...own(answer)];
  };
  assert.deepEqual(await ask('/a/b?c'), ['GET /a/b?c', 'Host: a', 'x-from: route']);
  assert.deepEqual(await ask('/b'), ['GET /b', 'Host: a']);
  await proxy.apply([canary, routed(web, routes([0, 1]))]);
  const changed = ['GET /new?c', 'Host: canary.shop', 'x-from: backend', 'x-by: backend'];
  assert.deepEqual(await ask('/a/b?c'), changed);
  assert.match(heads.at(-1) ?? '', /\r\nX-Forwarded-Host: a\r\n/, 'what was asked for is told');
});

test('another try changes the head as it came once more, not what was changed', async (t) => {
  const heads: string[] = [];
  const failing = (): Promise<RawEndpoint> =>
    RawEndpoint.answering(t, freshAddress(), (head) => {
      heads.push(head);
      return heads.length < 3
        ? `HTTP/1.1 503 Busy\r\n${DATE}X-A: 1\r\nContent-Length: 0\r\n\r\n`
        : OK;
    });
  const endpoints = [await failing(), await failing(), await failing()];
  const { proxy, service } = await filtered(
    t,
    endpoints,
    {
      request: [add('x-one', '2'), remove('x-two')],
      response: [add('x-a', '2')],
      rewrite: { host: 'b', path: { kind: 'prefix', value: '/a/a' } },
    },
    {
      route: { matches: [prefix('/a')] },
      policies: {
        retry: {
          ...DEFAULT_RETRY,
          attempts: 3,
          on: ['status'],
          statuses: [503],
          backoffMs: 0,
          nonIdempotent: true,
        },
        ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 0 },
      },
    },
  );
  const caller = await proxy.call(service);
  caller.write(
    'POST /a/c HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-Two: 2\r\nContent-Length: 5\r\n\r\nhello',
  );
  const answer = await caller.until('ok');
  assert.deepEqual(own(answer), ['x-a: 2']);
  assert.equal(heads.length, 3);
  for (const head of heads) {
    assert.match(head, /^POST \/a\/a\/c HTTP\/1\.1\r\nHost: b\r\n/);
    assert.deepEqual(own(head), ['X-One: 1', 'x-one: 2']);
  }
});

test('a request whose connection went stale is changed anew', async (t) => {
  const heads: string[] = [];
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    heads.push(await wire.head());
    wire.write(OK);
    // The second request on a connection is never answered.
    heads.push(await wire.head());
    wire.end();
  });
  const { proxy, service } = await filtered(t, [endpoint], {
    request: [add('x-one', '2')],
    rewrite: { host: '', path: { kind: 'prefix', value: '/a' } },
  });
  const caller = await proxy.call(service);
  for (const target of ['/b', '/c']) {
    caller.write(`GET ${target} HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n`);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await caller.until('ok'), / 200 /);
  }
  assert.deepEqual(
    heads.map((head) => head.slice(0, 8)),
    ['GET /a/b', 'GET /a/c', 'GET /a/c'],
  );
  for (const head of heads) assert.deepEqual(own(head), ['X-One: 1', 'x-one: 2']);
});

test('interim responses, trailers and bodies pass as they are', async (t) => {
  const body = 'x'.repeat(200_000);
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    assert.deepEqual(own(await wire.head()), ['x-one: new']);
    wire.write('HTTP/1.1 103 Early Hints\r\nX-One: early\r\n\r\n');
    assert.match(await wire.until('last\r\n\r\n'), /^0*5\r\nhello\r\n0\r\nX-One: last\r\n\r\n$/);
    wire.write(
      `HTTP/1.1 200 OK\r\n${DATE}X-One: 1\r\nTrailer: X-One\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    wire.write(`${body.length.toString(16)}\r\n${body}\r\n0\r\nX-One: last\r\n\r\n`);
  });
  const changes = [set('x-one', 'new')];
  const { proxy, service } = await filtered(t, [endpoint], { request: changes, response: changes });
  const caller = await proxy.call(service);
  caller.write(
    'POST / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  assert.deepEqual(own(await caller.head()), ['X-One: early']);
  caller.write('5\r\nhello\r\n0\r\nX-One: last\r\n\r\n');
  assert.deepEqual(own(await caller.head()), ['x-one: new']);
  const rest = await caller.until('X-One: last\r\n\r\n');
  assert.equal(rest.match(/x/g)?.length, body.length);
});

test('the answer to HEAD is changed as the one to GET, and its length stays', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => `HTTP/1.1 200 OK\r\n${DATE}X-One: 1\r\nContent-Length: 7\r\n\r\n`,
  );
  const { proxy, service } = await filtered(t, [endpoint], {
    response: [remove('x-one'), add('x-two', '2')],
  });
  const caller = await proxy.call(service);
  for (let i = 0; i < 2; i++) {
    caller.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const head = await caller.head();
    assert.deepEqual(own(head), ['x-two: 2']);
    assert.match(head, /Content-Length: 7\r\n/);
  }
});

test('a tunnel opens with the request changed and the 101 as it came', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    const head = await wire.head();
    assert.match(head, /^GET \/new HTTP.*\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/s);
    assert.deepEqual(own(head), ['x-one: new']);
    wire.write(
      'HTTP/1.1 101 Switching Protocols\r\nX-One: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
    );
    wire.end();
  });
  const changes = [set('x-one', 'new')];
  const { proxy, service } = await filtered(t, [endpoint], {
    request: changes,
    response: changes,
    rewrite: { host: '', path: { kind: 'full', value: '/new' } },
  });
  const caller = await proxy.call(service);
  caller.write(
    'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  assert.deepEqual(own(await caller.head()), ['X-One: 1']);
  assert.equal(await caller.rest(), 'hello');
});

test('Date and the affinity cookie of the proxy stand beside what filters say', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    (head) =>
      `HTTP/1.1 200 OK\r\n${head.includes('dated') ? DATE : ''}Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok`,
  );
  const heads = async (response: readonly FieldChange[], fields = ''): Promise<string[]> => {
    const policies = { affinity: { cookie: 'maesh', maxAgeSeconds: 0 } };
    const { proxy, service } = await filtered(t, [endpoint], { response }, { policies });
    const caller = await proxy.call(service);
    caller.write(`GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
    const head = await caller.until('\r\n\r\nok');
    return (head.match(/^(?:date|set-cookie): \w+/gim) ?? []).map((line) => line.toLowerCase());
  };
  assert.deepEqual(await heads([set('set-cookie', 'c=d')], 'X: dated\r\n'), [
    'date: sun',
    'set-cookie: c',
    'set-cookie: maesh',
  ]);
  assert.deepEqual(await heads([remove('date'), remove('set-cookie')], 'X: dated\r\n'), [
    'set-cookie: maesh',
  ]);
  assert.deepEqual(await heads([set('date', 'Mon, 07 Nov 1994 08:49:37 GMT')]), [
    'set-cookie: a',
    'date: mon',
    'set-cookie: maesh',
  ]);
});

test('the answers of the mesh itself are not those of a backend, and stay as they are', async (t) => {
  const { proxy, service } = await filtered(t, [], { response: [set('x-one', 'new')] });
  const caller = await proxy.call(service);
  caller.write(GET);
  const answer = await caller.until('no ready endpoint');
  assert.match(answer, /^HTTP\/1\.1 503 /);
  assert.deepEqual(own(answer), []);
});

test('the largest filters fit beside the largest head', async (t) => {
  let seen = '';
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) => {
    seen = head;
    return `HTTP/1.1 200 OK\r\n${DATE}X-Long: ${'y'.repeat(32_000)}\r\nContent-Length: 2\r\n\r\nok`;
  });
  const changes = ['a', 'b'].map((name) => add(name, 'v'.repeat(4_091)));
  const rewrite = {
    host: 'h'.repeat(253),
    path: { kind: 'prefix', value: `/${'é'.repeat(511)}` },
  } as const;
  const filters = { request: changes, response: changes, rewrite };
  const proxy = new TestProxy(t);
  const plain = proxy.service({ key: 'shop/web', endpoints: [endpoint] });
  const backends = [to(plain, 1, filters)];
  const service = routed(plain, [{ backends, filters: { ...NO_FILTERS, ...filters } }]);
  await proxy.apply([service]);
  const caller = await proxy.call(service);
  const path = `/${'"'.repeat(20_000)}|${'<'.repeat(10_000)}`;
  caller.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`);
  const answer = await caller.until('\r\n\r\nok');
  assert.equal(answer.match(/^[ab]: v{4091}\r$/gm)?.length, 4);
  assert.equal(seen.match(/^[ab]: v{4091}\r$/gm)?.length, 4);
  assert.equal(seen.match(/%22/g)?.length, 20_000);
});

test('a Service whose filters may not be is not served, and others are', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const proxy = new TestProxy(t, { defects: true });
  const bad = proxy.service({ key: 'shop/bad', endpoints: [endpoint] });
  const good = proxy.service({ key: 'shop/good', endpoints: [endpoint] });
  const filters = { ...NO_FILTERS, request: [set('content-length', '0')] };
  await proxy.apply([routed(bad, [{ filters }]), good], {
    failures: [`shop/bad:${bad.ports[0]!.port}`],
  });
  await assert.rejects(proxy.call(bad));
  const caller = await proxy.call(good);
  caller.write(GET);
  await caller.until('ok');
});

test('a redirect answers without an endpoint, and keeps the connection', async (t) => {
  let asked = 0;
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => {
    asked++;
    return OK;
  });
  const redirect = {
    ...REDIRECT,
    scheme: 'https',
    path: { kind: 'prefix', value: '/new' },
  } as const;
  const { proxy, service } = await filtered(
    t,
    [endpoint],
    { redirect, response: [set('cache-control', 'no-store'), set('location', 'x')] },
    { route: { matches: [prefix('/old')] } },
  );
  const caller = await proxy.call(service);
  const location = 'Location: https://web.shop.maesh/new/a?b=%22c\r\n';
  const fields = `${location}cache-control: no-store\r\nContent-Length: 0\r\n\r\n`;
  const target = '/old/a?b="c HTTP/1.1\r\nHost: web.shop.maesh:8080\r\n';
  for (const request of [
    `GET ${target}\r\n`,
    `HEAD ${target}\r\n`,
    `POST ${target}Content-Length: 5\r\n\r\nhello`,
    `PUT ${target}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  ]) {
    caller.write(request);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const head = await caller.head();
    assert.match(head, /^HTTP\/1\.1 302 Found\r\nDate: /);
    assert.ok(head.endsWith(fields), head);
  }
  assert.equal(asked, 0);
  assert.equal(proxy.figure(service, SERVICE_OWN.redirects), 4);
  assert.equal(proxy.requests(service, 3), 4);
  caller.write('GET /older HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await caller.head(), /^HTTP\/1\.1 404 /);
});

test('each status of a redirect has its name', async (t) => {
  const names = {
    301: 'Moved Permanently',
    302: 'Found',
    303: 'See Other',
    307: 'Temporary Redirect',
    308: 'Permanent Redirect',
  };
  const proxy = new TestProxy(t);
  const plain = proxy.service({ key: 'shop/web' });
  const statuses = [301, 302, 303, 307, 308] as const;
  const routes = statuses.map((status) => ({
    matches: [prefix(`/${status}`)],
    filters: { ...NO_FILTERS, redirect: { ...REDIRECT, host: 'b.example', port: 80, status } },
    backends: [],
  }));
  const service = routed(plain, routes);
  await proxy.apply([service]);
  const caller = await proxy.call(service);
  for (const status of statuses) {
    caller.write(`GET /${status} HTTP/1.1\r\nHost: a\r\n\r\n`);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const head = await caller.head();
    assert.ok(head.startsWith(`HTTP/1.1 ${status} ${names[status]}\r\n`), head);
    assert.ok(head.includes(`\r\nLocation: http://b.example/${status}\r\n`), head);
  }
});

test('a redirect spends a token of the rate limit, and asks no breaker', async (t) => {
  const rateLimit = { average: 1, periodMs: 3_600_000, burst: 3, callersMax: 1 };
  const policies = {
    rateLimit: { ...rateLimit, per: 'service' as const },
    breaker: exampleBreaker({ openMs: 60_000, recoveryMs: 60_000 }),
  };
  const proxy = new TestProxy(t);
  const plain = proxy.service({ key: 'shop/web', policies });
  const redirecting = { ...NO_FILTERS, redirect: REDIRECT };
  const service = routed(plain, [{ matches: [prefix('/old')], filters: redirecting }, {}]);
  await proxy.apply([service]);
  proxy.setWord(service, SERVICE_WORD.breakerState, BREAKER_OPEN);
  const caller = await proxy.call(service);
  for (const [target, status] of [
    ['/old', '302'],
    ['/new', '503'],
    ['/old', '302'],
    ['/old', '429'],
  ] as const) {
    caller.write(`HEAD ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal((await caller.head()).slice(9, 12), status);
  }
  assert.equal(proxy.failures(service, 'breaker_open'), 1);
});

test('a redirect keeps the scheme that a trusted proxy in front was called with', async (t) => {
  for (const [trustedSources, location] of [
    [['127.0.0.1/32'], /^https:\/\/shop\.example\/a$/],
    [[], /^http:\/\/shop\.example:\d+\/a$/],
  ] as const) {
    const proxy = new TestProxy(t, { settings: { trustedSources } });
    const plain = proxy.service({ key: 'shop/web' });
    const service = routed(plain, [{ filters: { ...NO_FILTERS, redirect: REDIRECT } }]);
    // oxlint-disable-next-line no-await-in-loop -- one proxy after the other
    await proxy.apply([service]);
    // oxlint-disable-next-line no-await-in-loop -- as above
    const caller = await proxy.call(service, '127.0.0.1');
    caller.write('GET /a HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\n\r\n');
    // oxlint-disable-next-line no-await-in-loop -- as above
    assert.match(/\r\nLocation: (.*)\r\n/.exec(await caller.head())?.[1] ?? '', location);
  }
});

test('a redirect of a long upload, of HTTP/1.0 or of a caller without Host ends as any answer of the mesh', async (t) => {
  const { proxy, service } = await filtered(t, [], { redirect: REDIRECT });
  const upload = await proxy.call(service);
  upload.write(
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n',
  );
  assert.match(await upload.head(), /^HTTP\/1\.1 302 .*\r\nConnection: close\r\n/s);
  const old = await proxy.call(service);
  old.write('GET /a HTTP/1.0\r\n\r\n');
  const { port } = service.ports[0]!;
  const head = await old.rest();
  assert.match(
    head,
    new RegExp(`\\r\nLocation: http://web\\.shop:${port}/a\\r\n.*\\r\nConnection: close\\r\n`, 's'),
  );
  await eventually(() => proxy.requests(service, 3) === 2, 'the account');
});

test('a short body behind a redirect is read and dropped, a bad one ends the connection', async (t) => {
  const { proxy, service } = await filtered(t, [], { redirect: REDIRECT });
  const caller = await proxy.call(service);
  caller.write(post('hello').slice(0, -2));
  await caller.head();
  caller.write(`lo${GET}`);
  assert.match(await caller.head(), / 302 /);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await caller.head();
  caller.write('zz\r\n');
  await caller.gone();
});
