import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { exampleAdminView, type ExampleView } from '../../test/support/admin-view.ts';
import { ManualClock } from '../base/clock.ts';
import {
  type AdminOptions,
  AdminServer,
  ANSWERS_MAX,
  CONNECTIONS_MAX,
  SOURCE_ANSWERS_MAX,
} from './server.ts';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

async function start(
  t: TestContext,
  more: Partial<AdminOptions> = {},
): Promise<{ port: number; view: ExampleView }> {
  const view = exampleAdminView();
  const server = new AdminServer({
    address: '127.0.0.1',
    port: 0,
    allowRemote: false,
    view,
    ...more,
  });
  t.after(() => server.stop());
  const { port } = await server.start();
  return { port, view };
}

function ask(
  port: number,
  path: string,
  options: RequestOptions & { body?: string } = {},
): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  const request = httpRequest(
    { host: '127.0.0.1', port, path, agent: false, ...options },
    (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    },
  );
  request.on('error', reject);
  request.end(options.body);
  return promise;
}

function read(reply: Reply): Record<string, unknown> {
  const value: unknown = JSON.parse(reply.text);
  assert.ok(typeof value === 'object' && value !== null);
  return { ...value };
}

test('AdminServer refuses an address that other machines reach unless told', async () => {
  const view = exampleAdminView();
  const server = new AdminServer({ address: '0.0.0.0', port: 0, allowRemote: false, view });
  await assert.rejects(server.start(), {
    code: 'invalid_setting',
    message: /--admin-allow-remote/,
  });
});

test('AdminServer names the port that is taken', async (t) => {
  const { port } = await start(t);
  const second = new AdminServer({
    address: '127.0.0.1',
    port,
    allowRemote: false,
    view: exampleAdminView(),
  });
  await assert.rejects(second.start(), {
    code: 'address_in_use',
    message: new RegExp(`"127.0.0.1:${port}"`),
  });
});

test('AdminServer answers to addresses and localhost, never to the name of somebody else', async (t) => {
  const { port } = await start(t, { hosts: ['mesh.internal'] });
  const status = async (host: string): Promise<number> =>
    (await ask(port, '/healthz', { headers: { host } })).status;
  for (const host of [
    '127.0.0.1',
    `127.0.0.1:${port}`,
    '[::1]:9000',
    'LOCALHOST:1',
    'a.localhost',
    'mesh.internal:80',
    '10.1.2.3',
  ]) {
    assert.equal(await status(host), 200, host);
  }
  for (const host of [
    'evil.example',
    'evil.example:9000',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'xlocalhost',
    '[evil]',
  ]) {
    assert.equal(await status(host), 403, host);
  }
});

test('AdminServer answers to every Host when remote callers are allowed', async (t) => {
  const { port } = await start(t, { allowRemote: true });
  assert.equal((await ask(port, '/healthz', { headers: { host: 'mesh.example' } })).status, 200);
});

test('/readyz is 503 with what is missing until everything is served', async (t) => {
  const { port, view } = await start(t);
  view.pending = ['version 2 is not served by thread 1'];
  const reply = await ask(port, '/readyz');
  assert.equal(reply.status, 503);
  assert.deepEqual(read(reply), { ready: false, pending: view.pending });
  view.pending = [];
  assert.equal((await ask(port, '/readyz')).status, 200);
});

test('AdminServer keeps answers out of caches and browsers', async (t) => {
  const { port } = await start(t);
  for (const path of ['/healthz', '/api/services', '/nothing', '/metrics']) {
    const { headers } = await ask(port, path);
    assert.equal(headers['cache-control'], 'no-store', path);
    assert.equal(headers['x-content-type-options'], 'nosniff', path);
    assert.equal(headers['access-control-allow-origin'], undefined, path);
    assert.match(String(headers['content-security-policy']), /default-src 'none'/, path);
  }
});

test('AdminServer only reads: other methods get 405 with Allow', async (t) => {
  const { port } = await start(t);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const reply = await ask(port, '/api/services', { method, body: 'x' });
    assert.equal(reply.status, 405, method);
    assert.equal(reply.headers.allow, 'GET, HEAD', method);
  }
});

test('HEAD has the status and headers of GET and no body', async (t) => {
  const { port } = await start(t);
  for (const path of ['/healthz', '/api/snapshot', '/metrics', '/nothing']) {
    const get = await ask(port, path);
    const head = await ask(port, path, { method: 'HEAD' });
    assert.equal(head.status, get.status, path);
    assert.equal(head.headers['content-type'], get.headers['content-type'], path);
    assert.equal(head.headers['content-length'], get.headers['content-length'], path);
    assert.equal(head.text, '', path);
  }
});

test('an unknown path gets 404 with the paths that there are', async (t) => {
  const { port } = await start(t);
  for (const path of [
    '/',
    '/api',
    '/healthz/',
    '/api/services/x',
    '//evil/healthz',
    '/HEALTHZ',
    '/__proto__',
  ]) {
    const reply = await ask(port, path);
    assert.equal(reply.status, 404, path);
    const { paths } = read(reply);
    assert.ok(Array.isArray(paths) && paths.includes('/api/services'));
  }
});

test('a bad query gets 400 that names what is wrong', async (t) => {
  const { port } = await start(t);
  const cases: readonly [string, RegExp][] = [
    ['/api/services?namespce=shop', /"namespce".*known are namespace, service/],
    ['/api/services?namespace=Shop', /namespace="Shop"/],
    ['/api/services?namespace=', /namespace=""/],
    ['/api/services?service=a/b/c', /service="a\/b\/c"/],
    ['/api/services?service=web&service=api', /"service" more than once/],
    ['/api/services?namespace=shop&service=other/web', /they differ/],
    ['/api/threads?namespace=shop', /this path has none/],
    ['/metrics?x', /"x"/],
    ['/api/problems?%00%22=1', /"\\u0000\\""/],
  ];
  for (const [path, message] of cases) {
    const reply = await ask(port, path);
    assert.equal(reply.status, 400, path);
    assert.match(String(read(reply)['message']), message, path);
  }
});

test('filters keep one namespace or one Service', async (t) => {
  const { port } = await start(t);
  const keys = async (path: string): Promise<unknown[]> => {
    const { services } = read(await ask(port, path));
    assert.ok(Array.isArray(services));
    return services.map((service: { key: string }) => service.key).sort();
  };
  for (const path of ['/api/services', '/api/snapshot', '/api/stats']) {
    assert.deepEqual(await keys(path), ['other/web', 'shop/api', 'shop/web'], path);
    assert.deepEqual(await keys(`${path}?namespace=shop`), ['shop/api', 'shop/web'], path);
    assert.deepEqual(await keys(`${path}?service=web`), ['other/web', 'shop/web'], path);
    assert.deepEqual(await keys(`${path}?service=shop/web`), ['shop/web'], path);
    assert.deepEqual(await keys(`${path}?service=shop%2Fweb&namespace=shop`), ['shop/web'], path);
    assert.deepEqual(await keys(`${path}?namespace=nobody`), [], path);
  }
  const { identities } = read(await ask(port, '/api/snapshot?namespace=other'));
  assert.deepEqual(identities, []);
  const { problems } = read(await ask(port, '/api/problems?service=shop/api'));
  assert.ok(Array.isArray(problems));
  assert.equal(problems.length, 1);
  const { endpoints } = read(await ask(port, '/api/endpoints?service=shop/web'));
  assert.ok(Array.isArray(endpoints));
  assert.equal(endpoints.length, 3);
});

test('nothing in a JSON answer steers a terminal or turns its text round', async (t) => {
  const { port, view } = await start(t);
  const value = 'a\u009b2J\u202e\u2028\u200b\u{e0041}\u007f';
  const [problem] = view.problems();
  assert.ok(problem !== undefined);
  view.problems = () => [{ ...problem, value }];
  for (const path of ['/api/problems', `/api/problems?${encodeURIComponent(value)}=1`]) {
    const reply = await ask(port, path);
    assert.doesNotMatch(reply.text.trimEnd(), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, path);
  }
  const { problems } = read(await ask(port, '/api/problems'));
  assert.deepEqual(problems, [{ ...problem, value }]);
});

test('a failing view costs its own answer only, without showing the stack', async (t) => {
  const { port, view } = await start(t);
  view.broken = true;
  const reply = await ask(port, '/api/threads');
  assert.equal(reply.status, 500);
  assert.equal(read(reply)['error'], 'internal');
  assert.doesNotMatch(reply.text, /secret of the stack/);
  await assert.rejects(ask(port, '/metrics'), /aborted|hang up|reset/);
  view.broken = false;
  assert.equal((await ask(port, '/api/threads')).status, 200);
});

test('a reader that leaves in the middle stops the making of its answer, and frees its place', async (t) => {
  const { port, view } = await start(t);
  for (let i = 0; i < ANSWERS_MAX + 1; i++) {
    view.endless = true;
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'data');
    const stopped = view.untilStopped();
    socket.destroy();
    await stopped;
  }
  view.endless = false;
  assert.equal((await ask(port, '/metrics')).status, 200);
});

test('more answers than the limit at a time get 503 with Retry-After', async (t) => {
  const { port, view } = await start(t);
  view.endless = true;
  const sockets: net.Socket[] = [];
  const startReading = async (localAddress: string): Promise<void> => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    sockets.push(socket);
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'data');
    socket.pause();
  };
  for (let i = 0; i < SOURCE_ANSWERS_MAX; i++) await startReading('127.0.0.2');
  const greedy = await ask(port, '/api/threads', { localAddress: '127.0.0.2' });
  assert.deepEqual([greedy.status, greedy.headers['retry-after']], [503, '1']);
  assert.equal((await ask(port, '/api/threads')).status, 200);
  for (let i = SOURCE_ANSWERS_MAX; i < ANSWERS_MAX; i++) await startReading('127.0.0.3');
  assert.equal((await ask(port, '/healthz', { localAddress: '127.0.0.2' })).status, 200);
  assert.equal((await ask(port, '/api/threads')).status, 503);
  const stopped = view.untilStopped();
  for (const socket of sockets) socket.destroy();
  await stopped;
});

test('one source that holds connections without end keeps no probe and no scraper out', async (t) => {
  const { port } = await start(t);
  const sockets: net.Socket[] = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const hold = (localAddress: string, first = ''): net.Socket => {
    const socket = net.connect({ port, host: '127.0.0.1', localAddress });
    sockets.push(socket);
    socket.on('error', () => undefined);
    if (first !== '') socket.write(first);
    return socket.resume();
  };
  const scraper = hold('127.0.0.9', 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(scraper, 'data');
  for (let i = 0; i < CONNECTIONS_MAX; i++) {
    await once(hold('127.0.0.2', i % 2 === 0 ? 'GET /met' : ''), 'connect');
  }
  for (let i = 0; i < 3; i++) {
    assert.equal((await ask(port, '/healthz')).status, 200);
    await once(hold('127.0.0.2'), 'connect');
  }
  scraper.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(scraper, 'data');
});

test('a body that comes with a GET ends the connection instead of becoming the next request', async (t) => {
  const { port } = await start(t);
  const socket = net.connect(port, '127.0.0.1');
  socket.write(
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 31\r\n\r\nGET /api/threads HTTP/1.1\r\n\r\n\r\n',
  );
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += String(part);
  assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1);
  assert.match(text, /connection: close/i);
});

test('a head that is too large gets 431, a broken one 400', async (t) => {
  const { port } = await start(t);
  const large = await ask(port, '/healthz', { headers: { 'x-large': 'x'.repeat(10_000) } });
  assert.equal(large.status, 431);
  const socket = net.connect(port, '127.0.0.1');
  socket.write('GARBAGE\r\n\r\n');
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += String(part);
  assert.match(text, /^HTTP\/1\.1 400 /);
});

test('stop() ends connections that idle and those that never finish', async () => {
  const clock = new ManualClock();
  const view = exampleAdminView();
  const server = new AdminServer({
    address: '127.0.0.1',
    port: 0,
    allowRemote: false,
    view,
    clock,
  });
  const { port } = await server.start();
  view.endless = true;
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket, 'data');
  socket.pause();
  const stopped = server.stop();
  clock.advance(1_000);
  await stopped;
  await server.stop();
  socket.destroy();
});
