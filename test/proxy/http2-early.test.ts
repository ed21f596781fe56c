/** Responses of HTTP/2 that are whole before their requests are, or before their callers have taken them. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import { FLOOD_RESETS_MAX } from '../../src/proxy/http2/floods.ts';
import { STREAM_WINDOW_BYTES } from '../../src/proxy/http2/windows.ts';
import type { Pair } from '../support/http2.ts';
import { frame, GET_ROOT, headers, Http2Peer, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wire.ts';

const END_STREAM = 0x1;
const NO_ERROR = 0;
const CANCEL = 8;
const INITIAL_WINDOW_SIZE = 4;
const POST_ROOT: readonly Pair[] = [[':method', 'POST'], ...GET_ROOT.slice(1)];
const REST_MS = 1_000;

interface Setting {
  readonly proxy: TestProxy;
  readonly call: (settings?: Buffer) => Promise<Http2Peer>;
}

/** Without an endpoint the mesh answers 503 itself, before anything of a body came. */
async function setUp(t: TestContext): Promise<Setting> {
  const proxy = new TestProxy(t, { manual: true });
  const service = proxy.service({ endpoints: [] });
  await proxy.apply([service]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  return { proxy, call: (settings) => Http2Peer.connect(t, to, settings) };
}

function endOf(peer: Http2Peer, stream: number): boolean {
  return peer.seen.some((seen) => seen.stream === stream && (seen.flags & END_STREAM) !== 0);
}

function isReset(peer: Http2Peer, stream: number): boolean {
  return peer.seen.some((seen) => seen.stream === stream && seen.type === 3);
}

/** The proxy has read all that was written. */
async function settled(peer: Http2Peer): Promise<void> {
  peer.write(frame(6, 0, 0, Buffer.alloc(8)));
  await peer.next(6);
}

test('a caller that ends its request soon is not told to stop', async (t) => {
  const { proxy, call } = await setUp(t);
  const caller = await call();
  caller.write(headers(1, POST_ROOT));
  await eventually(() => endOf(caller, 1), 'the response');
  proxy.advance(REST_MS / 2);
  caller.write(frame(0, 0, 1, Buffer.alloc(10_000)), frame(0, END_STREAM, 1));
  await settled(caller);
  proxy.advance(2 * REST_MS);
  await settled(caller);
  assert.equal(isReset(caller, 1), false);
});

test('one that does not is told a second later', async (t) => {
  const { proxy, call } = await setUp(t);
  const caller = await call();
  caller.write(headers(1, POST_ROOT));
  await eventually(() => endOf(caller, 1), 'the response');
  proxy.advance(REST_MS - 40);
  await settled(caller);
  assert.equal(isReset(caller, 1), false);
  proxy.advance(60);
  assert.equal(await caller.resetOf(1), NO_ERROR);
});

test('one that goes on is allowed no more than it was', async (t) => {
  const { proxy, call } = await setUp(t);
  const caller = await call();
  caller.write(headers(1, POST_ROOT));
  await eventually(() => endOf(caller, 1), 'the response');
  for (let sent = 0; sent < STREAM_WINDOW_BYTES; sent += 16_384)
    caller.write(frame(0, 0, 1, Buffer.alloc(16_384)));
  await settled(caller);
  assert.equal(isReset(caller, 1), false);
  proxy.advance(REST_MS + 60);
  assert.equal(await caller.resetOf(1), NO_ERROR);
  const isAllowedMore = caller.seen.some(({ type, stream }) => type === 8 && stream === 1);
  assert.equal(isAllowedMore, false);
});

test('a trailer may end such a request; what is wrong with the rest of it ends the stream', async (t) => {
  const { call } = await setUp(t);
  const caller = await call();
  caller.write(headers(1, POST_ROOT), headers(3, [...POST_ROOT, ['content-length', '3']]));
  await eventually(() => endOf(caller, 1) && endOf(caller, 3), 'the responses');
  caller.write(headers(1, [['x-sum', '1']], END_STREAM));
  caller.write(frame(0, 0, 3, Buffer.from('four')));
  assert.equal(await caller.resetOf(3), 1);
  assert.equal(isReset(caller, 1), false);
});

test('requests that are answered and go on leave room for others', async (t) => {
  const { call } = await setUp(t);
  const caller = await call();
  for (let i = 0; i < 200; i++) caller.write(headers(2 * i + 1, POST_ROOT));
  await eventually(() => endOf(caller, 399), 'the last response');
  const resets = caller.seen.filter(({ type }) => type === 3);
  assert(resets.every(({ payload }) => payload.readUInt32BE(0) === NO_ERROR));
});

test('callers that reset what was answered do nothing wrong, however many there are', async (t) => {
  const { call } = await setUp(t);
  const caller = await call();
  for (let i = 0; i < 2 * FLOOD_RESETS_MAX; i++) {
    const id = 2 * i + 1;
    caller.write(headers(id, POST_ROOT));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.next(0, id);
    caller.write(frame(3, 0, id, number32(CANCEL)));
  }
  await settled(caller);
  assert.equal(caller.closed, false);
});

test('a response whose endpoint is done waits for a caller as long as it takes some of it', async (t) => {
  const { callerIdleMs } = DEFAULT_PROXY_SETTINGS;
  const endpoint = await Http2Peer.listen(t, freshAddress());
  const proxy = new TestProxy(t, { manual: true });
  const service = proxy.service({ endpoints: [endpoint], http2: true });
  await proxy.apply([service]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const caller = await Http2Peer.connect(t, to, setting(INITIAL_WINDOW_SIZE, 10));
  caller.write(headers(1, GET_ROOT, END_STREAM));
  const peer = await endpoint.next();
  await peer.next(1, 1);
  const body = frame(0, END_STREAM, 1, Buffer.alloc(10_000));
  peer.write(headers(1, [[':status', '200']]), body);
  await caller.next(0, 1);
  for (let i = 0; i < 4; i++) {
    proxy.advance(callerIdleMs - 1_000);
    caller.write(frame(8, 0, 1, number32(10)));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.next(0, 1);
  }
  assert.equal(isReset(caller, 1), false);
  proxy.advance(2 * callerIdleMs);
  assert.equal(await caller.resetOf(1), CANCEL);
});
