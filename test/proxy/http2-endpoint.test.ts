/** What endpoints of HTTP/2 may do to a request, frame by frame: refuse it, go away, end early, say nothing. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Policies } from '../../src/model/policy.ts';
import { block } from '../support/http2.ts';
import { frame, GET_ROOT, headers, Http2Peer, number32 } from '../support/http2-peer.ts';
import { freshAddress, GET, post, TestProxy } from '../support/proxy.ts';
import { eventually, type Wire } from '../support/wire.ts';

const END_STREAM = 0x1;
const OK_HEAD = [
  [':status', '200'],
  ['date', 'Sun, 06 Nov 1994 08:49:37 GMT'],
] as const;

interface Setting {
  readonly caller: Wire;
  readonly another: () => Promise<Wire>;
  readonly next: () => Promise<Http2Peer>;
}

async function setUp(t: TestContext, policies: Partial<Policies> = {}): Promise<Setting> {
  const endpoint = await Http2Peer.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], http2: true, policies });
  await proxy.apply([service]);
  const another = (): Promise<Wire> => proxy.call(service);
  return { caller: await another(), another, next: endpoint.next };
}

/** Answers a request whose head came. */
function answer(peer: Http2Peer, stream: number, body: string): void {
  peer.write(headers(stream, OK_HEAD), frame(0, END_STREAM, stream, Buffer.from(body)));
}

test('a request of which the endpoint says that it did nothing with it is sent once more, whatever its method', async (t) => {
  const { caller, next } = await setUp(t);
  caller.write(post('hello'));
  const first = await next();
  await first.next(0, 1);
  first.write(frame(3, 0, 1, number32(7)));
  const second = await next();
  const { payload } = await second.next(0, 1);
  assert.equal(payload.toString(), 'hello');
  answer(second, 1, 'ok');
  assert.match(await caller.until('ok'), /^HTTP\/1.1 200 /);
});

test('not for ever: the second refusal is a failure', async (t) => {
  const { caller, next } = await setUp(t);
  caller.write(GET);
  for (let i = 0; i < 2; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const peer = await next();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await peer.next(1, 1);
    peer.write(frame(3, 0, 1, number32(7)));
  }
  assert.match(await caller.until('\n'), /^HTTP\/1.1 502 /);
});

test('after GOAWAY, requests above its last stream go to another connection, those below finish', async (t) => {
  const { caller, another, next } = await setUp(t);
  const other = await another();
  caller.write(GET);
  const first = await next();
  await first.next(1, 1);
  other.write(GET);
  await first.next(1, 3);
  first.write(frame(7, 0, 0, Buffer.concat([number32(1), number32(0)])));
  const second = await next();
  await second.next(1, 1);
  answer(second, 1, 'two');
  assert.match(await other.until('two'), /^HTTP\/1.1 200 /);
  answer(first, 1, 'one');
  assert.match(await caller.until('one'), /^HTTP\/1.1 200 /);
  await eventually(() => first.closed, 'the connection that was left is closed');
});

test('a response before the end of the request: the rest is not sent', async (t) => {
  const { caller, next } = await setUp(t);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart');
  const peer = await next();
  await peer.next(0, 1);
  answer(peer, 1, 'enough');
  assert.match(await caller.until('enough'), /^HTTP\/1.1 200 /);
  await peer.next(3, 1);
});

test('a body longer or shorter than announced never passes for whole', async (t) => {
  const { caller, next } = await setUp(t);
  caller.write(GET);
  const peer = await next();
  await peer.next(1, 1);
  peer.write(headers(1, [...OK_HEAD, ['content-length', '5']]));
  peer.write(frame(0, END_STREAM, 1, Buffer.from('abc')));
  await caller.until('\r\n\r\n');
  await eventually(() => caller.ending === 'reset', 'the caller is told by a reset');
});

test('a cancelled request is cancelled at the endpoint, and the connection goes on', async (t) => {
  const { caller, another, next } = await setUp(t);
  caller.write(GET);
  const peer = await next();
  await peer.next(1, 1);
  caller.socket.destroy();
  const { payload } = await peer.next(3, 1);
  assert.equal(payload.readUInt32BE(0), 8);
  const other = await another();
  other.write(GET);
  await peer.next(1, 3);
  answer(peer, 3, 'ok');
  await other.until('ok');
});

test('an endpoint that speaks something else is a bad gateway', async (t) => {
  const { caller, next } = await setUp(t);
  caller.write(GET);
  const peer = await next();
  peer.socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
  assert.match(await caller.until('\n'), /^HTTP\/1.1 502 /);
});

test('what the windows of the endpoint do not allow waits; other requests go on', async (t) => {
  const { caller, another, next } = await setUp(t);
  caller.write(
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`,
  );
  const peer = await next();
  let got = 0;
  const count = (): number => {
    for (const { type, stream, payload } of peer.seen.splice(0))
      if (type === 0 && stream === 1) got += payload.length;
    return got;
  };
  await eventually(() => count() === 65_535, 'all that the windows allow');
  peer.write(frame(8, 0, 0, number32(1_000_000)));
  const other = await another();
  other.write(post('hello'));
  await peer.next(0, 3);
  answer(peer, 3, 'other');
  await other.until('other');
  assert.equal(count(), 65_535);
  peer.write(frame(8, 0, 1, number32(1_000_000)));
  await eventually(() => count() === 200_000, 'the rest');
  answer(peer, 1, 'done');
  await caller.until('done');
});

test('who is no caller of HTTP/2 gets no text on a port of HTTP/2', async (t) => {
  const { another } = await setUp(t);
  const wire = await another();
  wire.write('INVALID CONNECTION PREFACE\r\n\r\n');
  assert.equal(await wire.rest(), '');
});

const PROMISE = frame(5, 4, 1, Buffer.concat([number32(2), block([[':status', '200']])]));
const FLOODS: readonly (readonly [name: string, one: Buffer])[] = [
  ['PING', frame(6, 0, 0, Buffer.alloc(8))],
  ['PING that answers nothing', frame(6, 1, 0, Buffer.alloc(8))],
  ['SETTINGS that answer nothing', frame(4, 1, 0)],
  ['PRIORITY_UPDATE', frame(16, 0, 0, Buffer.from('\0\0\0\x01u=1'))],
];
for (const [name, one] of FLOODS) {
  test(`an endpoint that sends a flood of ${name} is left`, async (t) => {
    const { caller, next } = await setUp(t);
    caller.write(GET);
    const peer = await next();
    await peer.next(1, 1);
    peer.write(one);
    await peer.next(4);
    peer.write(Buffer.concat(Array.from({ length: 1_100 }, () => one)));
    assert.equal(await peer.failure(), 11);
    assert.match(await caller.until('\n'), /^HTTP\/1.1 502 /);
  });
}

test('so is one that sends heads for requests that are over', async (t) => {
  const { caller, another, next } = await setUp(t);
  caller.write(GET);
  const peer = await next();
  await peer.next(1, 1);
  caller.socket.destroy();
  await peer.next(3, 1);
  const other = await another();
  other.write(GET);
  await peer.next(1, 3);
  // A response that was on its way is no fault.
  peer.write(headers(1, OK_HEAD), frame(0, 0, 1, Buffer.alloc(10)), frame(0, END_STREAM, 1));
  answer(peer, 3, 'ok');
  await other.until('ok');
  const head = headers(1, OK_HEAD);
  peer.write(Buffer.concat(Array.from({ length: 1_100 }, () => head)));
  assert.equal(await peer.failure(), 11);
});

test('an endpoint is told that it may not push; one that does is left', async (t) => {
  const { caller, next } = await setUp(t);
  caller.write(GET);
  const peer = await next();
  const { payload } = await peer.next(4);
  assert.deepEqual([...payload.subarray(0, 6)], [0, 2, 0, 0, 0, 0]);
  await peer.next(1, 1);
  peer.write(PROMISE);
  assert.equal(await peer.failure(), 1);
  assert.match(await caller.until('\n'), /^HTTP\/1.1 502 /);
});

test('the end of a request of gRPC is in a frame of content, as some of its servers want it, if in an empty one', async (t) => {
  const endpoint = await Http2Peer.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], http2: true });
  await proxy.apply([service]);
  const caller = await Http2Peer.connect(t, {
    address: service.address,
    port: service.ports[0]?.port ?? 0,
  });
  const post = [...GET_ROOT.slice(1), [':method', 'POST']] as const;
  const grpc = [...post, ['content-type', 'application/grpc']] as const;
  // What came in one turn leaves in one; a caller may end in its head, too.
  caller.write(headers(1, grpc), frame(0, END_STREAM, 1));
  caller.write(headers(3, grpc, END_STREAM));
  const peer = await endpoint.next();
  for (const stream of [1, 3]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const head = await peer.next(1, stream);
    assert.equal(head.flags & END_STREAM, 0);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    const { flags, payload } = await peer.next(0, stream);
    assert.deepEqual([flags, payload.length], [END_STREAM, 0]);
  }
  // No other request has a frame more than it needs.
  caller.write(headers(5, post), frame(0, END_STREAM, 5));
  const other = await peer.next(1, 5);
  assert.equal(other.flags & END_STREAM, END_STREAM);
});
