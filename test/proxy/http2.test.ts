/** HTTP/2 on either side of the proxy, with the client and server of the runtime as the peers. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { DATE, freshAddress, OK, proxyFor, TestProxy } from '../support/proxy.ts';
import { atEnd, eventually, RawEndpoint, type Wire } from '../support/wire.ts';

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

type Request = http.IncomingMessage | http2.Http2ServerRequest;
type Response = http.ServerResponse | http2.Http2ServerResponse;
type Handler = (request: Request, response: Response) => void;

async function endpoint(
  t: TestContext,
  version: 1 | 2,
  handler: Handler,
  onConnection: () => void = () => undefined,
): Promise<{ address: string; port: number }> {
  const address = freshAddress();
  const server = version === 2 ? http2.createServer(handler) : http.createServer(handler);
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('connection', (socket) => {
    sessions.add(socket);
    onConnection();
  });
  server.listen(0, address);
  await once(server, 'listening');
  atEnd(t, () => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { address, port: (server.address() as AddressInfo).port };
}

/** Says what it was asked. */
async function echo(request: Request, response: Response): Promise<void> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
  response.setHeader('x-method', request.method ?? '');
  response.setHeader('x-path', request.url ?? '');
  response.setHeader('x-from', request.headers['x-forwarded-for'] ?? '');
  response.end(`${String(request.headers[':authority'] ?? request.headers.host)}|${body}`);
}

function connect(t: TestContext, service: Service): http2.ClientHttp2Session {
  const client = http2.connect(`http://${service.address}:${service.ports[0]?.port}`);
  client.on('error', () => {});
  atEnd(t, () => client.destroy());
  return client;
}

async function call(
  client: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body = '',
): Promise<Answer> {
  const stream = client.request(headers, { endStream: body === '' });
  if (body !== '') stream.end(body);
  let trailers = {};
  stream.on('trailers', (fields) => (trailers = fields));
  const [fields] = (await once(stream, 'response')) as [Record<string, unknown>];
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return { status: Number(fields[':status']), headers: fields, body: text, trailers };
}

for (const version of [1, 2] as const) {
  test(`callers of HTTP/2 reach endpoints of HTTP/${version}`, async (t) => {
    const proxy = new TestProxy(t);
    const service = proxy.service({
      endpoints: [await endpoint(t, version, echo)],
      http2: version === 2,
    });
    await proxy.apply([service]);
    const client = connect(t, service);
    const got = await call(client, { ':path': '/a?b', ':method': 'GET', ':authority': 'web' });
    assert.equal(got.status, 200);
    assert.equal(got.body, 'web|');
    assert.equal(got.headers['x-path'], '/a?b');
    const posted = await call(client, { ':path': '/', ':method': 'POST' }, 'x'.repeat(100_000));
    assert.equal(posted.body.length, 100_000 + posted.body.indexOf('|') + 1);
    const many = await Promise.all(
      Array.from({ length: 100 }, (_, i) => call(client, { ':path': `/${i}` }, `body ${i}`)),
    );
    for (const [i, answer] of many.entries()) {
      assert.equal(answer.status, 200);
      assert.match(answer.body, new RegExp(`body ${i}$`));
    }
    await call(client, { ':path': '/big', ':method': 'POST' }, 'y'.repeat(1_000_000));
  });
}

test('no request is lost while connections to endpoints are renewed all the time', async (t) => {
  const proxy = new TestProxy(t);
  const limits = { ...DEFAULT_POLICIES.limits, connectionAgeMs: 40, connectionsPerEndpoint: 1 };
  const seen = { connections: 0 };
  const at = await endpoint(t, 2, echo, () => seen.connections++);
  const service = proxy.service({ endpoints: [at], http2: true, policies: { limits } });
  await proxy.apply([service]);
  const clients = [connect(t, service), connect(t, service)];
  for (let round = 0; seen.connections < 10; round++) {
    const asks = clients.flatMap((client) =>
      Array.from({ length: 20 }, (_, i) => call(client, { ':path': '/' }, `${round} ${i}`)),
    );
    // oxlint-disable-next-line no-await-in-loop -- round after round
    for (const { status } of await Promise.all(asks)) assert.equal(status, 200);
  }
  assert.equal(proxy.requests(service, 5), 0);
});

test('callers of HTTP/1.1 reach endpoints of HTTP/2', async (t) => {
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [await endpoint(t, 2, echo)], http2: true });
  await proxy.apply([service]);
  const agent = new http.Agent({ keepAlive: true });
  atEnd(t, () => agent.destroy());
  for (let i = 0; i < 3; i++) {
    const request = http.request({
      host: service.address,
      port: service.ports[0]?.port,
      path: '/x',
      method: 'POST',
      agent,
      headers: { host: 'web', 'content-length': 5 },
    });
    request.end('hello');
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    assert.equal(response.statusCode, 200);
    assert.equal(text, 'web|hello');
  }
});

/** What arrives at an endpoint of HTTP/1.1 is answered byte by byte. */
async function viaHttp1(
  t: TestContext,
  policies: Partial<Policies> = {},
): Promise<{ proxy: TestProxy; client: http2.ClientHttp2Session; next: () => Promise<Wire> }> {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies });
  return { proxy, client: connect(t, service), next: () => endpoint.next() };
}

test('heads say in HTTP/1.1 what they said in HTTP/2, cookies in one field, connections by their own', async (t) => {
  const { client, next } = await viaHttp1(t);
  const answer = call(client, {
    ':path': '/a%20b?c=d',
    ':authority': 'web.shop:8080',
    cookie: ['a=1', 'b=2'],
    te: 'trailers',
    'x-forwarded-for': '1.2.3.4',
    'x-mine': 'yes',
  });
  const wire = await next();
  const head = await wire.head();
  assert.match(head, /^GET \/a%20b\?c=d HTTP\/1\.1\r\nHost: web\.shop:8080\r\n/);
  assert.match(head, /\r\ncookie: a=1; b=2\r\n/);
  assert.match(head, /\r\nx-mine: yes\r\n/);
  assert.match(head, /\r\nTE: trailers\r\nConnection: TE\r\n/);
  assert.doesNotMatch(head, /1\.2\.3\.4/);
  assert.match(head, /\r\nX-Forwarded-For: 127\./);
  wire.write(
    `HTTP/1.1 200 OK\r\n${DATE}Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX: 1\r\nContent-Length: 2\r\n\r\nok`,
  );
  const { status, headers, body } = await answer;
  assert.deepEqual([status, body, headers['x'], headers['content-length']], [200, 'ok', '1', '2']);
  assert.equal('x-hop' in headers || 'keep-alive' in headers || 'connection' in headers, false);
});

test('a body without length is chunked, with its trailers; so is the response', async (t) => {
  const { client, next } = await viaHttp1(t);
  const stream = client.request({ ':path': '/', ':method': 'POST' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }));
  stream.end('hello');
  const wire = await next();
  const head = await wire.head();
  assert.match(head, /\r\nTransfer-Encoding: chunked\r\n/);
  assert.match(await wire.until('\r\n\r\n'), /^0*5\r\nhello\r\n0\r\nx-sum: abc\r\n\r\n$/);
  wire.write(
    `HTTP/1.1 200 OK\r\n${DATE}Trailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 7\r\n\r\n`,
  );
  let trailers: Record<string, unknown> = {};
  stream.on('trailers', (fields) => (trailers = fields));
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
  assert.equal(text, 'ok');
  assert.equal(trailers['x-t'], '7');
});

for (const version of [1, 2] as const) {
  test(`Priority passes in both directions, to HTTP/${version}`, async (t) => {
    const proxy = new TestProxy(t);
    const handler: Handler = (request, response) => {
      response.setHeader('x-priority', request.headers['priority'] ?? '');
      response.setHeader('priority', 'u=0');
      response.end();
    };
    const endpoints = [await endpoint(t, version, handler)];
    const service = proxy.service({ endpoints, http2: version === 2 });
    await proxy.apply([service]);
    const client = connect(t, service);
    const { headers } = await call(client, { ':path': '/', priority: 'u=1, i' });
    assert.deepEqual([headers['x-priority'], headers['priority']], ['u=1, i', 'u=0']);
  });
}

test('interim responses come before the final one, and Expect waits for 100', async (t) => {
  const { client, next } = await viaHttp1(t);
  const stream = client.request({ ':path': '/', ':method': 'POST', expect: '100-continue' });
  const interim: number[] = [];
  stream.on('headers', (fields) => interim.push(Number(fields[':status'])));
  const goOn = once(stream, 'continue');
  const wire = await next();
  await wire.head();
  wire.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n');
  await goOn;
  stream.end('hello');
  await wire.until('hello');
  wire.write(OK);
  await once(stream, 'response');
  assert.ok(interim.includes(103));
  stream.destroy();
});

const BODILESS = [
  ['HEAD', `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 7\r\n\r\n`, 200],
  ['GET', `HTTP/1.1 204 No Content\r\n${DATE}\r\n`, 204],
  ['GET', `HTTP/1.1 304 Not Modified\r\n${DATE}Content-Length: 7\r\n\r\n`, 304],
] as const;
for (const [method, response, expected] of BODILESS) {
  test(`${method} with ${expected}: no content`, async (t) => {
    const { client, next } = await viaHttp1(t);
    const answer = call(client, { ':path': '/', ':method': method });
    const wire = await next();
    await wire.head();
    wire.write(response);
    const { status, body } = await answer;
    assert.deepEqual([status, body], [expected, '']);
  });
}

test('a request is tried again, head and body as they were', async (t) => {
  const { client, next } = await viaHttp1(t, { retry: { ...DEFAULT_RETRY, backoffMs: 0 } });
  const answer = call(client, { ':path': '/p?q', ':method': 'PUT', 'x-a': 'b' }, 'hello');
  const first = await next();
  const before = await first.until('hello');
  first.socket.resetAndDestroy();
  const second = await next();
  assert.equal(await second.until('hello'), before);
  second.write(OK);
  assert.equal((await answer).body, 'ok');
});

test('what the mesh answers itself is an answer of HTTP/2, and costs only its stream', async (t) => {
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [] });
  await proxy.apply([service]);
  const client = connect(t, service);
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { status, body } = await call(client, { ':path': '/', ':method': 'POST' }, 'hello');
    assert.equal(status, 503);
    assert.match(body, /^maesh: no_endpoint: /);
  }
  assert.equal(proxy.requests(service, 5), 3);
});

const GRPC = { ':path': '/shop.Cart/Get', ':method': 'POST', te: 'trailers' };
for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=1']) {
  test(`to ${type} the mesh answers with a status of gRPC, and nothing else`, async (t) => {
    const proxy = new TestProxy(t);
    const service = proxy.service({ endpoints: [] });
    await proxy.apply([service]);
    const client = connect(t, service);
    const { status, headers, body } = await call(client, { ...GRPC, 'content-type': type }, 'x');
    assert.deepEqual([status, body, headers['grpc-status']], [200, '', '14']);
    assert.match(String(headers['grpc-message']), /^maesh: no_endpoint: the Service has no ready/);
    assert.equal(headers['content-type'], 'application/grpc');
    assert.equal(proxy.requests(service, 5), 1);
  });
}

test('a call of gRPC that is limited is told when to try again; gRPC-Web gets an answer of HTTP', async (t) => {
  const rateLimit = {
    average: 1,
    periodMs: 60_000,
    burst: 1,
    per: 'service',
    callersMax: 1,
  } as const;
  const { client, next } = await viaHttp1(t, { rateLimit });
  const first = call(client, { ':path': '/' });
  const wire = await next();
  await wire.head();
  wire.write(OK);
  await first;
  const { status, headers } = await call(client, { ...GRPC, 'content-type': 'application/grpc' });
  assert.deepEqual([status, headers['grpc-status']], [200, '8']);
  assert.ok(Number(headers['grpc-retry-pushback-ms']) > 50_000);
  const web = await call(client, { ...GRPC, 'content-type': 'application/grpc-web' });
  assert.deepEqual([web.status, web.headers['grpc-status']], [429, undefined]);
});

test('a caller that cancels takes the request away from its endpoint', async (t) => {
  const { client, next } = await viaHttp1(t);
  const stream = client.request({ ':path': '/' });
  stream.on('error', () => undefined);
  const wire = await next();
  await wire.head();
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await wire.gone();
});

test('a response that is cut is never taken for a whole one', async (t) => {
  const { client, next } = await viaHttp1(t);
  const stream = client.request({ ':path': '/' });
  const failed = once(stream, 'error');
  const wire = await next();
  await wire.head();
  wire.write(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: 10\r\n\r\nhalf`);
  await once(stream, 'response');
  stream.resume();
  wire.socket.resetAndDestroy();
  await failed;
});

test('a slow reader of one stream stalls no other, and holds no more than the windows', async (t) => {
  const { client, next } = await viaHttp1(t);
  const slow = client.request({ ':path': '/slow' });
  const wire = await next();
  await wire.head();
  const size = 4_000_000;
  wire.write(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
  await once(slow, 'response');
  const answer = call(client, { ':path': '/quick' });
  const other = await next();
  await other.head();
  other.write(OK);
  assert.equal((await answer).body, 'ok');
  await eventually(() => wire.socket.writableLength > 0, 'the endpoint is held back');
  let got = 0;
  slow.on('data', (chunk: Buffer) => (got += chunk.length));
  await once(slow, 'end');
  assert.equal(got, size);
});

test('a drain lets requests finish, and tells the caller twice: no new ones, then which was the last', async (t) => {
  const { proxy, client, next } = await viaHttp1(t);
  const lasts: number[] = [];
  client.on('goaway', (_code, last) => lasts.push(last));
  const answer = call(client, { ':path': '/' });
  const wire = await next();
  await wire.head();
  const drained = proxy.server.drain(30_000);
  await eventually(() => lasts.length === 2, 'both announcements');
  assert.deepEqual(lasts, [0x7fff_ffff, 1]);
  wire.write(OK);
  assert.equal((await answer).body, 'ok');
  assert.equal(await drained, 0);
});
