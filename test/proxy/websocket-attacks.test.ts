/** Peers that break the rules of upgrades, or use them oddly. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { frame, GET_ROOT, headers, Http2Peer, setting } from '../support/http2-peer.ts';
import { freshAddress, GET, OK, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import {
  type At,
  connect2,
  open2,
  openWebSocket,
  webSocketEndpoint,
} from '../support/websocket.ts';
import { ASK, EXTENDED_CONNECT, switchFor } from '../support/websocket-heads.ts';
import { atEnd, eventually, RawEndpoint } from '../support/wire.ts';

const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const END_STREAM = 1;
const OFFERS = setting(8, 1);

async function inFrontOf(
  t: ConstructorParameters<typeof TestProxy>[0],
  endpoint: At,
  http2: boolean,
  options: ProxyOptions & { policies?: object } = {},
) {
  const proxy = new TestProxy(t, options);
  const { policies = {} } = options;
  const service = proxy.service({ endpoints: [endpoint], http2, policies });
  await proxy.apply([service]);
  return { proxy, service, at: { address: service.address, port: service.ports[0]!.port } };
}

test('what a caller sends before the answer is dropped when it is no, and its connection goes on', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { at } = await inFrontOf(t, endpoint, false);
  const peer = await Http2Peer.connect(t, at);
  peer.write(headers(1, EXTENDED_CONNECT), frame(DATA, 0, 1, Buffer.alloc(16_000, 1)));
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
  const { payload, flags } = await peer.next(DATA, 1);
  assert.equal(payload.toString(), 'no');
  if ((flags & END_STREAM) === 0) assert.equal((await peer.next(DATA, 1)).flags, END_STREAM);
  peer.write(frame(DATA, END_STREAM, 1, Buffer.alloc(16_000, 2)));
  peer.write(headers(3, GET_ROOT, END_STREAM));
  assert.match(await wire.head(), /^GET \/ HTTP/);
  assert.equal(wire.pending, '', 'nothing of what was for the tunnel');
  wire.write(OK);
  assert.equal((await peer.next(DATA, 3)).payload.toString(), 'ok');
});

test('what a caller sends before the answer, and its end, comes first in the tunnel', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { at, proxy, service } = await inFrontOf(t, endpoint, false);
  const peer = await Http2Peer.connect(t, at);
  peer.write(headers(1, EXTENDED_CONNECT), frame(DATA, 0, 1, Buffer.from('early')));
  peer.write(frame(DATA, END_STREAM, 1, Buffer.from(' bird')));
  const wire = await endpoint.next();
  const head = await wire.head();
  assert.equal(wire.pending, '');
  wire.write(`${switchFor(head)}first`);
  assert.equal((await peer.next(DATA, 1)).payload.toString(), 'first');
  assert.equal(await wire.rest(), 'early bird');
  wire.write('last');
  wire.end();
  assert.equal((await peer.next(DATA, 1)).payload.toString(), 'last');
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
});

for (const endStream of [0, END_STREAM])
  test(`trailers before the answer end the request, with flags ${endStream}`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { at } = await inFrontOf(t, endpoint, false);
    const peer = await Http2Peer.connect(t, at);
    peer.write(headers(1, EXTENDED_CONNECT));
    const wire = await endpoint.next();
    await wire.head();
    peer.write(headers(1, [['x', 'y']], endStream));
    assert.equal(await peer.resetOf(1), 1);
    await wire.gone();
  });

test('a slow reader of one tunnel does not hold up others of its connection', async (t) => {
  const endpoint = await webSocketEndpoint(t, 2, freshAddress());
  const { at, proxy } = await inFrontOf(t, endpoint, true);
  const session = connect2(t, at);
  const slow = await open2(session, '/slow');
  const slowServer = await endpoint.next();
  const quick = await open2(session, '/quick');
  const quickServer = await endpoint.next();
  slow.stream.pause();
  slowServer.stream.pause();
  const much = Buffer.alloc(8 << 20, 1);
  slowServer.stream.write(much);
  slow.stream.write(much);
  const piece = Buffer.alloc(1 << 20, 2);
  for (let i = 0; i < 8; i++) {
    quick.stream.write(piece);
    quickServer.stream.write(piece);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await Promise.all([quick.bytes(piece.length), quickServer.bytes(piece.length)]);
  }
  proxy.context.room.sweep();
  assert(proxy.context.room.bytes < 4 << 20, `${proxy.context.room.bytes} bytes are held`);
  slow.stream.resume();
  slowServer.stream.resume();
  await Promise.all([slow.bytes(much.length), slowServer.bytes(much.length)]);
});

test('tunnels opened and closed in a hurry leave nothing behind', async (t) => {
  const server = http2.createServer({ settings: { enableConnectProtocol: true } });
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.on('error', () => undefined).resume();
    stream.on('end', () => stream.end());
    if (!stream.closed) stream.respond({ ':status': 200 });
  });
  const address = freshAddress();
  await new Promise<void>((resolve) => void server.listen(0, address, resolve));
  atEnd(t, () => void server.close());
  const { port } = server.address() as AddressInfo;
  const { at, proxy, service } = await inFrontOf(t, { address, port }, true);
  const session = connect2(t, at);
  await once(session, 'remoteSettings');
  const gone = Array.from({ length: 100 }, (_, i) => {
    const stream = session.request(Object.fromEntries(EXTENDED_CONNECT), { endStream: false });
    stream.on('error', () => undefined).resume();
    // Some before the head has left, others before the answer, others in the tunnel.
    if (i % 3 === 0) stream.close(8);
    else if (i % 3 === 1) setImmediate(() => stream.close(8));
    else stream.once('response', () => stream.end());
    return once(stream, 'close');
  });
  await Promise.all(gone);
  await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the end of all');
  assert.equal(proxy.figure(service, SERVICE_OWN.upgradesActive), 0);
});

test('an endpoint that says what it offers late is waited for', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await inFrontOf(t, endpoint, true);
  const caller = await proxy.call(service);
  caller.write(ASK);
  const wire = await endpoint.next();
  await wire.until('SM\r\n\r\n');
  const peer = new Http2Peer(wire.socket);
  assert.equal(
    peer.seen.find(({ type }) => type === HEADERS),
    undefined,
  );
  peer.write(frame(SETTINGS, 0, 0, OFFERS));
  const { stream } = await peer.next(HEADERS);
  peer.write(headers(stream, [[':status', '200']]), frame(DATA, 0, stream, Buffer.from('hi')));
  assert.match(await caller.until('hi'), /^HTTP\/1\.1 101 /);
  peer.write(frame(DATA, END_STREAM, stream));
  await caller.gone();
});

test('an endpoint that never says what it offers is given up after the time for an answer', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const timeouts = { ...DEFAULT_POLICIES.timeouts, tryMs: 3_000, requestMs: 5_000 };
  const { proxy, service } = await inFrontOf(t, endpoint, true, {
    manual: true,
    policies: { timeouts },
  });
  const caller = await proxy.call(service);
  caller.write(ASK);
  const wire = await endpoint.next();
  await wire.until('SM\r\n\r\n');
  await proxy.advanceUntil(() => caller.pending.includes('maesh: '), 'the answer');
  assert.match(caller.pending, /^HTTP\/1\.1 504 /);
});

test('an endpoint that offers it in a later SETTINGS is asked from then on', async (t) => {
  const endpoint = await Http2Peer.listen(t, freshAddress());
  const { proxy, service } = await inFrontOf(t, endpoint, true);
  const caller = await proxy.call(service);
  caller.write(ASK);
  assert.match(await caller.until('upgrade_not_offered'), /^HTTP\/1\.1 501 /);
  const peer = await endpoint.next();
  peer.write(frame(SETTINGS, 0, 0, OFFERS));
  // Its ACK: the first is that of the SETTINGS before.
  const acks = (): number =>
    peer.seen.filter(({ type, flags }) => type === 4 && flags === 1).length;
  await eventually(() => acks() === 2, 'its acknowledgement');
  const other = await proxy.call(service);
  other.write(ASK);
  const { stream } = await peer.next(HEADERS);
  peer.write(headers(stream, [[':status', '200']]));
  assert.match(await other.head(), /^HTTP\/1\.1 101 /);
  peer.write(frame(DATA, END_STREAM, stream));
  await other.gone();
});

test('an endpoint that takes its offer back breaks a rule: its connection ends, and the tunnel with it', async (t) => {
  const endpoint = await Http2Peer.listen(t, freshAddress(), OFFERS);
  const { proxy, service } = await inFrontOf(t, endpoint, true);
  const caller = await proxy.call(service);
  caller.write(ASK);
  const peer = await endpoint.next();
  const { stream } = await peer.next(HEADERS);
  peer.write(headers(stream, [[':status', '200']]));
  await caller.head();
  peer.write(frame(SETTINGS, 0, 0, setting(8, 0)));
  assert.equal(await peer.failure(), 1);
  assert.equal(await caller.gone(), 'reset');
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
});

for (const [what, ask] of [
  ['a request without Upgrade', GET],
  ['HTTP/1.0', ASK.replace('HTTP/1.1', 'HTTP/1.0')],
  ['an Upgrade that Connection does not name', ASK.replace('Connection: Upgrade\r\n', '')],
  ['h2c beside WebSocket', ASK.replace('Upgrade: websocket', 'Upgrade: h2c, websocket')],
] as const)
  test(`a 101 to ${what} is bad_response, and its connection is not used again`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await inFrontOf(t, endpoint, false);
    const caller = await proxy.call(service);
    caller.write(ask);
    const wire = await endpoint.next();
    assert.doesNotMatch(await wire.head(), /upgrade:/i);
    wire.write(`${switchFor('')}${OK}`);
    assert.match(await caller.until('bad_response'), /^HTTP\/1\.[01] 502 /);
    await wire.gone();
    assert.equal(proxy.figure(service, SERVICE_OWN.upgradesActive), 0);
  });

test('of several protocols the endpoint chooses one; WebSocket alone is asked for in HTTP/2', async (t) => {
  const many = ASK.replace('Upgrade: websocket', 'Upgrade: foo/2, ,WebSocket');
  const one = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await inFrontOf(t, one, false);
  const caller = await proxy.call(service);
  caller.write(many);
  const wire = await one.next();
  assert.match(await wire.head(), /\r\nUpgrade: foo\/2, WebSocket\r\n/);
  wire.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: foo/2\r\n\r\n');
  assert.match(await caller.head(), /\r\nUpgrade: foo\/2\r\n/);
  caller.write('\x88');
  assert.equal(await wire.bytes(1), '\x88');
  // It is no WebSocket: nobody knows how to say goodbye.
  void proxy.server.drain(200);
  assert.equal(await caller.gone(), 'reset');

  const two = await Http2Peer.listen(t, freshAddress(), OFFERS);
  const other = await inFrontOf(t, two, true);
  const second = await other.proxy.call(other.service);
  second.write(many);
  const peer = await two.next();
  const { payload } = await peer.next(HEADERS);
  assert(payload.includes('websocket') && !payload.includes('foo'));
});

test('a version that is said twice reaches the endpoint as it came', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { at } = await inFrontOf(t, endpoint, false);
  const peer = await Http2Peer.connect(t, at);
  const version = ['sec-websocket-version', '8'] as const;
  peer.write(headers(1, [...EXTENDED_CONNECT, version, version]));
  const head = await (await endpoint.next()).head();
  assert.deepEqual(
    head.match(/sec-websocket-version: \d+/gi)?.map((line) => line.slice(-1)),
    ['8', '8'],
  );
});

for (const [what, fields] of [
  ['another protocol', 'Upgrade: foo'],
  ['h2c', 'Upgrade: h2c'],
  ['a handshake without a key', 'Upgrade: websocket'],
] as const)
  test(`an endpoint of HTTP/2 is not asked for ${what}: the rest of the request reaches it`, async (t) => {
    const endpoint = await Http2Peer.listen(t, freshAddress(), OFFERS);
    const { proxy, service } = await inFrontOf(t, endpoint, true);
    const caller = await proxy.call(service);
    caller.write(
      `GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\n${fields}\r\nx-a: b\r\n\r\n`,
    );
    const peer = await endpoint.next();
    const { payload, stream, flags } = await peer.next(HEADERS);
    assert(!/upgrade|protocol|CONNECT/.test(payload.toString('latin1')));
    if ((flags & END_STREAM) === 0) assert.equal((await peer.next(DATA)).flags, END_STREAM);
    peer.write(headers(stream, [[':status', '204']], END_STREAM));
    assert.match(await caller.head(), /^HTTP\/1\.1 204 /);
  });

for (const version of [1, 2] as const)
  test(`a WebSocket of HTTP/${version} that is refused is tried again, as the GET that it is`, async (t) => {
    let answers = 0;
    const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) =>
      ++answers === 1
        ? 'HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n'
        : `${switchFor(head)}\x81\x00`,
    );
    const retry = { ...DEFAULT_RETRY, attempts: 2, on: ['status'], statuses: [503] };
    const { at, proxy, service } = await inFrontOf(t, endpoint, false, { policies: { retry } });
    const caller = await openWebSocket(t, version, at);
    assert.equal(await caller.bytes(2), '8100');
    assert.equal(proxy.figure(service, SERVICE_OWN.retries), 1);
    assert.match(endpoint.heads[1] ?? '', /^GET /);
    endpoint.wires[0]?.end();
    endpoint.wires[1]?.end();
    caller.stream.end();
  });
