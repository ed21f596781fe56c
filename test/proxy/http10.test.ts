/** Callers and endpoints that speak HTTP/1.0, and bodies that last until the close. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATE, freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const CHUNKED = `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: 1\r\n\r\n`;

test('HTTP/1.0 without keep-alive is answered and closed; the endpoint gets HTTP/1.1 and a Host', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { forwardedHeaders: false };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings });
  const caller = await proxy.call(service);
  caller.write('GET / HTTP/1.0\r\n\r\n');
  assert.equal(
    await caller.rest(),
    `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\nConnection: close\r\n\r\nok`,
  );
  assert.equal(endpoint.heads[0], 'GET / HTTP/1.1\r\nHost: s0.test\r\nConnection: close\r\n\r\n');
});

test('HTTP/1.0 with keep-alive is kept', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  for (let i = 0; i < 2; i++) {
    caller.write('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const answer = await caller.until('ok');
    assert.match(answer, /\r\nConnection: keep-alive\r\n/);
  }
});

test('a chunked response reaches an HTTP/1.0 caller bare and ended by the close', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => CHUNKED);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.equal(await caller.rest(), `HTTP/1.1 200 OK\r\n${DATE}Connection: close\r\n\r\nabcde`);
});

test('a response that lasts until the close reaches an HTTP/1.1 caller in chunks', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.head();
    wire.write(`HTTP/1.0 200 Fine\r\n${DATE}X: 1\r\n\r\nab`);
    await wire.until('\n').catch(() => '');
  });
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.equal(
    await caller.head(),
    `HTTP/1.1 200 Fine\r\n${DATE}X: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  assert.equal(await caller.until('ab\r\n'), '00002\r\nab\r\n');
  const wire = await endpoint.next();
  wire.write('cd');
  await caller.until('cd\r\n');
  wire.end();
  assert.equal(await caller.until('0\r\n\r\n'), '0\r\n\r\n');
  assert.equal(caller.ending, 'open');
});

test('a response that lasts until the close and is cut is cut for the caller too', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 200 OK\r\n\r\nab');
  await caller.until('ab\r\n');
  wire.reset();
  assert.equal(await caller.gone(), 'reset');
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
});

test('a 1xx is not passed to HTTP/1.0, and Expect is not passed on', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx');
  assert.match(await caller.rest(), /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(endpoint.heads[0] ?? '', /Expect/i);
});

test('a server that waits for the next request of HTTP/1.1 does not hold up an HTTP/1.0 caller', async (t) => {
  // It tells no length, and closes only when it knows that no request follows.
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    const head = await wire.head();
    wire.write(`HTTP/1.1 200 OK\r\n${DATE}\r\nstream`);
    if (/^connection: close\r$/im.test(head)) wire.end();
  });
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('GET / HTTP/1.0\r\n\r\n');
  assert.match(await caller.rest(), /\r\n\r\nstream$/);
  await (await endpoint.next()).gone();
});
