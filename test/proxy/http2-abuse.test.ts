/** What callers of HTTP/2 may not do, frame by frame: each costs their connection, and nobody else anything. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_PROXY_SETTINGS } from '../../src/model/settings.ts';
import type { Rule } from '../../src/proxy/head/rule.ts';
import { namedCounts } from '../../src/proxy/http/broken-rules.ts';
import { FLOOD_FRAMES_MAX, FLOOD_RESETS_MAX } from '../../src/proxy/http2/floods.ts';
import { block, type Pair } from '../support/http2.ts';
import { frame, GET_ROOT, headers, Http2Peer, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, OK, type TestProxy, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const END_STREAM = 0x1;
const PROTOCOL_ERROR = 1;
const FLOW_CONTROL_ERROR = 3;
const STREAM_CLOSED = 5;
const REFUSED_STREAM = 7;
const ENHANCE_YOUR_CALM = 11;

interface Setting {
  readonly peer: Http2Peer;
  readonly proxy: TestProxy;
  /** Another caller. */
  readonly another: () => Promise<Http2Peer>;
}

async function setUp(t: TestContext, answer = OK): Promise<Setting> {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => answer);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const another = (): Promise<Http2Peer> => Http2Peer.connect(t, to);
  return { peer: await another(), proxy, another };
}

/** The caller has broken this rule, once, and no other. */
function assertBroken(proxy: TestProxy, rule: Rule): void {
  const broken = namedCounts(proxy.context.rules.counts);
  assert.deepEqual(broken, [{ by: 'caller', rule, count: 1 }]);
}

async function isServed(peer: Http2Peer, stream = 1): Promise<void> {
  peer.write(headers(stream, GET_ROOT, END_STREAM));
  await peer.next(1, stream);
}

test('requests that are reset at once end the connection when they are too many', async (t) => {
  const { peer, proxy, another } = await setUp(t);
  for (let i = 0; i <= FLOOD_RESETS_MAX + 1; i++) {
    const id = 2 * i + 1;
    peer.write(headers(id, GET_ROOT, END_STREAM), frame(3, 0, id, number32(8)));
  }
  assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
  await eventually(() => peer.closed, 'the connection is closed');
  assertBroken(proxy, 'flood_resets');
  await isServed(await another());
});

test('so do requests that make the proxy reset them', async (t) => {
  const { peer } = await setUp(t);
  for (let i = 0; i <= FLOOD_RESETS_MAX + 1; i++)
    peer.write(headers(2 * i + 1, [[':method', 'GET']], END_STREAM));
  assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
});

const FLOODS: readonly (readonly [name: string, one: Buffer])[] = [
  ['PING', frame(6, 0, 0, Buffer.alloc(8))],
  ['SETTINGS', frame(4, 0, 0)],
  ['PRIORITY', frame(2, 0, 3, Buffer.alloc(5))],
  ['PRIORITY_UPDATE', frame(16, 0, 0, Buffer.from('\0\0\0\x03u=1'))],
  ['PING that answers nothing', frame(6, 1, 0, Buffer.alloc(8))],
  ['SETTINGS that answer nothing', frame(4, 1, 0)],
  ['WINDOW_UPDATE', frame(8, 0, 0, number32(1))],
  ['unknown frames', frame(99, 0, 0)],
  ['empty DATA', frame(0, 0, 1)],
];
for (const [name, one] of FLOODS) {
  test(`a flood of ${name} ends the connection`, async (t) => {
    const { peer, proxy, another } = await setUp(t);
    if (name === 'empty DATA') peer.write(headers(1, [...GET_ROOT.slice(1), [':method', 'POST']]));
    peer.write(Buffer.concat(Array.from({ length: FLOOD_FRAMES_MAX + 10 }, () => one)));
    assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
    assertBroken(proxy, 'flood_frames');
    await isServed(await another());
  });
}

test('frames for streams that are over cost as frames that carry nothing', async (t) => {
  for (const one of [
    frame(2, 0, 1, Buffer.alloc(5)),
    frame(3, 0, 1, number32(8)),
    frame(8, 0, 1, number32(1)),
    frame(16, 0, 0, Buffer.from('\0\0\0\x01u=1')),
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one connection after the other
    const { peer } = await setUp(t);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await isServed(peer);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await peer.next(0, 1);
    peer.write(one);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await isServed(peer, 3);
    peer.write(Buffer.concat(Array.from({ length: FLOOD_FRAMES_MAX + 30 }, () => one)));
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
  }
});

for (const [whose, stream] of [
  ['a stream', 1],
  ['the connection', 0],
] as const) {
  test(`a caller that opens the window of ${whose} byte by byte is no reader`, async (t) => {
    const body = 'x'.repeat(100_000);
    const endpoint = await RawEndpoint.answering(
      t,
      freshAddress(),
      () => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const { service } = await proxyFor(t, [endpoint]);
    const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
    // Either window is closed soon, and the other one open.
    const peer = await Http2Peer.connect(t, to, setting(4, stream === 1 ? 1_000 : 1_000_000));
    peer.write(headers(1, GET_ROOT, END_STREAM));
    let got = 0;
    const take = async (upTo: number): Promise<void> => {
      while (got < upTo) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        const { payload } = await peer.next(0, 1);
        got += payload.length;
      }
    };
    const first = stream === 1 ? 1_000 : 65_535;
    await take(first);
    const crumb = frame(8, 0, stream, number32(1));
    for (let i = 0; i < 500; i++) peer.write(crumb);
    await take(first + 500);
    // Now and then is no fault.
    peer.write(frame(8, 0, stream, number32(10_000)));
    await take(first + 10_500);
    peer.write(Buffer.concat(Array.from({ length: FLOOD_FRAMES_MAX + 30 }, () => crumb)));
    assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
  });
}

test('so do those for a stream that was reset, but for content', async (t) => {
  for (const one of [frame(0, 0, 1), headers(1, [['x-sum', '1']], END_STREAM)]) {
    // oxlint-disable-next-line no-await-in-loop -- one connection after the other
    const { peer } = await setUp(t);
    peer.write(headers(1, [[':method', 'POST']]));
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await peer.resetOf(1), PROTOCOL_ERROR);
    const content = frame(0, 0, 1, Buffer.alloc(100));
    for (let i = 0; i < 2; i++)
      peer.write(Buffer.concat(Array.from({ length: FLOOD_FRAMES_MAX }, () => content)));
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await isServed(peer, 3);
    peer.write(Buffer.concat(Array.from({ length: FLOOD_FRAMES_MAX + 30 }, () => one)));
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
  }
});

test('a head in more pieces than anybody needs ends the connection', async (t) => {
  const { peer, proxy } = await setUp(t);
  peer.write(frame(1, END_STREAM, 1));
  for (let i = 0; i < 100; i++) peer.write(frame(9, 0, 1));
  assert.equal(await peer.failure(), ENHANCE_YOUR_CALM);
  assertBroken(proxy, 'flood_head');
});

test('a head that comes slowly is waited for no longer than one of HTTP/1.1', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const peer = await Http2Peer.connect(t, to);
  peer.write(frame(1, END_STREAM, 1));
  await peer.next(4);
  let code = -1;
  void peer.failure().then((got) => (code = got));
  await proxy.advanceUntil(() => code >= 0, 'the connection fails');
  assert.equal(code, ENHANCE_YOUR_CALM);
});

test('frames that each come in two reads are no slow head, however long that goes on', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const peer = await Http2Peer.connect(t, to);
  const ping = frame(6, 0, 0, Buffer.alloc(8));
  peer.write(ping.subarray(0, 12));
  for (let i = 0; i < 4; i++) {
    proxy.advance(DEFAULT_PROXY_SETTINGS.headTimeoutMs - 1_000);
    peer.write(ping.subarray(12), ping.subarray(0, 12));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await peer.next(6);
  }
  assert.equal(peer.closed, false);
});

test('fields that cannot be read end the connection, because later ones would be read wrongly', async (t) => {
  const { peer } = await setUp(t);
  peer.write(headers(1, [...GET_ROOT.slice(1), [':method', 'POST']]));
  const onItself = Buffer.concat([number32(1), Buffer.from([0])]);
  peer.write(frame(1, 0x4 | 0x20 | END_STREAM, 1, onItself));
  assert.equal(await peer.failure(), PROTOCOL_ERROR);
});

test('more streams than are allowed are refused, and may be asked for again', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { service } = await proxyFor(t, [endpoint]);
  const to = { address: service.address, port: service.ports[0]?.port ?? 0 };
  const peer = await Http2Peer.connect(t, to);
  for (let i = 0; i <= 128; i++) peer.write(headers(2 * i + 1, GET_ROOT, END_STREAM));
  assert.equal(await peer.resetOf(257), REFUSED_STREAM);
});

const BROKEN: readonly (readonly [name: string, code: number, frames: readonly Buffer[]])[] = [
  ['a push', PROTOCOL_ERROR, [frame(5, 4, 1, Buffer.concat([number32(2), block(GET_ROOT)]))]],
  ['a promise of nothing', PROTOCOL_ERROR, [frame(5, 4, 1)]],
  ['DATA of a stream that was never begun', PROTOCOL_ERROR, [frame(0, 0, 5, Buffer.from('x'))]],
  ['a window beyond 2^31 - 1', FLOW_CONTROL_ERROR, [frame(8, 0, 0, number32(0x7fff_ffff))]],
];
for (const [name, code, frames] of BROKEN) {
  test(`${name}: the connection ends`, async (t) => {
    const { peer, proxy } = await setUp(t);
    peer.write(...frames);
    assert.equal(await peer.failure(), code);
    assertBroken(proxy, 'frame_broken');
  });
}

test('a request with the number of one that is over ends the connection', async (t) => {
  const { peer } = await setUp(t);
  await isServed(peer);
  await peer.next(0, 1);
  peer.write(headers(1, GET_ROOT, END_STREAM));
  assert.equal(await peer.failure(), STREAM_CLOSED);
});

test('a path that is too long gets 414, as in HTTP/1.1; other heads 431', async (t) => {
  const { peer } = await setUp(t);
  const long = 'x'.repeat(DEFAULT_PROXY_SETTINGS.headBytesMax);
  const rest = GET_ROOT.filter(([name]) => name !== ':path');
  peer.write(...pieces(1, [...rest, [':path', `/${long}`]]));
  peer.write(...pieces(3, [...rest, [':path', '/'], ['x-long', long]]));
  peer.write(...pieces(5, [...rest, [':path', `/${long.slice(0, -200)}`], ['x', 'y'.repeat(99)]]));
  const statuses: (string | undefined)[] = [];
  for (const id of [1, 3, 5]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { payload } = await peer.next(1, id);
    statuses.push(/[45]\d\d/.exec(payload.toString('latin1'))?.[0]);
  }
  assert.deepEqual(statuses, ['414', '431', '431']);
});

/** HEADERS and CONTINUATION. */
function pieces(stream: number, pairs: readonly Pair[]): Buffer[] {
  const whole = block(pairs);
  const frames: Buffer[] = [];
  for (let at = 0; at < whole.length; at += 16_000) {
    const isLast = at + 16_000 >= whole.length;
    const flags = (at === 0 ? END_STREAM : 0) | (isLast ? 0x4 : 0);
    frames.push(frame(at === 0 ? 1 : 9, flags, stream, whole.subarray(at, at + 16_000)));
  }
  return frames;
}

const MALFORMED: readonly (readonly [
  name: string,
  pairs: readonly (readonly [string, string])[],
])[] = [
  ['an upper-case name', [...GET_ROOT, ['X-A', '1']]],
  ['a line end in a value', [...GET_ROOT, ['x-a', '1\r\nx-b: 2']]],
  ['Connection', [...GET_ROOT, ['connection', 'close']]],
  ['Transfer-Encoding', [...GET_ROOT, ['transfer-encoding', 'chunked']]],
  ['two lengths', [...GET_ROOT, ['content-length', '1'], ['content-length', '2']]],
  ['a length without content', [...GET_ROOT, ['content-length', '1']]],
  ['a host that differs', [...GET_ROOT, ['host', 'other']]],
  ['no path', GET_ROOT.filter(([name]) => name !== ':path')],
];
for (const [name, pairs] of MALFORMED) {
  test(`a request with ${name} is an error of its stream`, async (t) => {
    const { peer } = await setUp(t);
    peer.write(headers(1, pairs, END_STREAM));
    assert.equal(await peer.resetOf(1), PROTOCOL_ERROR);
    await isServed(peer, 3);
  });
}
