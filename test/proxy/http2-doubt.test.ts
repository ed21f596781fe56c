/** A connection of HTTP/2 to an endpoint that may be dead: who asks it, and where requests go meanwhile. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { frame, headers, Http2Peer, setting } from '../support/http2-peer.ts';
import { freshAddress, GET, TestProxy } from '../support/proxy.ts';
import { eventually, type Wire } from '../support/wire.ts';

const END_STREAM = 0x1;
const ACK = 0x1;
const PING = 6;
const OK_HEAD = [[':status', '200']] as const;
/** From then on a request brings a question with it; the answer may take as long before others go elsewhere. */
const SECOND = 1_000;

async function setUp(t: TestContext, connectionsPerEndpoint: number) {
  const endpoint = await Http2Peer.listen(t, freshAddress(), setting(3, 99));
  const proxy = new TestProxy(t, { manual: true });
  const limits = { ...DEFAULT_POLICIES.limits, connectionsPerEndpoint };
  const service = proxy.service({ endpoints: [endpoint], http2: true, policies: { limits } });
  await proxy.apply([service]);
  const ask = async (): Promise<Wire> => {
    const caller = await proxy.call(service);
    caller.write(GET);
    return caller;
  };
  const first = await ask();
  const peer = await endpoint.next();
  await peer.next(1, 1);
  answer(peer, 1);
  await first.until('ok');
  await eventually(
    () => peer.seen.some(({ type, flags }) => type === 4 && flags === ACK),
    'SETTINGS',
  );
  return { proxy, service, ask, peer, next: endpoint.next };
}

function answer(peer: Http2Peer, stream: number): void {
  peer.write(headers(stream, OK_HEAD), frame(0, END_STREAM, stream, Buffer.from('ok')));
}

function isAsked(peer: Http2Peer): boolean {
  return peer.seen.some(({ type, flags }) => type === PING && flags === 0);
}

test('a request after a silence asks the connection, and while that owes the answer others go to another one', async (t) => {
  const { proxy, ask, peer, next } = await setUp(t, 2);
  proxy.advance(SECOND);
  const second = await ask();
  await peer.next(1, 3);
  const { payload } = await peer.next(PING);
  // It may take a while.
  proxy.advance(SECOND - 100);
  const third = await ask();
  await peer.next(1, 5);
  proxy.advance(100);
  const fourth = await ask();
  const other = await next();
  await other.next(1, 1);
  const fifth = await ask();
  await other.next(1, 3);
  // It was only slow: the oldest one gets what comes.
  peer.write(frame(PING, ACK, 0, payload));
  for (const stream of [3, 5]) answer(peer, stream);
  await Promise.all([second, third].map((caller) => caller.until('ok')));
  const sixth = await ask();
  await peer.next(1, 7);
  answer(peer, 7);
  for (const stream of [1, 3]) answer(other, stream);
  await Promise.all([fourth, fifth, sixth].map((caller) => caller.until('ok')));
});

test('where there may be no other connection, the one that is in doubt gets the requests', async (t) => {
  const { proxy, ask, peer } = await setUp(t, 1);
  proxy.advance(SECOND);
  const callers = [await ask()];
  await peer.next(1, 3);
  proxy.advance(3 * SECOND);
  callers.push(await ask());
  await peer.next(1, 5);
  for (const stream of [3, 5]) answer(peer, stream);
  await Promise.all(callers.map((caller) => caller.until('ok')));
});

test('a request right behind others asks nothing', async (t) => {
  const { proxy, ask, peer } = await setUp(t, 2);
  for (const stream of [3, 5, 7]) {
    proxy.advance(SECOND - 100);
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await ask();
    await peer.next(1, stream);
    answer(peer, stream);
    await caller.until('ok');
    // oxlint-enable no-await-in-loop
  }
  assert.equal(isAsked(peer), false);
});

test('one that was asked early has as long as before until it counts as dead', async (t) => {
  const { proxy, service, ask, peer, next } = await setUp(t, 2);
  proxy.advance(SECOND);
  const caller = await ask();
  await peer.next(1, 3);
  await peer.next(PING);
  proxy.advance(14_800);
  assert.equal(peer.closed, false);
  await proxy.advanceUntil(() => peer.closed, 'it is given up');
  // The request may run twice, and nobody is blamed for a connection that went stale.
  const other = await next();
  await other.next(1, 1);
  answer(other, 1);
  await caller.until('ok');
  assert.equal(proxy.failures(service, 'endpoint_reset'), 0);
});

test('requests that go on do not put off the question to an endpoint that answered the last one and nothing else', async (t) => {
  const { proxy, ask, peer } = await setUp(t, 1);
  proxy.advance(SECOND);
  await ask();
  const { payload } = await peer.next(PING);
  peer.write(frame(PING, ACK, 0, payload));
  // oxlint-disable no-await-in-loop -- one after the other
  for (let i = 0; i < 5; i++) {
    await ask();
    await peer.next(1, 5 + 2 * i);
    proxy.advance(2_500);
  }
  // oxlint-enable no-await-in-loop
  await eventually(() => isAsked(peer), 'it is asked once more');
});

test('a connection in doubt whose callers have all given up gets no other request, which would end with it', async (t) => {
  const { proxy, service, ask, peer, next } = await setUp(t, 1);
  proxy.advance(SECOND);
  const second = await ask();
  await peer.next(1, 3);
  await peer.next(PING);
  proxy.advance(2 * SECOND);
  second.reset();
  await eventually(() => proxy.failures(service, 'caller_gone') === 1, 'the end of its request');
  const third = await ask();
  const other = await next();
  await other.next(1, 1);
  answer(other, 1);
  await third.until('ok');
});
