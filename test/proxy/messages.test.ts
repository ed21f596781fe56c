/** Bodies and interim responses on their way through: chunks, trailers, 1xx, HEAD, 204, 304, cut at any byte. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATE, freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const EXPECTING = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';

test('Expect: 100-continue waits for the endpoint, whose 100 reaches the caller', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(EXPECTING);
  const wire = await endpoint.next();
  assert.match(await wire.head(), /\r\nExpect: 100-continue\r\n/);
  wire.write('HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n');
  assert.equal(await caller.head(), 'HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n');
  caller.write('hello');
  assert.equal(await wire.bytes(5), 'hello');
  wire.write(OK);
  assert.equal(await caller.until('ok'), OK);
  caller.write(GET);
  await wire.head();
  wire.write(OK);
  await caller.until('ok');
});

test('a final answer instead of 100 ends the request; a body that still comes is dropped', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(EXPECTING);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(`HTTP/1.1 401 Unauthorized\r\n${DATE}Content-Length: 2\r\n\r\nno`);
  assert.equal(
    await caller.until('no'),
    `HTTP/1.1 401 Unauthorized\r\n${DATE}Content-Length: 2\r\nConnection: close\r\n\r\nno`,
  );
  caller.write(`hello${GET}`);
  assert.equal(await caller.rest(), '');
  await wire.gone();
  assert.equal(wire.pending, '');
});

test('103 and further 1xx come before the response', async (t) => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n';
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => hints + OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.equal(await caller.until('ok'), hints + OK);
  assert.equal(proxy.requests(service, 2), 1);
});

const BODILESS: readonly (readonly [request: string, response: string])[] = [
  ['HEAD', `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 7\r\n\r\n`],
  ['HEAD', `HTTP/1.1 200 OK\r\n${DATE}X: 1\r\n\r\n`],
  ['GET', `HTTP/1.1 204 No Content\r\n${DATE}X: 1\r\n\r\n`],
  ['GET', `HTTP/1.1 304 Not Modified\r\n${DATE}Content-Length: 7\r\n\r\n`],
  ['GET', `HTTP/1.1 304 Not Modified\r\n${DATE}\r\n`],
];

for (const [method, response] of BODILESS) {
  test(`${method} answered ${JSON.stringify(response)} has no body and keeps both connections`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), () => response);
    const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
    const caller = await proxy.call(service);
    for (let i = 0; i < 2; i++) {
      caller.write(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal(await caller.head(), response);
      // Until then nobody knows whether content follows all the same.
      proxy.advance(500);
    }
    assert.equal(endpoint.wires.length, 1);
  });
}

test('HEAD answered with Transfer-Encoding has no body either', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal(await caller.head(), `HTTP/1.1 200 OK\r\n${DATE}\r\n`);
  proxy.advance(500);
  caller.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  await caller.head();
  assert.equal(endpoint.wires.length, 1);
});

const CHUNKED_POST =
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x\r\n world\r\n0\r\nX-T: 1\r\nTrailer: x\r\n\r\n';
const CHUNKED_ANSWER =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nY-T:  2 \r\nSet-Cookie: x\r\n\r\n';

/** The payload and the trailer lines of a chunked body. */
function unchunk(text: string): { body: string; trailers: string } {
  let at = 0;
  let body = '';
  for (;;) {
    const line = text.indexOf('\r\n', at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (size === 0) return { body, trailers: text.slice(line + 2) };
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}

test('chunks and trailers pass both ways wherever they are cut', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  const longest = Math.max(CHUNKED_POST.length, CHUNKED_ANSWER.length);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(OK);
  await caller.until('ok');
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  for (let cut = 1; cut < longest; cut++) {
    // oxlint-disable no-await-in-loop -- one after the other
    caller.write(CHUNKED_POST.slice(0, cut));
    await turn();
    caller.write(CHUNKED_POST.slice(cut));
    await wire.head();
    const sent = unchunk(await wire.until('\r\n\r\n'));
    assert.deepEqual(sent, { body: 'hello world', trailers: 'X-T: 1\r\n\r\n' }, `cut ${cut}`);
    wire.write(CHUNKED_ANSWER.slice(0, cut));
    await turn();
    wire.write(CHUNKED_ANSWER.slice(cut));
    await caller.head();
    const got = unchunk(await caller.until('\r\n\r\n'));
    assert.deepEqual(got, { body: 'abcde', trailers: 'Y-T: 2\r\n\r\n' }, `cut ${cut}`);
    // oxlint-enable no-await-in-loop
  }
});

test('a request and a response pass byte by byte', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  await caller.trickle(CHUNKED_POST);
  const wire = await endpoint.next();
  await wire.head();
  const sent = unchunk(await wire.until('1\r\n\r\n'));
  assert.deepEqual(sent, { body: 'hello world', trailers: 'X-T: 1\r\n\r\n' });
  await wire.trickle(CHUNKED_ANSWER);
  await caller.head();
  assert.deepEqual(unchunk(await caller.until('2\r\n\r\n')).body, 'abcde');
});

/** Body sizes that leave just too little room for the trailers in the first buffer, and where the trailers are cut. */
const TRAILED = [
  [7_900, 0],
  [10_500, 4_080],
  [12_000, 4],
] as const;

for (const [size, cut] of TRAILED) {
  test(`a trailer section as large as allowed passes behind ${size} bytes, cut at ${cut}`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    const lines = 'a:\r\n'.repeat(2_040);
    const longer = 'a: \r\n'.repeat(2_040);
    const chunk = `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`;
    caller.write(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`);
    const wire = await endpoint.next();
    await wire.head();
    await wire.until('x\r\n');
    caller.write(`0\r\n${lines.slice(0, cut)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    caller.write(`${lines.slice(cut)}\r\n`);
    assert.equal(await wire.until('\r\n\r\n'), `0\r\n${longer}\r\n`);
    wire.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n`);
    await caller.until('x\r\n');
    wire.write(`${lines}\r\n`);
    assert.equal(await caller.until('\r\n\r\n'), `0\r\n${longer}\r\n`);
    caller.write(GET);
    await wire.head();
    wire.write(OK);
    await caller.until('ok');
  });
}

test('trailers that Connection names stay behind, both ways', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  const fields = 'Connection: x-hop , X-Two\r\nTransfer-Encoding: chunked\r\n\r\n';
  const body = '1\r\nx\r\n0\r\nX-Hop: 1\r\nX-End: 2\r\nx-two: 3\r\n\r\n';
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\n${fields}${body}`);
  const wire = await endpoint.next();
  await wire.head();
  assert.equal(await wire.until('\r\n\r\n'), '00001\r\nx\r\n0\r\nX-End: 2\r\n\r\n');
  wire.write(`HTTP/1.1 200 OK\r\n${fields}${body}`);
  await caller.head();
  assert.equal(await caller.until('\r\n\r\n'), '00001\r\nx\r\n0\r\nX-End: 2\r\n\r\n');
});

test('bodies of every size from 0 to beyond one read arrive whole and are counted', async (t) => {
  const sizes = [0, 1, 16_000, 16_384, 65_535, 65_536, 200_000];
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) => {
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    return `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'y'.repeat(length)}`;
  });
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  for (const size of sizes) {
    caller.write(post('x'.repeat(size)));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.head();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.bytes(size), 'y'.repeat(size));
  }
  assert.equal(endpoint.wires.length, 1);
});
