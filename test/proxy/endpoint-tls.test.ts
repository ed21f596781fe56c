/** TLS toward endpoints, with real certificates and real servers: who is believed, who gets nothing, and what is kept from one connection to the next. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import type { Writable } from 'node:stream';
import { suite, test, type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { EndpointTls } from '../../src/model/endpoint-tls.ts';
import type { FailureReason } from '../../src/model/failure.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { SESSION_MS_MAX } from '../../src/proxy/net/tls/tls-dialer.ts';
import { type ServerCertificate, TestCa } from '../support/certificates.ts';
import { freshAddress, GET, post, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import {
  type Answer,
  tlsEndpoint,
  type TlsEndpoint,
  type TlsEndpointOptions,
} from '../support/tls-endpoint.ts';
import { atEnd, type Dialled, eventually, settled } from '../support/wire.ts';

const NAME = 'web.shop.svc';
const ca = await TestCa.make();
const other = await TestCa.make('another CA');
const good = await ca.issue({ names: [NAME] });
const believes = (pem: string, serverName = NAME): EndpointTls => ({
  serverName,
  trust: 'given',
  ca: pem,
  client: null,
});

interface Setting {
  readonly proxy: TestProxy;
  readonly service: Service;
  /** Sends a request on a new connection: the status and the body. */
  readonly ask: (request?: string) => Promise<string>;
}

interface Wanted {
  readonly tls?: EndpointTls;
  readonly http2?: boolean;
  readonly policies?: Partial<Policies>;
}

async function mesh(
  t: TestContext,
  endpoints: readonly Dialled[],
  wanted: Wanted = {},
  options: ProxyOptions = {},
): Promise<Setting> {
  const proxy = new TestProxy(t, options);
  const service = proxy.service({ endpoints, tls: believes(ca.pem), ...wanted });
  await proxy.apply([service]);
  return { proxy, service, ask: (request = GET) => ask(proxy, service, request) };
}

async function ask(proxy: TestProxy, service: Service, request: string): Promise<string> {
  const caller = await proxy.call(service);
  caller.write(request);
  const head = await caller.head();
  const [, status = ''] = head.split(' ');
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const body = length > 0 ? await caller.bytes(length) : await caller.until('0\r\n\r\n');
  caller.socket.destroy();
  return `${status} ${body}`;
}

const OK: Answer = (_, response) => {
  response.setHeader('Content-Length', 2);
  response.end('ok');
};

function endpointOf(t: TestContext, options: TlsEndpointOptions): Promise<TlsEndpoint> {
  return tlsEndpoint(t, freshAddress(), { answer: OK, ...options });
}

test('an endpoint that proves its name by the given CA gets requests, on a connection that is kept', async (t) => {
  const endpoint = await endpointOf(t, good);
  const { ask } = await mesh(t, [endpoint]);
  for (let i = 0; i < 3; i++) assert.equal(await ask(), '200 ok');
  assert.deepEqual(endpoint.requests, ['GET / 1.1', 'GET / 1.1', 'GET / 1.1']);
  assert.deepEqual(endpoint.connections, [`${NAME} http/1.1 TLSv1.3 whole`]);
});

test('a connection is kept however soon the answer comes', async (t) => {
  const connections = new Int32Array(new SharedArrayBuffer(4));
  const address = freshAddress();
  const worker = new Worker(ANSWERS_AT_ONCE, {
    eval: true,
    workerData: { ...good, address, connections },
  });
  atEnd(t, () => void worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  const { ask } = await mesh(t, [{ address, port }]);
  // The answer is there before this thread looks for it: it sleeps behind each turn.
  const never = new Int32Array(new SharedArrayBuffer(4));
  let isOver = false;
  const sleep = (): void => {
    Atomics.wait(never, 0, 0, 5);
    if (!isOver) setImmediate(sleep);
  };
  sleep();
  try {
    for (let i = 0; i < 5; i++) assert.equal(await ask(), '200 ok');
  } finally {
    isOver = true;
  }
  assert.equal(connections[0], 1);
});

/** On a thread of its own. Counts its connections. */
const ANSWERS_AT_ONCE = `
  const { parentPort, workerData } = require('node:worker_threads');
  const { cert, key, address, connections } = workerData;
  const server = require('node:https').createServer({ cert, key }, (_, response) => {
    response.setHeader('Content-Length', 2);
    response.end('ok');
  });
  server.on('secureConnection', () => void connections[0]++);
  server.listen(0, address, () => parentPort.postMessage(server.address().port));
`;

test('long bodies pass both ways as they are', async (t) => {
  const endpoint = await endpointOf(t, {
    ...good,
    answer(request, response) {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const all = Buffer.concat(pieces);
        response.setHeader('Content-Length', all.length);
        response.end(all);
      });
    },
  });
  const { ask } = await mesh(t, [endpoint]);
  const text = Array.from({ length: 300_000 }, (_, i) => (i * 2_654_435_761).toString(36)).join('');
  const answer = await ask(post(text));
  assert.equal(answer.length, text.length + 4);
  assert.ok(answer === `200 ${text}`, 'byte by byte');
});

test('HTTP/2 is agreed on by ALPN, and its requests share a connection', async (t) => {
  const endpoint = await endpointOf(t, { ...good, http2: true });
  const { ask } = await mesh(t, [endpoint], { http2: true });
  assert.deepEqual(await Promise.all([ask(), ask(), ask()]), ['200 ok', '200 ok', '200 ok']);
  assert.deepEqual(endpoint.connections, [`${NAME} h2 TLSv1.3 whole`]);
  assert.equal(endpoint.requests[0], 'GET / 2.0');
});

test('a chain through an intermediate CA is followed', async (t) => {
  const between = await ca.intermediate('between');
  const endpoint = await endpointOf(t, await between.issue({ names: [NAME] }));
  const { ask } = await mesh(t, [endpoint]);
  assert.equal(await ask(), '200 ok');
});

test('TLS 1.2 is spoken with who has nothing newer', async (t) => {
  const endpoint = await endpointOf(t, { ...good, maxVersion: 'TLSv1.2' });
  const { ask } = await mesh(t, [endpoint]);
  assert.equal(await ask(), '200 ok');
  assert.match(endpoint.connections[0]!, /TLSv1\.2/);
});

test('a new connection resumes the session of the one before', async (t) => {
  const endpoint = await endpointOf(t, { ...good, answer: lastAnswer });
  const { ask } = await mesh(t, [endpoint]);
  for (let i = 0; i < 3; i++) assert.equal(await ask(), '200 ok');
  assert.deepEqual(
    endpoint.connections.map((each) => each.split(' ').at(-1)),
    ['whole', 'resumed', 'resumed'],
  );
});

/** Behind which the endpoint closes its connection. */
const lastAnswer: Answer = (_, response) => {
  response.setHeader('Content-Length', 2);
  response.setHeader('Connection', 'close');
  response.end('ok');
};

for (const [renews, maxVersion] of [
  [false, 'TLSv1.3'],
  [true, 'TLSv1.3'],
  [true, 'TLSv1.2'],
] as const)
  test(`a session${renews ? ', renewed each time,' : ''} is no longer resumed when its certificate was verified too long ago (${maxVersion})`, async (t) => {
    const endpoint = await endpointOf(t, { ...good, answer: lastAnswer, renews, maxVersion });
    const { proxy, service } = await mesh(t, [endpoint], {}, { manual: true });
    for (const [waitMs, how] of [
      [0, 'whole'],
      [SESSION_MS_MAX - 1_000, 'resumed'],
      // The session that came last is young: its certificate was verified with the first one.
      [2_000, 'whole'],
      [SESSION_MS_MAX / 2, 'resumed'],
      [SESSION_MS_MAX / 2 - 1_000, 'resumed'],
      [1_000, 'whole'],
    ] as const) {
      proxy.advance(waitMs);
      assert.equal(await ask(proxy, service, GET), '200 ok');
      assert.equal(endpoint.connections.at(-1)!.split(' ').at(-1), how);
    }
  });

test('where nothing is verified, anyone is believed, and still in TLS', async (t) => {
  const endpoint = await endpointOf(t, await other.issue({ names: ['else'], lastsMs: -1_000 }));
  const { ask } = await mesh(t, [endpoint], {
    tls: { serverName: NAME, trust: 'anyone', ca: '', client: null },
  });
  assert.equal(await ask(), '200 ok');
  assert.deepEqual(endpoint.connections, [`${NAME} http/1.1 TLSv1.3 whole`]);
});

for (const http2 of [false, true])
  test(`what cannot be dialled at all is a defect, and leaves nothing behind (HTTP/${http2 ? '2' : '1.1'})`, async (t) => {
    const endpoint = await endpointOf(t, { ...good, http2 });
    // No context of OpenSSL can be made of it.
    const tls = believes(7 as unknown as string);
    const { proxy, service, ask } = await mesh(t, [endpoint], { http2, tls }, { defects: true });
    for (let i = 0; i < 3; i++) assert.match(await ask(), /^500 /);
    assert.equal(proxy.failures(service, 'internal'), 3);
    assert.equal(proxy.context.room.endpointConnections, 0);
    for (const word of [ENDPOINT_WORD.connections, ENDPOINT_WORD.inFlight])
      assert.equal(proxy.endpointWord(service, endpoint, word), 0);
  });

suite('a CA that is replaced', () => {
  test('holds for new connections, and none of the old ones takes another request', async (t) => {
    const first = await endpointOf(t, good);
    const { proxy, service, ask } = await mesh(t, [first]);
    assert.equal(await ask(), '200 ok');
    await proxy.apply([
      proxy.service({ key: service.key, endpoints: [first], tls: believes(other.pem) }),
    ]);
    assert.match(await ask(), /^502 /);
    assert.equal(proxy.failures(service, 'tls_unknown_issuer'), 1);
    await proxy.apply([
      proxy.service({
        key: service.key,
        endpoints: [first],
        tls: believes(`${other.pem}\n${ca.pem}`),
      }),
    ]);
    assert.equal(await ask(), '200 ok');
    const how = first.connections.map((each) => each.split(' ').at(-1));
    assert.deepEqual(how, ['whole', 'whole'], 'nobody resumes what another CA was believed for');
  });

  for (const http2 of [false, true])
    test(`loses no request that runs (HTTP/${http2 ? '2' : '1.1'})`, async (t) => {
      const answers: (() => void)[] = [];
      const endpoint = await endpointOf(t, {
        ...good,
        http2,
        answer: (request, response) => void answers.push(() => OK(request, response)),
      });
      const { proxy, service, ask } = await mesh(t, [endpoint], { http2 });
      const running = ask();
      await eventually(() => answers.length === 1, 'the request to be there');
      const tls = believes(`${other.pem}\n${ca.pem}`);
      await proxy.apply([proxy.service({ key: service.key, endpoints: [endpoint], http2, tls })]);
      const next = ask();
      await eventually(() => answers.length === 2, 'the next request to be there');
      assert.equal(endpoint.connections.length, 2);
      for (const answer of answers) answer();
      assert.deepEqual(await Promise.all([running, next]), ['200 ok', '200 ok']);
    });

  test('changes nothing where it is the same as before', async (t) => {
    const endpoint = await endpointOf(t, good);
    const { proxy, service, ask } = await mesh(t, [endpoint]);
    assert.equal(await ask(), '200 ok');
    await proxy.apply([
      proxy.service({ key: service.key, endpoints: [endpoint], tls: believes(ca.pem) }),
    ]);
    assert.equal(await ask(), '200 ok');
    assert.equal(endpoint.connections.length, 1);
  });
});

suite('an endpoint that does not prove who it is gets nothing', () => {
  const cases: readonly [
    what: string,
    reason: FailureReason,
    options: () => Promise<TlsEndpointOptions>,
    wanted?: Wanted,
  ][] = [
    [
      'is expired',
      'tls_certificate_expired',
      async () => await ca.issue({ names: [NAME], lastsMs: -1_000 }),
    ],
    [
      'is not valid yet',
      'tls_certificate_expired',
      async () => await ca.issue({ names: [NAME], beginsMs: 3_600_000 }),
    ],
    [
      'has another name',
      'tls_wrong_name',
      async () => await ca.issue({ names: ['web.other.svc', '*.svc'] }),
    ],
    ['has no name', 'tls_wrong_name', async () => await ca.issue({ names: [] })],
    ['is of another CA', 'tls_unknown_issuer', async () => await other.issue({ names: [NAME] })],
    [
      'is of a CA of the same name',
      'tls_unknown_issuer',
      async () => await (await TestCa.make()).issue({ names: [NAME] }),
    ],
    ['lacks a link of its chain', 'tls_unknown_issuer', async () => await withoutLink()],
    [
      'is of no public CA, where none is given',
      'tls_unknown_issuer',
      async () => good,
      { tls: { serverName: NAME, trust: 'public', ca: '', client: null } },
    ],
    [
      'is in order, where the CA cannot be used',
      'tls_unknown_issuer',
      async () => good,
      { tls: believes('') },
    ],
    [
      'is in order, and TLS is too old',
      'tls_handshake_failed',
      async () => ({
        ...good,
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      }),
    ],
    [
      'is in order, and HTTP/2 is not spoken',
      'tls_handshake_failed',
      async () => good,
      { http2: true },
    ],
  ];
  for (const [what, reason, options, wanted] of cases) {
    test(`its certificate ${what}: ${reason}`, async (t) => {
      const endpoint = await endpointOf(t, await options());
      const { proxy, service, ask } = await mesh(t, [endpoint], wanted);
      // What may be sent again is no safer than what may not, and what is long comes while the endpoint proves itself.
      for (const request of [GET, post('x'.repeat(200_000))])
        assert.match(await ask(request), /^502 /);
      assert.deepEqual(endpoint.requests, []);
      assert.equal(proxy.failures(service, reason), 2);
      assert.equal(proxy.requests(service, 5), 2);
    });
  }
});

/** Accepts connections and does this with each. */
async function raw(
  t: TestContext,
  take: (socket: net.Socket) => void,
): Promise<Dialled & { bytes: () => number }> {
  let bytes = 0;
  const server = net.createServer((socket) => {
    atEnd(t, () => void socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (data) => (bytes += data.length));
    take(socket);
  });
  server.listen(0, freshAddress());
  await once(server, 'listening');
  atEnd(t, () => void server.close());
  const { address, port } = server.address() as net.AddressInfo;
  return { address, port, bytes: () => bytes };
}

suite('a handshake that comes to nothing', () => {
  const cases: readonly [what: string, take: (socket: net.Socket) => void][] = [
    ['speaks no TLS', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['closes at once', (socket) => socket.end()],
    ['resets at once', (socket) => socket.resetAndDestroy()],
    [
      'closes in the middle of a record',
      (socket) => socket.end(Buffer.from('160303ffff02', 'hex')),
    ],
    ['says that it failed', (socket) => socket.end(Buffer.from('15030300020228', 'hex'))],
  ];
  for (const [what, take] of cases)
    test(`an endpoint that ${what} has failed, and gets nothing`, async (t) => {
      const endpoint = await raw(t, (socket) => socket.once('data', () => take(socket)));
      const { proxy, service, ask } = await mesh(t, [endpoint]);
      assert.match(await ask(post('a secret')), /^502 /);
      assert.equal(proxy.failures(service, 'tls_handshake_failed'), 1);
    });

  test('one that is not listened on is a connection that failed', async (t) => {
    const endpoint = await raw(t, () => undefined);
    const { proxy, service, ask } = await mesh(t, [{ ...endpoint, address: freshAddress() }]);
    assert.match(await ask(), /^502 /);
    assert.equal(proxy.failures(service, 'connect_failed'), 1);
  });

  test('one that takes too long is a connection that took too long', async (t) => {
    const endpoint = await raw(t, () => undefined);
    const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, connectMs: 50 } };
    const { proxy, service, ask } = await mesh(t, [endpoint], { policies });
    assert.match(await ask(), /^504 /);
    assert.equal(proxy.failures(service, 'connect_timeout'), 1);
    assert.ok(endpoint.bytes() > 0, 'it was asked');
  });

  test('is tried elsewhere, and ejects its endpoint', async (t) => {
    const bad = await raw(t, (socket) => socket.once('data', () => socket.end()));
    const well = await endpointOf(t, good);
    const { proxy, service, ask } = await mesh(t, [bad, well]);
    const { consecutiveFailures } = DEFAULT_POLICIES.ejection;
    for (let i = 0; i < 4 * consecutiveFailures; i++)
      assert.equal(await ask(post('once')), '200 ok', 'what must not run twice did not run');
    assert.equal(proxy.endpointWord(service, bad, ENDPOINT_WORD.ejections), 1);
    assert.equal(well.requests.length, 4 * consecutiveFailures);
  });

  test('a caller that leaves meanwhile leaves nothing behind', async (t) => {
    const endpoint = await raw(t, () => undefined);
    const { proxy, service } = await mesh(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write(post('x'.repeat(100_000)));
    await eventually(() => endpoint.bytes() > 0, 'the handshake to begin');
    caller.socket.destroy();
    await eventually(() => proxy.failures(service, 'caller_gone') === 1, 'the caller to be gone');
  });
});

test('an upgrade is a tunnel through TLS', async (t) => {
  const endpoint = await endpointOf(t, good);
  endpoint.server.on('upgrade', (_request: unknown, socket: net.Socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
    );
    socket.pipe(socket);
  });
  const { proxy, service } = await mesh(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  assert.match(await caller.head(), /^HTTP\/1.1 101 /);
  caller.write('there and back');
  assert.equal(await caller.bytes(14), 'there and back');
  caller.end();
  assert.equal(await caller.rest(), '');
});

const MANY = 64 << 20;
const PIECE = Buffer.alloc(256 << 10, 120);

/** Writes as much as is taken. */
async function pump(stream: Writable, told: (bytes: number) => void): Promise<void> {
  for (let sent = 0; sent < MANY; sent += PIECE.length) {
    told(sent);
    // oxlint-disable-next-line no-await-in-loop -- one piece after the other
    if (!stream.write(PIECE)) await once(stream, 'drain');
  }
}

test('a slow caller holds up its endpoint, and what is on its way stays little', async (t) => {
  let sent = 0;
  const endpoint = await endpointOf(t, {
    ...good,
    answer(_, response) {
      response.setHeader('Content-Length', MANY);
      void pump(response, (bytes) => (sent = bytes)).then(() => response.end());
    },
  });
  const { proxy, service } = await mesh(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.discard();
  caller.socket.pause();
  caller.write(GET);
  assert.ok((await settled(() => sent)) < MANY / 2);
  caller.socket.resume();
  await caller.received(MANY);
});

test('a slow endpoint holds up its caller, and what is on its way stays little', async (t) => {
  let got = 0;
  let request: IncomingMessage | null = null;
  const endpoint = await endpointOf(t, {
    ...good,
    answer(asked, response) {
      request = asked;
      asked.on('end', () => OK(asked, response));
    },
  });
  const { proxy, service } = await mesh(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${MANY}\r\n\r\n`);
  let sent = 0;
  const all = pump(caller.socket, (bytes) => (sent = bytes));
  await eventually(() => request !== null, 'the request');
  assert.ok((await settled(() => sent)) < MANY / 2);
  request!.on('data', (data: Buffer) => (got += data.length));
  await all;
  assert.match(await caller.until('ok'), /^HTTP\/1.1 200 /);
  assert.equal(got, MANY);
});

async function withoutLink(): Promise<ServerCertificate> {
  const { cert, key } = await (await ca.intermediate('between')).issue({ names: [NAME] });
  const [leaf = ''] = cert.split(/(?<=-----END CERTIFICATE-----)/);
  return { cert: leaf, key };
}
