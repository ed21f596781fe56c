/** What is long enough to go from socket to socket by itself, bodies and tunnels: what is told, counted and cut is the same. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { DATE, freshAddress, GET, OK, proxyFor, type TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, settled, type Wire } from '../support/wire.ts';

const MEGABYTE = 1 << 20;
/** Far more than sockets and pipes hold. */
const MUCH = 64 << 20;

/** Every place has its own bytes. */
function body(bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) all.writeUInt32BE(at, at);
  return all;
}

const BODY = body(MEGABYTE);

function response(bytes: number): string {
  return `HTTP/1.1 200 OK\r\n${DATE}Content-Length: ${bytes}\r\n\r\n`;
}

function upload(bytes: number): string {
  return `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`;
}

interface Setting {
  readonly proxy: TestProxy;
  readonly service: Service;
  readonly endpoint: RawEndpoint;
  readonly caller: Wire;
  /** Bytes that were spliced since the start of the test. */
  readonly spliced: () => number;
}

async function setting(
  t: TestContext,
  options: Parameters<typeof proxyFor>[2] = {},
): Promise<Setting> {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], options);
  const { sockets } = proxy.context;
  const before = sockets.splicedBytes;
  const caller = await proxy.call(service);
  return { proxy, service, endpoint, caller, spliced: () => sockets.splicedBytes - before };
}

/** Most of a body, where the sockets can. */
function assertSpliced({ proxy, spliced }: Setting, bytes: number): void {
  if (proxy.context.sockets.kind === 'runtime') return assert.equal(spliced(), 0);
  assert(spliced() > bytes / 4 && spliced() <= bytes, `${spliced()} of ${bytes} were spliced`);
}

/** A response of this length, of which the caller has the first megabyte; the endpoint's end of it. */
async function begun(caller: Wire, endpoint: RawEndpoint, length: number): Promise<Wire> {
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(response(length));
  wire.write(BODY);
  await caller.head();
  await takeBody(caller);
  return wire;
}

/** Takes so many bytes, which must be the first of `BODY`. */
async function takeBody(wire: Wire, bytes = MEGABYTE): Promise<void> {
  const got = Buffer.from(await wire.bytes(bytes), 'latin1');
  assert(got.equals(BODY.subarray(0, bytes)), 'other bytes than were sent');
}

test('a long response ends where it ends, and both connections go on', async (t) => {
  const here = await setting(t);
  const { proxy, service, endpoint, caller } = here;
  caller.write(GET + GET);
  const wire = await endpoint.next();
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await wire.head();
    wire.write(response(MEGABYTE));
    wire.write(BODY);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.head(), response(MEGABYTE));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await takeBody(caller);
    if (i === 1) caller.write(GET);
  }
  assert.equal(caller.pending, '');
  assertSpliced(here, 3 * MEGABYTE);
  assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), 3 * MEGABYTE);
  assert.equal(endpoint.wires.length, 1);
});

test('a long request ends where it ends, and the one behind it is the next', async (t) => {
  const here = await setting(t);
  const { proxy, service, endpoint, caller } = here;
  caller.write(upload(MEGABYTE));
  caller.write(BODY);
  caller.write(GET);
  const wire = await endpoint.next();
  assert.match(await wire.head(), /^POST /);
  await takeBody(wire);
  assert.equal(wire.pending, '');
  wire.write(OK);
  await caller.until('ok');
  assert.match(await wire.head(), /^GET /);
  wire.write(OK);
  await caller.until('ok');
  assertSpliced(here, MEGABYTE);
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), MEGABYTE);
  assert.equal(endpoint.wires.length, 1);
});

test('64 MB to a reader that pauses arrive whole, both ways', async (t) => {
  const here = await setting(t);
  const { endpoint, caller } = here;
  caller.write(upload(MUCH));
  const wire = await endpoint.next();
  await wire.head();
  await passThrough(caller, wire);
  wire.write(response(MUCH));
  await caller.head();
  await passThrough(wire, caller);
  assertSpliced(here, 2 * MUCH);
});

/** Writes the body again and again, and reads it with pauses in between. */
async function passThrough(from: Wire, to: Wire): Promise<void> {
  const sent = createHash('sha1');
  const got = createHash('sha1');
  const before = to.bytesReceived;
  to.discard();
  const note = (data: Buffer): void => void got.update(data);
  to.socket.on('data', note);
  let pauses = 0;
  for (let i = 0; i < MUCH / MEGABYTE; i++) {
    const piece = Buffer.from(BODY);
    piece.writeUInt32BE(i, 0);
    sent.update(piece);
    if (i % 16 === 0) to.socket.pause();
    if (from.socket.write(piece)) continue;
    const drained = once(from.socket, 'drain');
    if (to.socket.isPaused()) {
      pauses++;
      // oxlint-disable-next-line no-await-in-loop -- everything on the way fills up
      await settled(() => 1 + from.socket.bytesWritten, 2);
      to.socket.resume();
    }
    // oxlint-disable-next-line no-await-in-loop -- one piece after the other
    await drained;
  }
  to.socket.resume();
  await to.received(before + MUCH, 20_000);
  to.socket.off('data', note);
  assert(pauses > 0, 'the reader was slower');
  assert.equal(got.digest('hex'), sent.digest('hex'));
}

test('bytes behind a long response end the connection to its endpoint', async (t) => {
  const here = await setting(t);
  const { endpoint, caller } = here;
  caller.write(GET + GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(Buffer.concat([Buffer.from(response(MEGABYTE)), BODY, Buffer.from(OK)]));
  await caller.head();
  await takeBody(caller);
  assertSpliced(here, MEGABYTE);
  const next = await endpoint.next();
  await next.head();
  next.write(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: 5\r\n\r\nright`);
  assert.match(await caller.until('right'), /right$/);
  await wire.gone();
});

for (const how of ['end', 'reset'] as const) {
  test(`an endpoint that leaves inside a long response (${how}) cuts it`, async (t) => {
    const here = await setting(t);
    const { proxy, service, endpoint, caller } = here;
    const wire = await begun(caller, endpoint, 2 * MEGABYTE);
    wire[how]();
    assert.equal(await caller.gone(), 'reset');
    assertSpliced(here, MEGABYTE);
    assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), MEGABYTE);
    assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
  });

  test(`a caller that leaves inside a long request (${how}) cancels it`, async (t) => {
    const here = await setting(t);
    const { proxy, service, endpoint, caller } = here;
    caller.write(upload(2 * MEGABYTE));
    caller.write(BODY);
    const wire = await endpoint.next();
    await wire.head();
    await takeBody(wire);
    caller[how]();
    await eventually(() => proxy.failures(service, 'caller_gone') === 1, 'the end of the request');
    await wire.gone();
    assertSpliced(here, MEGABYTE);
    assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), MEGABYTE);
  });
}

test('a caller that leaves with a long response on its way ends it everywhere', async (t) => {
  const { proxy, service, endpoint, caller } = await setting(t);
  caller.socket.pause();
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(response(MUCH));
  wire.write(Buffer.alloc(MUCH));
  await settled(() => proxy.context.sockets.splicedBytes + wire.socket.bytesWritten);
  caller.reset();
  await wire.gone();
  assert.equal(proxy.failures(service, 'caller_gone'), 1);
  const other = await proxy.call(service);
  await begun(other, endpoint, MEGABYTE);
});

test('an answer in the middle of a long request reaches the caller', async (t) => {
  const { endpoint, caller } = await setting(t);
  caller.write(upload(MUCH));
  caller.write(BODY);
  const wire = await endpoint.next();
  await wire.head();
  await takeBody(wire);
  wire.write('HTTP/1.1 413 Big\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig');
  wire.end();
  assert.match(await caller.until('big'), /^HTTP\/1\.1 413 Big\r\n/);
  assert.equal(await caller.gone(), 'ended');
});

test('an endpoint that stops inside a long response, and a caller that stops reading it, are told apart', async (t) => {
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, idleMs: 1_000 } };
  const { proxy, service, endpoint, caller } = await setting(t, { policies, manual: true });
  const wire = await begun(caller, endpoint, 2 * MEGABYTE);
  proxy.advance(900);
  wire.write(BODY.subarray(0, MEGABYTE / 2));
  await takeBody(caller, MEGABYTE / 2);
  proxy.advance(900);
  assert.equal(caller.ending, 'open');
  proxy.advance(900);
  assert.equal(await caller.gone(), 'reset');
  assert.equal(proxy.failures(service, 'response_idle_timeout'), 1);
  const slow = await proxy.call(service);
  slow.socket.pause();
  slow.write(GET);
  const next = await endpoint.next();
  await next.head();
  next.write(response(MUCH));
  next.write(Buffer.alloc(MUCH));
  await settled(() => next.socket.bytesWritten);
  proxy.advance(900);
  assert.equal(proxy.failures(service, 'response_read_timeout'), 0);
  proxy.advance(900);
  assert.equal(proxy.failures(service, 'response_read_timeout'), 1);
});

test('what a slow reader has not taken counts as held for it', async (t) => {
  const { proxy, endpoint, caller } = await setting(t);
  caller.socket.pause();
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(response(MUCH));
  wire.write(Buffer.alloc(MUCH));
  await settled(() => wire.socket.bytesWritten);
  await eventually(() => proxy.context.room.bytes > 65_536, 'the sum of what callers hold');
  assert(proxy.context.room.bytes < MEGABYTE);
});

test('a chunked body, one whose length is not known, and a short one are copied', async (t) => {
  const here = await setting(t);
  const { endpoint, caller } = here;
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: 30000\r\n\r\n`);
  wire.write(BODY.subarray(0, 30_000));
  await caller.head();
  await takeBody(caller, 30_000);
  caller.write(GET);
  await wire.head();
  wire.write(`HTTP/1.1 200 OK\r\n${DATE}\r\n`);
  wire.write(BODY);
  wire.end();
  assert.match(await caller.head(), /chunked/);
  await caller.until('\r\n0\r\n\r\n');
  assert.equal(here.spliced(), 0);
});

test('nothing is spliced when the operator says so', async (t) => {
  const here = await setting(t, { settings: { spliceBytes: Infinity } });
  const { endpoint, caller } = here;
  await begun(caller, endpoint, MEGABYTE);
  assert.equal(here.spliced(), 0);
});

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n';

async function tunnel(t: TestContext): Promise<Setting & { readonly wire: Wire }> {
  const here = await setting(t);
  here.caller.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: bytes\r\n\r\n');
  const wire = await here.endpoint.next();
  await wire.head();
  wire.write(SWITCH);
  await here.caller.head();
  return { ...here, wire };
}

test('much in a tunnel arrives whole, both ways at once, and so does little behind it', async (t) => {
  const here = await tunnel(t);
  const { proxy, service, caller, wire } = here;
  await Promise.all([passThrough(caller, wire), passThrough(wire, caller)]);
  assertSpliced(here, 2 * MUCH);
  const spliced = here.spliced();
  const before = [wire.bytesReceived, caller.bytesReceived] as const;
  for (let i = 1; i <= 100; i++) {
    caller.write('ping');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await wire.received(before[0] + 4 * i);
    wire.write('pong');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.received(before[1] + 4 * i);
  }
  assert(here.spliced() - spliced <= 8, 'little is copied');
  caller.end();
  await wire.rest();
  wire.end();
  await caller.rest();
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
  assert.equal(proxy.figure(service, SERVICE_OWN.requestBytes), MUCH + 400);
  assert.equal(proxy.figure(service, SERVICE_OWN.responseBytes), MUCH + 400);
});

test('an end behind much that nobody has read yet comes behind it; a reset comes at once', async (t) => {
  for (const how of ['end', 'reset'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { proxy, service, caller, wire } = await tunnel(t);
    caller.discard();
    caller.socket.pause();
    const before = caller.bytesReceived;
    wire.write(Buffer.alloc(MUCH / 4));
    // oxlint-disable-next-line no-await-in-loop -- everything on the way fills up
    await settled(() => wire.socket.bytesWritten);
    wire[how]();
    caller.socket.resume();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.gone(), how === 'end' ? 'ended' : 'reset');
    if (how === 'end') assert.equal(caller.bytesReceived - before, MUCH / 4);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(() => proxy.requests(service, 1) === 1, 'the account');
  }
});
