/** What one request leaves behind on a connection must not meet the next one, which may be somebody else's. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { DATE, freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint, settled } from '../support/wire.ts';

const FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';

test('a connection that was paused for a slow caller is not left so to the next one', async (t) => {
  const hints = `HTTP/1.1 103 Early Hints\r\nLink: <${'x'.repeat(1_000)}>\r\n\r\n`.repeat(50);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) =>
    head.startsWith('GET /hints') ? hints + OK : OK,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const slow = await proxy.call(service);
  slow.socket.pause();
  slow.write('GET /hints HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(800));
  await settled(() => proxy.requests(service, 2));
  assert(proxy.requests(service, 2) < 800, 'the caller is not slow');
  const other = await proxy.call(service);
  other.write(GET);
  assert.equal(await other.until('ok'), OK);
});

for (const [name, request, response] of [
  ['HEAD', 'HEAD', `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 45\r\n\r\n`],
  ['HEAD without a length', 'HEAD', `HTTP/1.1 200 OK\r\n${DATE}\r\n`],
  ['HEAD of chunks', 'HEAD', `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n`],
  ['304 with a length', 'GET', `HTTP/1.1 304 Not Modified\r\n${DATE}Content-Length: 45\r\n\r\n`],
] as const) {
  test(`content behind ${name} that comes while another caller waits is not shown to it`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    const victim = await proxy.call(service);
    caller.write(`${request} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    const wire = await endpoint.next();
    await wire.head();
    wire.write(response);
    await caller.head();
    victim.write(GET);
    await eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) === 1, 'the other request');
    wire.write(FORGED);
    const other = await endpoint.next();
    await other.head();
    other.write(OK);
    assert.equal(await victim.until('ok'), OK);
    await wire.gone();
  });
}

test('a connection is used again a while after HEAD, when nothing came behind the answer', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) =>
    head.startsWith('HEAD') ? `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 45\r\n\r\n` : OK,
  );
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  await caller.head();
  proxy.advance(1_000);
  caller.write(GET);
  await caller.until('ok');
  assert.equal(endpoint.wires.length, 1);
});

test('connections that wait after HEAD count as idle ones: no more are kept', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 45\r\n\r\n`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  for (let i = 0; i < 70; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    caller.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
    await caller.head();
    // oxlint-enable no-await-in-loop
  }
  assert.equal(endpoint.wires.length, 70);
  await eventually(
    () => endpoint.wires.filter(({ ending }) => ending === 'open').length === 64,
    'the connections that are too many to be closed',
  );
});

test('a request that comes in the very turn in which a write to its connection fails has another one', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n12');
  const wire = await endpoint.next();
  await wire.head();
  await wire.bytes(2);
  // The proxy reads these first, and learns of the reset by writing the rest of the body; the answer is read behind that.
  caller.write('34POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
  wire.write(OK);
  wire.reset();
  assert.equal(await caller.until('ok'), OK);
  const other = await endpoint.next();
  assert.match(await other.head(), /^POST \/second /);
  other.write(OK);
  assert.equal(await caller.until('ok'), OK);
});
