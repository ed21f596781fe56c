/** The connections of HTTP/2 to an endpoint: how many there are, how long they last, and when they count as dead. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { LimitPolicy, Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import { ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { frame, headers, Http2Peer, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, GET, TestProxy } from '../support/proxy.ts';
import { sendQueueOfPeer } from '../support/slow-reader.ts';
import { atEnd, type Dialled, eventually, settled, type Wire } from '../support/wire.ts';

const END_STREAM = 0x1;
const ACK = 0x1;
const REFUSED_STREAM = 7;
const OK_HEAD = [
  [':status', '200'],
  ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'],
] as const;
/** SETTINGS_MAX_CONCURRENT_STREAMS */
const ONE_AT_A_TIME = setting(3, 1);

interface Setting {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly endpoint: Dialled;
  /** A request of a caller of its own. */
  readonly ask: () => Promise<Wire>;
  readonly next: () => Promise<Http2Peer>;
  /** Connections that are open. */
  readonly open: () => number;
}

async function setUp(
  t: TestContext,
  limits: Partial<LimitPolicy>,
  more: { settings?: Buffer; manual?: boolean; policies?: Partial<Policies> } = {},
): Promise<Setting> {
  const { settings = ONE_AT_A_TIME, manual = false } = more;
  const endpoint = await Http2Peer.listen(t, freshAddress(), settings);
  const proxy = new TestProxy(t, { manual });
  const policies = { ...more.policies, limits: { ...DEFAULT_POLICIES.limits, ...limits } };
  const service = proxy.service({ endpoints: [endpoint], http2: true, policies });
  await proxy.apply([service]);
  const ask = async (): Promise<Wire> => {
    const caller = await proxy.call(service);
    caller.write(GET);
    return caller;
  };
  const open = (): number => proxy.endpointWord(service, endpoint, ENDPOINT_WORD.connections);
  return { proxy, service, endpoint, ask, next: endpoint.next, open };
}

/** The next connection, with a request on it, once the proxy knows its settings. */
async function asked(next: () => Promise<Http2Peer>): Promise<Http2Peer> {
  const peer = await next();
  await peer.next(1, 1);
  await eventually(
    () => peer.seen.some(({ type, flags }) => type === 4 && (flags & ACK) !== 0),
    'the settings are known',
  );
  return peer;
}

function answer(peer: Http2Peer, stream: number): void {
  peer.write(headers(stream, OK_HEAD), frame(0, END_STREAM, stream, Buffer.from('ok')));
}

test('an endpoint has no more connections than its limit; when all are full it has no room', async (t) => {
  const { ask, next, open, proxy, service } = await setUp(t, { connectionsPerEndpoint: 2 });
  const one = await ask();
  const first = await asked(next);
  await ask();
  await asked(next);
  const refused = await ask();
  assert.match(await refused.until('\n'), /^HTTP\/1.1 503 /);
  assert.equal(proxy.failures(service, 'no_healthy_endpoint'), 1);
  assert.equal(open(), 2);
  answer(first, 1);
  await one.until('ok');
  const later = await ask();
  await first.next(1, 3);
  answer(first, 3);
  await later.until('ok');
});

test('requests go together on the oldest connection that has room', async (t) => {
  const { ask, next, open } = await setUp(t, {}, { settings: setting(3, 2) });
  const [one, two] = [await ask(), await ask()];
  const first = await asked(next);
  await first.next(1, 3);
  const three = await ask();
  const second = await asked(next);
  answer(first, 3);
  await two.until('ok');
  answer(second, 1);
  await three.until('ok');
  const four = await ask();
  await first.next(1, 5);
  assert.equal(open(), 2);
  answer(first, 5);
  await four.until('ok');
  answer(first, 1);
  await one.until('ok');
});

test('what an endpoint refuses for want of room goes where there is some, and is no failure of its', async (t) => {
  const { ask, next, proxy, service, endpoint } = await setUp(t, {}, { settings: NOTHING });
  const callers = [await ask(), await ask(), await ask()];
  const first = await asked(next);
  await Promise.all([first.next(1, 3), first.next(1, 5)]);
  // It says how many it takes when they are on their way.
  const refused = [3, 5].map((stream) => frame(3, 0, stream, number32(REFUSED_STREAM)));
  first.write(frame(4, 0, 0, ONE_AT_A_TIME), ...refused);
  const others = [await asked(next), await asked(next)];
  for (const peer of [first, ...others]) answer(peer, 1);
  await Promise.all(callers.map((caller) => caller.until('ok')));
  assert.equal(proxy.endpointWord(service, endpoint, ENDPOINT_WORD.consecutiveFailures), 0);
});

const NOTHING = Buffer.alloc(0);

test('connections that take no more requests leave room for another one', async (t) => {
  const { ask, next } = await setUp(t, { connectionsPerEndpoint: 1 }, { settings: setting(3, 9) });
  const one = await ask();
  const first = await asked(next);
  first.write(frame(7, 0, 0, Buffer.concat([number32(1), number32(0)])), frame(6, 0, 0, PING));
  await first.next(6);
  const two = await ask();
  const second = await asked(next);
  answer(second, 1);
  await two.until('ok');
  answer(first, 1);
  await one.until('ok');
  await eventually(() => first.closed, 'the connection that was left is closed');
});

const PING = Buffer.alloc(8);

test('a thread may have one, however many others have', async (t) => {
  const { ask, next, open, proxy, service, endpoint } = await setUp(t, {
    connectionsPerEndpoint: 3,
  });
  const slot = proxy.endpointSlot(service, endpoint);
  const setOpen = (count: number): void =>
    proxy.ledger.setWord('endpoint', slot, ENDPOINT_WORD.connections, count);
  setOpen(3);
  const one = await ask();
  const peer = await asked(next);
  const refused = await ask();
  assert.match(await refused.until('\n'), /^HTTP\/1.1 503 /);
  setOpen(open() - 2);
  const two = await ask();
  const second = await asked(next);
  answer(peer, 1);
  answer(second, 1);
  await Promise.all([one.until('ok'), two.until('ok')]);
  setOpen(open() - 1);
});

test('an endpoint that refuses all requests gets no connection for each of them', async (t) => {
  const { ask, next, open } = await setUp(t, { connectionsPerEndpoint: 3 }, { settings: NONE });
  const peers: Http2Peer[] = [];
  const look = async (): Promise<void> => void peers.push(await next());
  void look().then(look).then(look);
  const refusing = setInterval(() => peers.forEach(refuseAll), 1);
  atEnd(t, () => clearInterval(refusing));
  for (let i = 0; i < 10; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await ask();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.match(await caller.until('\n'), /^HTTP\/1.1 50[23] /);
    assert(open() <= 3, `${open()} connections`);
  }
});

const NONE = Buffer.alloc(0);

function refuseAll(peer: Http2Peer): void {
  for (const { type, stream } of peer.seen.splice(0))
    if (type === 1) peer.write(frame(3, 0, stream, number32(REFUSED_STREAM)));
}

test('no more connections stand idle than may', async (t) => {
  const { ask, next, open } = await setUp(t, { idleConnectionsPerEndpoint: 1 });
  const callers = [await ask()];
  const peers = [await asked(next)];
  callers.push(await ask());
  peers.push(await asked(next));
  for (const peer of peers) answer(peer, 1);
  await Promise.all(callers.map((caller) => caller.until('ok')));
  await eventually(() => open() === 1, 'one is closed');
});

test('an idle connection is closed after its time', async (t) => {
  const limits = { idleConnectionMs: 5_000 };
  const { ask, next, open, proxy } = await setUp(t, limits, { manual: true });
  const caller = await ask();
  const peer = await asked(next);
  answer(peer, 1);
  await caller.until('ok');
  proxy.advance(4_900);
  assert.equal(open(), 1);
  await proxy.advanceUntil(() => open() === 0 && peer.closed, 'it is closed');
});

test('an old connection takes no more requests, and ends with the last response', async (t) => {
  const limits = { connectionAgeMs: 5_000 };
  const more = { manual: true, settings: setting(3, 9) };
  const { ask, next, proxy } = await setUp(t, limits, more);
  const long = await ask();
  const old = await asked(next);
  proxy.advance(4_400);
  await ask();
  await old.next(1, 3);
  proxy.advance(700);
  const two = await ask();
  const young = await asked(next);
  answer(young, 1);
  await two.until('ok');
  answer(old, 3);
  answer(old, 1);
  await long.until('ok');
  await old.next(7);
  await eventually(() => old.closed, 'it is closed');
  assert.equal(young.closed, false);
});

test('connections that were opened together do not end together', async (t) => {
  const limits = { connectionAgeMs: 100_000, idleConnectionMs: 1_000_000 };
  const { ask, next, open, proxy } = await setUp(t, limits, { manual: true });
  const callers: Wire[] = [];
  const peers: Http2Peer[] = [];
  for (let i = 0; i < 10; i++) {
    // oxlint-disable-next-line no-await-in-loop -- each after the one before is full
    callers.push(await ask());
    // oxlint-disable-next-line no-await-in-loop -- likewise
    peers.push(await asked(next));
  }
  for (const peer of peers) answer(peer, 1);
  await Promise.all(callers.map((caller) => caller.until('ok')));
  assert.equal(open(), 10);
  proxy.advance(89_900);
  assert.equal(peers.filter(({ closed }) => closed).length, 0);
  const ends: number[] = [];
  const closed = (): number => peers.filter((peer) => peer.closed).length;
  while (ends.length < peers.length) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await proxy.advanceUntil(() => closed() > ends.length, 'another one is closed');
    while (ends.length < closed()) ends.push(proxy.clock.nowMs());
  }
  const [first = 0, last = 0] = [ends[0], ends.at(-1)];
  assert(last - first > 3_000, `they end at ${ends.join(', ')}`);
});

test('a silent endpoint is asked whether it is there, but no more often than servers of gRPC allow', async (t) => {
  const timeouts = { ...DEFAULT_POLICIES.timeouts, idleMs: 0 };
  const more = { manual: true, settings: setting(3, 9), policies: { timeouts } };
  const { ask, next, proxy } = await setUp(t, {}, more);
  const caller = await ask();
  const peer = await asked(next);
  let lastMs = proxy.clock.nowMs();
  /** After so long it is asked, and not before: who does not answer in time is dead. */
  const askedAfter = async (ms: number): Promise<void> => {
    proxy.advance(ms - 100);
    await proxy.advanceUntil(() => peer.seen.some(({ type }) => type === 6), 'it is asked');
    const { payload } = await peer.next(6);
    peer.write(frame(6, ACK, 0, payload), frame(6, 0, 0, PING));
    await peer.next(6);
    const now = proxy.clock.nowMs();
    assert(now - lastMs >= ms && now - lastMs < ms + 1_000, `after ${now - lastMs} ms`);
    lastMs = now;
  };
  await askedAfter(10_000);
  await askedAfter(305_000);
  // One that says something on a stream has its pings forgiven.
  peer.write(headers(1, OK_HEAD), frame(0, 0, 1, Buffer.from('start')));
  await caller.until('start');
  await askedAfter(10_000);
  // A request that came later is worth one more, and no other.
  const second = await ask();
  await peer.next(1, 3);
  await askedAfter(10_000);
  const third = await ask();
  await peer.next(1, 5);
  proxy.advance(250_000);
  for (const stream of [3, 5]) answer(peer, stream);
  await Promise.all([second, third].map((wire) => wire.until('ok')));
  peer.write(frame(0, END_STREAM, 1, Buffer.from('ok')));
  await caller.until('ok');
});

test('an endpoint that takes what it was sent, or sends, is not dead before it answers', async (t) => {
  const more = { manual: true, settings: setting(4, 1_000_000_000) };
  const { proxy, service, next } = await setUp(t, {}, more);
  const caller = await proxy.call(service);
  const size = 40_000_000;
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
  const peer = await next();
  await peer.next(1, 1);
  peer.write(frame(8, 0, 0, number32(1_000_000_000)));
  await peer.next(4);
  caller.write(Buffer.alloc(size));
  let got = 0;
  peer.socket.on('data', (data: Buffer) => (got += data.length));
  await eventually(() => got > 0, 'the beginning');
  peer.socket.pause();
  // The kernel takes a part of it; then nothing moves but what the endpoint reads.
  await settled(() => caller.socket.bytesWritten + got);
  for (let i = 0; i < 10; i++) {
    proxy.advance(4_000);
    const before = got;
    const queued = sendQueueOfPeer(peer);
    peer.socket.resume();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(() => got > before + 2_000_000, 'some of it');
    peer.socket.pause();
    const isSeen = (): boolean => sendQueueOfPeer(peer) !== queued;
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(isSeen, 'acknowledgements', 1_000).catch(() => undefined);
  }
  assert.equal(peer.closed, false);
  const end = proxy.clock.nowMs();
  await proxy.advanceUntil(() => caller.pending.includes('\n'), 'it takes nothing more');
  assert(proxy.clock.nowMs() - end <= 16_000);
});

test('one that does not answer is dead after 15 s, with all requests on it', async (t) => {
  const { ask, next, proxy } = await setUp(t, {}, { manual: true, settings: setting(3, 9) });
  const before = proxy.clock.nowMs();
  const callers = [await ask(), await ask()];
  const peer = await asked(next);
  await peer.next(1, 3);
  proxy.advance(9_900);
  const isOver = (): boolean => callers.every((caller) => caller.pending.includes('\n'));
  await proxy.advanceUntil(isOver, 'both have failed');
  for (const caller of callers) assert.match(caller.pending, /^HTTP\/1.1 502 /);
  const took = proxy.clock.nowMs() - before;
  assert(took >= 15_000 && took <= 15_500, `after ${took} ms`);
});

test('requests that it got while it was dead already go to another connection', async (t) => {
  const { ask, next, proxy } = await setUp(t, {}, { manual: true, settings: setting(3, 9) });
  const first = await ask();
  const peer = await asked(next);
  answer(peer, 1);
  await first.until('ok');
  proxy.advance(30_000);
  const caller = await ask();
  await peer.next(1, 3);
  proxy.advance(9_900);
  let second: Http2Peer | null = null;
  void next().then((found) => (second = found));
  await proxy.advanceUntil(() => second !== null, 'another connection');
  const other = second as Http2Peer | null;
  assert(other !== null);
  await other.next(1, 1);
  answer(other, 1);
  assert.match(await caller.until('ok'), /^HTTP\/1.1 200 /);
});
