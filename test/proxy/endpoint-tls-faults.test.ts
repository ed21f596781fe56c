/** What endpoints may do to a connection in TLS once it stands. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { EndpointTls } from '../../src/model/endpoint-tls.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import type { DialOwner } from '../../src/proxy/net/socket.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, GET, post, TestProxy } from '../support/proxy.ts';
import { tlsEndpoint } from '../support/tls-endpoint.ts';
import { atEnd, type Dialled, eventually, type Wire } from '../support/wire.ts';

const NAME = 'web.shop.svc';
const ca = await TestCa.make();
const good = await ca.issue({ names: [NAME] });
const TLS: EndpointTls = { serverName: NAME, trust: 'given', ca: ca.pem, client: null };
const HEAD = 'HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n';

interface Setting {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly endpoint: Dialled;
  readonly call: () => Promise<Wire>;
  readonly connections: () => number;
}

/** An endpoint that does this when the head of a request came; `below` is the connection without TLS. */
async function mesh(
  t: TestContext,
  answer: (socket: TLSSocket, below: net.Socket) => void,
  policies: Partial<Policies> = {},
): Promise<Setting> {
  const server = createServer({ ...good, allowHalfOpen: true });
  // Between the two, so that something else than TLS can be said on the same connection.
  const relay = net.createServer((socket) => {
    const behind = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    below.push(socket);
    for (const each of [socket, behind]) {
      each.on('error', () => undefined);
      atEnd(t, () => void each.destroy());
    }
    behind.on('close', () => socket.destroy());
    socket.on('close', () => behind.destroy());
    socket.pipe(behind).pipe(socket);
  });
  const below: net.Socket[] = [];
  let connections = 0;
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => {
    const own = below[connections++] as net.Socket;
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      text = '';
      answer(socket, own);
    });
  });
  server.listen(0, '127.0.0.1');
  relay.listen(0, freshAddress());
  await Promise.all([once(server, 'listening'), once(relay, 'listening')]);
  atEnd(t, () => {
    server.close();
    relay.close();
  });
  const endpoint = relay.address() as net.AddressInfo;
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], tls: TLS, policies });
  await proxy.apply([service]);
  const call = async (): Promise<Wire> => {
    const caller = await proxy.call(service);
    caller.write(GET);
    return caller;
  };
  return { proxy, service, endpoint, call, connections: () => connections };
}

test('a response that ends with its connection is whole at its end', async (t) => {
  const { call } = await mesh(t, (socket) =>
    socket.end(`${HEAD}Connection: close\r\n\r\nall of it`),
  );
  const caller = await call();
  await caller.head();
  assert.equal(await caller.until('0\r\n\r\n'), '00009\r\nall of it\r\n0\r\n\r\n');
});

for (const [how, cut] of [
  ['ends', (socket: TLSSocket) => socket.end()],
  ['is closed', (socket: TLSSocket) => socket.destroy()],
  ['is reset', (_: TLSSocket, below: net.Socket) => below.resetAndDestroy()],
  [
    'goes on in something else than TLS',
    (_: TLSSocket, below: net.Socket) => below.write('no TLS at all, whatever it is'),
  ],
] as const) {
  test(`a connection that ${how} before an answer has failed its request, and is no failed handshake`, async (t) => {
    const { proxy, service, endpoint, call } = await mesh(t, cut);
    assert.match(await (await call()).head(), /^HTTP\/1.1 502 /);
    assert.equal(proxy.failures(service, 'endpoint_reset'), 1);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectFailures), 0);
  });

  test(`one that ${how} in a body cuts the response, which nobody takes for whole`, async (t) => {
    let goOn = (): unknown => assert.fail('no request came');
    const { proxy, service, call } = await mesh(t, (socket, below) => {
      socket.write(`${HEAD}Content-Length: 100\r\n\r\npart`);
      goOn = () => cut(socket, below);
    });
    const caller = await call();
    await caller.until('part');
    goOn();
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
  });
}

test('one that was closed while nobody used it fails no request', async (t) => {
  const open: TLSSocket[] = [];
  const { call, connections } = await mesh(t, (socket) => {
    open.push(socket);
    socket.write(`${HEAD}Content-Length: 2\r\n\r\nok`);
  });
  await (await call()).until('ok');
  open[0]!.destroy();
  await once(open[0]!, 'close');
  await (await call()).until('ok');
  assert.equal(connections(), 2);
});

test('an endpoint that speaks while nobody asked is not believed in what it says next', async (t) => {
  let first: TLSSocket | null = null;
  const { proxy, service, endpoint, call, connections } = await mesh(t, (socket) => {
    first ??= socket;
    socket.write(`${HEAD}Content-Length: 2\r\n\r\nok`);
  });
  await (await call()).until('ok');
  first!.write(`${HEAD}Content-Length: 4\r\n\r\nevil`);
  const open = (): number => proxy.endpointWord(service, endpoint, ENDPOINT_WORD.connections);
  await eventually(() => open() === 0, 'the connection to be closed');
  await (await call()).until('ok');
  assert.equal(connections(), 2);
});

test("what stands behind a response in a record of its own is nobody's", async (t) => {
  const forged = `${HEAD}Content-Length: 4\r\n\r\nevil`;
  let answered = 0;
  const { call, connections } = await mesh(t, (socket, below) => {
    const first = `${HEAD}Content-Length: 2\r\n\r\nok`;
    if (answered++ > 0) {
      socket.write(first);
      return;
    }
    // All records arrive together.
    below.cork();
    for (const each of [first, forged, forged]) socket.write(each);
    void eventually(() => below.writableLength > 3 * HEAD.length, 'all of it').then(() =>
      below.uncork(),
    );
  });
  const caller = await call();
  // The connection would be used again at once.
  caller.write(GET);
  await caller.until('ok');
  assert.ok((await caller.until('ok')).endsWith('\r\n\r\nok'));
  assert.equal(connections(), 2);
});

test('what was written before the handshake was done goes before what is written then', async (t) => {
  const server = createServer(good);
  let text = '';
  server.on('secureConnection', (socket) => {
    socket.on('data', (data: Buffer) => (text += data.toString('latin1')));
    socket.on('error', () => undefined);
    atEnd(t, () => void socket.destroy());
  });
  server.listen(0, freshAddress());
  await once(server, 'listening');
  atEnd(t, () => void server.close());
  const target = {
    ...(server.address() as net.AddressInfo),
    tls: TLS,
    http2: false,
    onHandshake: () => undefined,
  };
  const { context } = new TestProxy(t);
  const say = (what: string): unknown => socket.write(Buffer.from(what), 0, what.length);
  const owner = {
    onConnect: () => void say('then'),
    onClose: () => undefined,
  } as unknown as DialOwner;
  const socket = context.dial(target, owner);
  atEnd(t, () => socket.destroy());
  say('first ');
  await eventually(() => text.length >= 10, 'all of it');
  assert.equal(text, 'first then');
});

test('a chain of certificates without end is a handshake that fails, soon', async (t) => {
  const chain = await Promise.all(Array.from({ length: 400 }, () => ca.issue({ names: [NAME] })));
  const cert = [good.cert, ...chain.map((each) => each.cert)].join('\n');
  const endpoint = await tlsEndpoint(t, freshAddress(), { cert, key: good.key });
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], tls: TLS });
  await proxy.apply([service]);
  const caller = await proxy.call(service);
  caller.write(post('a secret'));
  assert.match(await caller.head(), /^HTTP\/1.1 502 /);
  assert.equal(proxy.failures(service, 'tls_handshake_failed'), 1);
  assert.deepEqual(endpoint.requests, []);
});

test('health checks by HTTP speak TLS, verified as requests are, and nothing else', async (t) => {
  const healthCheck = {
    ...DEFAULT_HEALTH_CHECK,
    kind: 'http',
    intervalMs: 1_000,
    failures: 1,
  } as const;
  const well = await tlsEndpoint(t, freshAddress(), good);
  const sick = await tlsEndpoint(t, freshAddress(), await ca.issue({ names: ['else'] }));
  const proxy = new TestProxy(t);
  const policies = {
    healthCheck,
    ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 0 },
  };
  const service = proxy.service({ endpoints: [well, sick], tls: TLS, policies });
  await proxy.apply([service]);
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.head();
  const ejected = (): number => proxy.endpointWord(service, sick, ENDPOINT_WORD.ejections);
  await eventually(() => ejected() === 1, 'the sick one to be ejected');
  await eventually(() => well.requests.length >= 2, 'checks of the other one');
  assert.deepEqual(sick.requests, []);
  assert.equal(proxy.endpointWord(service, well, ENDPOINT_WORD.ejections), 0);
});

test('a caller that speaks TLS to the mesh is told so, and its bytes reach no endpoint', async (t) => {
  const { proxy, service, connections } = await mesh(t, () => assert.fail('nobody asked'));
  const { port } = service.ports[0]!;
  const caller = connect({ host: service.address, port, rejectUnauthorized: false });
  const [error] = (await once(caller, 'error')) as [NodeJS.ErrnoException];
  assert.match(String(error.code), /^ERR_SSL|ECONNRESET/);
  assert.equal(connections(), 0);
  assert.equal(proxy.context.callerConnections <= 1, true);
});
