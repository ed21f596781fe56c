/** Routes of a port: who takes a request, where it goes, and what the route has of its own. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { HttpMatch } from '../../src/model/route.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { exampleEndpoint } from '../support/model.ts';
import { freshAddress, GET, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import { ANY, routed, to } from '../support/routes.ts';
import { RawEndpoint, type Wire } from '../support/wire.ts';

const POST_A: HttpMatch = { ...ANY, method: 'POST', path: { kind: 'prefix', value: '/a' } };

/** Two Services whose endpoints say which one they are. */
async function twoServices(
  t: TestContext,
  options: ProxyOptions = {},
): Promise<{ proxy: TestProxy; web: Service; canary: Service; heads: string[] }> {
  const proxy = new TestProxy(t, options);
  const heads: string[] = [];
  const answering = (name: string): Promise<RawEndpoint> =>
    RawEndpoint.answering(t, freshAddress(), (head) => {
      heads.push(head);
      return `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;
    });
  const web = proxy.service({ key: 'shop/web', endpoints: [await answering('web')] });
  const canary = proxy.service({ key: 'shop/canary', endpoints: [await answering('canary')] });
  return { proxy, web, canary, heads };
}

/** The status and, for 200, the name of the endpoint. */
async function ask(caller: Wire, line: string, fields = ''): Promise<string> {
  caller.write(`${line} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`);
  const head = await caller.head();
  const body = await caller.bytes(Number(/Content-Length: (\d+)/.exec(head)?.[1]));
  const status = head.slice(9, 12);
  return status === '200' ? body : status;
}

test('the first route that takes a request has it', async (t) => {
  const { proxy, web, canary, heads } = await twoServices(t);
  const routes = [
    { name: 'posts', matches: [POST_A], backends: [to(canary)] },
    {
      name: 'ann',
      matches: [
        { ...ANY, headers: [{ name: 'x-user', value: 'ann' }] },
        { ...ANY, query: [{ name: 'v', value: '2' }] },
      ],
      backends: [to(canary)],
    },
    { name: 'rest', backends: [to(web)] },
  ];
  await proxy.apply([canary, routed(web, routes)]);
  const caller = await proxy.call(web);
  assert.equal(await ask(caller, 'POST /a/b', 'Content-Length: 0\r\n'), 'canary');
  assert.equal(await ask(caller, 'POST /b', 'Content-Length: 0\r\n'), 'web');
  assert.equal(await ask(caller, 'GET /a'), 'web');
  assert.equal(await ask(caller, 'GET /a', 'X-USER: ann\r\n'), 'canary');
  assert.equal(await ask(caller, 'GET /a?u=1&v=%32'), 'canary');
  heads.length = 0;
  assert.equal(await ask(caller, 'POST /b/..//%61/./x?y=../z', 'Content-Length: 0\r\n'), 'web');
  assert.equal(await ask(caller, 'POST /b/../%61/./x?y=../z', 'Content-Length: 0\r\n'), 'canary');
  assert.match(
    heads[1] ?? '',
    /^POST \/b\/\.\.\/%61\/\.\/x\?y=\.\.\/z HTTP/,
    'it is sent on as it came',
  );
  assert.equal(proxy.failures(web, 'no_route'), 0);
});

test('what no route takes gets 404, and the connection goes on', async (t) => {
  const { proxy, web } = await twoServices(t);
  await proxy.apply([routed(web, [{ matches: [POST_A] }])]);
  const caller = await proxy.call(web);
  assert.equal(await ask(caller, 'GET /a'), '404');
  assert.equal(await ask(caller, 'POST /a', 'Content-Length: 0\r\n'), 'web');
  assert.equal(await ask(caller, 'GET /'), '404');
  assert.equal(proxy.failures(web, 'no_route'), 2);
  await proxy.apply([routed(web, [])]);
  assert.equal(await ask(caller, 'POST /a', 'Content-Length: 0\r\n'), '404');
});

test('a backend that may not be used keeps its share, which gets 500', async (t) => {
  const { proxy, web, canary } = await twoServices(t);
  const gone = { ...to(web), backend: 'shop/gone:80', invalid: 'there is no Service shop/gone' };
  await proxy.apply([canary, routed(web, [{ backends: [to(web, 2), gone, to(canary)] }])]);
  const caller = await proxy.call(web);
  const counts = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await ask(caller, 'GET /');
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].toSorted(), ['500', 'canary', 'web']);
  assert.ok(Math.abs((counts.get('500') ?? 0) - 100) < 40, `${counts.get('500')} of 400`);
  assert.ok(Math.abs((counts.get('web') ?? 0) - 200) < 50, `${counts.get('web')} of 400`);
  assert.equal(proxy.failures(web, 'invalid_backend'), counts.get('500'));
  await proxy.apply([canary, routed(web, [{ backends: [gone] }])]);
  assert.equal(await ask(caller, 'GET /'), '500');
});

test('a route has tries and time of its own; without, it has those of the Service that was called', async (t) => {
  const proxy = new TestProxy(t, { manual: true });
  const hung = await RawEndpoint.listen(
    t,
    freshAddress(),
    async (wire) => void (await wire.head()),
  );
  const retry = { ...DEFAULT_RETRY, attempts: 3, on: ['timeout'] as const, backoffMs: 0 };
  const timeouts = { ...DEFAULT_POLICIES.timeouts, tryMs: 1_000 };
  const web = proxy.service({ key: 'shop/web', policies: { timeouts } });
  const slow = proxy.service({
    key: 'shop/slow',
    endpoints: [hung],
    policies: { timeouts: { ...timeouts, tryMs: 60_000 } },
  });
  const routes = [
    {
      name: 'own',
      matches: [POST_A],
      backends: [to(slow)],
      policies: { retry: { ...retry, nonIdempotent: true } },
    },
    { name: 'rest', backends: [to(slow)] },
  ];
  const service = routed(web, routes);
  await proxy.apply([slow, service]);
  for (const [request, tries] of [
    ['POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', 3],
    [GET, 1],
  ] as const) {
    const before = hung.wires.length;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(request);
    let head = '';
    void caller.head().then((read) => (head = read));
    // oxlint-disable-next-line no-await-in-loop -- as above
    await proxy.advanceUntil(() => head !== '', 'the answer');
    assert.match(head, / 504 /);
    assert.equal(hung.wires.length - before, tries, request);
    assert.equal(proxy.failures(service, 'try_timeout'), tries === 3 ? 1 : 2);
  }
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 2);
});

test('a backend that goes takes nothing any more, and takes its share when it comes back', async (t) => {
  const { proxy, web, canary } = await twoServices(t);
  const other = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother',
  );
  await proxy.apply([routed(web, [{ backends: [to(canary)] }])]);
  const caller = await proxy.call(web);
  assert.equal(await ask(caller, 'GET /'), '503', 'before it comes');
  const [port] = canary.ports;
  assert(port?.protocol === 'http');
  const endpoints = [exampleEndpoint(other.address, { port: other.port })];
  const moved = { ...canary, ports: [{ ...port, backend: { ...port.backend, endpoints } }] };
  for (const [service, name] of [
    [canary, 'canary'],
    [moved, 'other'],
  ] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    await proxy.apply([service]);
    assert.equal(await ask(caller, 'GET /'), name);
    await proxy.apply([], { removed: ['shop/canary'] });
    assert.equal(await ask(caller, 'GET /'), '503', 'after it went');
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(web, 'no_endpoint'), 3);
});

test('a weight of 0 takes nothing, alone or beside others', async (t) => {
  const { proxy, web, canary } = await twoServices(t);
  await proxy.apply([canary, routed(web, [{ backends: [to(canary, 0), to(web)] }])]);
  const caller = await proxy.call(web);
  for (let i = 0; i < 20; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(caller, 'GET /'), 'web');
  }
  for (const backends of [[to(canary, 0)], [to(canary, 0), to(web, 0)]]) {
    // oxlint-disable no-await-in-loop -- one after the other
    await proxy.apply([routed(web, [{ backends }])]);
    assert.equal(await ask(caller, 'GET /'), '404');
    // oxlint-enable no-await-in-loop
  }
});

test('a caller that is not trusted takes no route by what only a proxy may say of it', async (t) => {
  const matches = [{ ...ANY, headers: [{ name: 'x-forwarded-proto', value: 'https' }] }];
  for (const isTrusted of [false, true]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const settings = { trustedSources: isTrusted ? ['127.0.0.0/8'] : [] };
    const { proxy, web, canary } = await twoServices(t, { settings });
    const routes = [{ matches, backends: [to(canary)] }, { backends: [to(web)] }];
    await proxy.apply([canary, routed(web, routes)]);
    const caller = await proxy.call(web);
    const answer = await ask(caller, 'GET /', 'X-Forwarded-Proto: https\r\n');
    assert.equal(answer, isTrusted ? 'canary' : 'web');
    // oxlint-enable no-await-in-loop
  }
});

test('a session of a route keeps to its endpoint at backends of other Services, too', async (t) => {
  const proxy = new TestProxy(t);
  const numbered = (number: number): Promise<RawEndpoint> =>
    RawEndpoint.answering(
      t,
      freshAddress(),
      () => `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${number}`,
    );
  const endpoints = await Promise.all([1, 2, 3].map(numbered));
  const canary = proxy.service({ key: 'shop/canary', endpoints });
  const affinity = { cookie: 'session', maxAgeSeconds: 0 };
  const web = routed(proxy.service({ key: 'shop/web' }), [
    { backends: [to(canary)], policies: { affinity } },
  ]);
  await proxy.apply([canary, web]);
  const caller = await proxy.call(web);
  caller.write(GET);
  const cookie = /Set-Cookie: (session=\w+);/.exec(await caller.head())?.[1];
  const first = await caller.bytes(1);
  for (let i = 0; i < 20; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(caller, 'GET /', `Cookie: ${cookie}\r\n`), first);
  }
});
