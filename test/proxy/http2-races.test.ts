/** What happens on one stream at a bad moment of another, of its connection, or of its own other side. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import type { Pair } from '../support/http2.ts';
import { frame, GET_ROOT, headers, Http2Peer, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, GET, post, TestProxy } from '../support/proxy.ts';
import { heldFor } from '../support/slow-reader.ts';
import { eventually, type Wire } from '../support/wire.ts';

const END_STREAM = 0x1;
const NO_ERROR = 0;
const REFUSED_STREAM = 7;
const CANCEL = 8;
const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;
const DATE: Pair = ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'];
const OK_HEAD: readonly Pair[] = [[':status', '200'], DATE];
const POST_ROOT: readonly Pair[] = [[':method', 'POST'], ...GET_ROOT.slice(1)];

interface Setting {
  readonly proxy: TestProxy;
  readonly service: Service;
  /** Another caller, in HTTP/1.1. */
  readonly call: () => Promise<Wire>;
  /** Likewise in HTTP/2. */
  readonly call2: (settings?: Buffer) => Promise<Http2Peer>;
  /** The next connection to the endpoint. */
  readonly next: () => Promise<Http2Peer>;
}

async function setUp(
  t: TestContext,
  policies: Partial<Policies> = {},
  settings?: Buffer,
): Promise<Setting> {
  const endpoint = await Http2Peer.listen(t, freshAddress(), settings);
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], http2: true, policies });
  await proxy.apply([service]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const call2 = (own?: Buffer): Promise<Http2Peer> => Http2Peer.connect(t, to, own);
  return { proxy, service, call: () => proxy.call(service), call2, next: endpoint.next };
}

function answer(peer: Http2Peer, stream: number, body: string): void {
  peer.write(headers(stream, OK_HEAD), frame(0, END_STREAM, stream, Buffer.from(body)));
}

/** Counts content of a stream as it comes. */
function contentOf(peer: Http2Peer, stream: number): () => number {
  let bytes = 0;
  return () => {
    const others = peer.seen.splice(0).filter((seen) => {
      if (seen.type !== 0 || seen.stream !== stream) return true;
      bytes += seen.payload.length;
      return false;
    });
    peer.seen.push(...others);
    return bytes;
  };
}

function endOf(peer: Http2Peer, stream: number): boolean {
  return peer.seen.some((seen) => seen.stream === stream && (seen.flags & END_STREAM) !== 0);
}

test('the rest of a DATA frame whose request was cancelled touches no other request', async (t) => {
  const { call, next } = await setUp(t);
  const gone = await call();
  gone.write(GET);
  const peer = await next();
  await peer.next(1, 1);
  const data = frame(0, END_STREAM, 1, Buffer.alloc(1_000, 'a'));
  peer.write(headers(1, OK_HEAD), data.subarray(0, 500));
  await gone.until('aaa');
  gone.socket.destroy();
  await peer.next(3, 1);
  const other = await call();
  other.write(GET);
  await peer.next(1, 3);
  peer.write(data.subarray(500));
  answer(peer, 3, 'mine');
  assert.match(await other.until('mine'), /^HTTP\/1.1 200 [^\n]*\n(?:(?!aaa).)*$/s);
});

test('a response that is only a head and is retried at once does not end the next try', async (t) => {
  const retry = { ...DEFAULT_RETRY, on: ['status' as const], backoffMs: 0 };
  const { call, next } = await setUp(t, { retry });
  const caller = await call();
  caller.write(GET);
  const peer = await next();
  await peer.next(1, 1);
  peer.write(headers(1, [[':status', '503'], DATE], END_STREAM));
  await peer.next(1, 3);
  answer(peer, 3, 'second');
  assert.match(await caller.until('second'), /^HTTP\/1.1 200 /);
});

test('requests above the last stream of a drain are ignored with all that belongs to them', async (t) => {
  const { proxy, call2, next } = await setUp(t);
  const caller = await call2();
  caller.write(headers(1, GET_ROOT, END_STREAM));
  const peer = await next();
  await peer.next(1, 1);
  const drained = proxy.server.drain(30_000);
  await caller.next(7);
  await caller.next(7);
  caller.write(headers(3, POST_ROOT), frame(0, 0, 3, Buffer.from('late')));
  caller.write(frame(8, 0, 3, number32(1)), frame(3, 0, 3, number32(CANCEL)));
  answer(peer, 1, 'first');
  await eventually(() => endOf(caller, 1), 'the response of the first');
  assert.equal(await drained, 0);
});

test('a caller whose preface comes once the drain has begun is told to go, too', async (t) => {
  const { proxy, service, next } = await setUp(t);
  const socket = net.connect(service.ports[0]?.port ?? 0, service.address);
  t.after(() => void socket.destroy());
  const caller = new Http2Peer(socket);
  caller.write(PREFACE.subarray(0, 9));
  await eventually(() => heldFor(proxy, service) > 0, 'the first bytes');
  const drained = proxy.server.drain(30_000);
  await eventually(() => proxy.server.listeners === 0, 'the callers to be told');
  caller.write(PREFACE.subarray(9), frame(4, 0, 0), headers(1, GET_ROOT, END_STREAM));
  const lasts = [await caller.next(7), await caller.next(7)];
  assert.deepEqual(
    lasts.map(({ payload }) => payload.readUInt32BE(0)),
    [0x7fff_ffff, 1],
  );
  const peer = await next();
  await peer.next(1, 1);
  answer(peer, 1, 'first');
  await eventually(() => endOf(caller, 1) && caller.closed, 'the response, and the end');
  assert.equal(await drained, 0);
});

test('a caller that said GOAWAY is let go of with its last response', async (t) => {
  const { call2, next } = await setUp(t);
  const caller = await call2();
  caller.write(headers(1, GET_ROOT, END_STREAM));
  const peer = await next();
  await peer.next(1, 1);
  caller.write(frame(7, 0, 0, Buffer.alloc(8)));
  caller.write(frame(6, 0, 0, Buffer.alloc(8)));
  await caller.next(6);
  answer(peer, 1, 'ok');
  await eventually(() => endOf(caller, 1) && caller.closed, 'the end');
});

const LEAVINGS: readonly (readonly [name: string, leave: (peer: Http2Peer) => void])[] = [
  ['closes the connection', (peer) => void peer.socket.end()],
  ['resets the connection', (peer) => void peer.socket.resetAndDestroy()],
  ['wants no more of the request', (peer) => peer.write(frame(3, 0, 1, number32(NO_ERROR)))],
];

for (const [name, leave] of LEAVINGS) {
  test(`a response that came whole reaches a slow caller, though the endpoint ${name}`, async (t) => {
    const { proxy, service, call2, next } = await setUp(t);
    const caller = await call2(setting(INITIAL_WINDOW_SIZE, 10));
    caller.write(headers(1, GET_ROOT, END_STREAM));
    const peer = await next();
    await peer.next(1, 1);
    peer.write(headers(1, OK_HEAD), frame(0, 0, 1, Buffer.alloc(10_000)));
    await caller.next(0, 1);
    peer.write(frame(0, 0, 1, Buffer.alloc(10_000)), frame(0, END_STREAM, 1, Buffer.alloc(9_000)));
    await eventually(() => heldFor(proxy, service) >= 28_990, 'all of it is held, and counted');
    leave(peer);
    peer.write(frame(6, 0, 0, Buffer.alloc(8)));
    await eventually(
      () => peer.closed || peer.seen.some(({ type }) => type === 6),
      'the proxy has seen it',
    );
    const count = contentOf(caller, 1);
    caller.write(frame(8, 0, 1, number32(100_000)));
    await eventually(() => count() === 28_990, 'the rest');
  });
}

test('an early response frees the stream, though the rest of the request waits', async (t) => {
  const { proxy, service, call2, next } = await setUp(t);
  const caller = await call2();
  caller.write(headers(1, POST_ROOT));
  for (let i = 0; i < 10; i++) caller.write(frame(0, 0, 1, Buffer.alloc(10_000)));
  const peer = await next();
  const count = contentOf(peer, 1);
  await eventually(() => count() === 65_535, 'all that the windows allow');
  caller.write(frame(0, END_STREAM, 1, Buffer.alloc(100)), frame(6, 0, 0, Buffer.alloc(8)));
  await caller.next(6);
  answer(peer, 1, 'enough');
  await eventually(() => endOf(caller, 1), 'the response');
  await eventually(() => heldFor(proxy, service) === 0, 'nothing is held');
});

test('an early response that waits for its reader ends the request when it has left', async (t) => {
  const { call2, next } = await setUp(t);
  const caller = await call2(setting(INITIAL_WINDOW_SIZE, 2));
  caller.write(headers(1, POST_ROOT), frame(0, 0, 1, Buffer.from('start')));
  const peer = await next();
  await peer.next(0, 1);
  answer(peer, 1, 'enough');
  await caller.next(0, 1);
  caller.write(frame(8, 0, 1, number32(100)));
  assert.equal(await caller.resetOf(1), NO_ERROR);
  assert(endOf(caller, 1));
});

test('requests that an endpoint leaves behind share the connection that follows', async (t) => {
  const { call2, next } = await setUp(t);
  const caller = await call2();
  for (let i = 0; i < 20; i++) caller.write(headers(2 * i + 1, GET_ROOT, END_STREAM));
  const first = await next();
  await first.next(1, 39);
  first.write(frame(7, 0, 0, Buffer.concat([number32(0), number32(0)])));
  const second = await next();
  await second.next(1, 39);
  for (let i = 0; i < 20; i++) answer(second, 2 * i + 1, 'ok');
  await eventually(() => endOf(caller, 39), 'the last response');
});

test('a kept body goes out in frames that there is room for, whatever the endpoint allows', async (t) => {
  const retry = { ...DEFAULT_RETRY, nonIdempotent: true, bodyBytes: 1_000_000 };
  const large = Buffer.concat([
    setting(INITIAL_WINDOW_SIZE, 1_000_000),
    setting(MAX_FRAME_SIZE, 1_048_576),
  ]);
  const { call, next } = await setUp(t, { retry }, large);
  const caller = await call();
  caller.write(post('x'.repeat(300_000)));
  const first = await next();
  first.write(frame(8, 0, 0, number32(1_000_000)));
  const before = contentOf(first, 1);
  await eventually(() => before() === 300_000, 'the body');
  first.write(frame(3, 0, 1, number32(REFUSED_STREAM)));
  const second = await next();
  second.write(frame(8, 0, 0, number32(1_000_000)));
  const after = contentOf(second, 1);
  await eventually(() => after() === 300_000, 'the body once more');
  answer(second, 1, 'ok');
  assert.match(await caller.until('ok'), /^HTTP\/1.1 200 /);
});

test('many cancelled requests cost the others nothing: new ones go to another connection', async (t) => {
  const { call, call2, next } = await setUp(t);
  const steady = await call();
  steady.write(GET);
  const peer = await next();
  await peer.next(1, 1);
  let last = 1;
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one caller after the other
    const caller = await call2();
    for (let k = 0; k < 90; k++) caller.write(headers(2 * k + 1, GET_ROOT, END_STREAM));
    last += 180;
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await peer.next(1, last);
    caller.socket.destroy();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await peer.next(3, last);
  }
  const other = await call();
  other.write(GET);
  const second = await next();
  await second.next(1, 1);
  answer(second, 1, 'other');
  await other.until('other');
  for (let id = 3; id <= last; id += 2) answer(peer, id, 'too late');
  answer(peer, 1, 'steady');
  assert.match(await steady.until('steady'), /^HTTP\/1.1 200 /);
  await eventually(() => peer.closed, 'the connection that was left is closed');
});
