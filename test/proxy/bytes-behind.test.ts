/** A message ends where it ends: what follows it, which nobody asked for, is passed on to nobody and ends its connection. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { seededRandom } from '../../src/base/random.ts';
import { QUIET_MS } from '../../src/proxy/http1/endpoint.ts';
import { DEADLINE_TICK_MS } from '../../src/proxy/net/deadline-wheel.ts';
import { READ_BYTES } from '../../src/proxy/net/socket.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { below, oneOf } from '../fuzz/mutate.ts';
import { DATE, freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';
const HEAD = 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n';

interface Message {
  readonly name: string;
  readonly request: string;
  readonly response: string;
  /** What the caller gets, where that is something else. */
  readonly passed?: string;
}

const MESSAGES: readonly Message[] = [
  { name: 'a length', request: GET, response: OK },
  {
    name: 'a length of 0',
    request: GET,
    response: `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 0\r\n\r\n`,
  },
  {
    name: 'chunks',
    request: GET,
    response: `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n`,
    passed: `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n00002\r\nok\r\n0\r\nX-T: 1\r\n\r\n`,
  },
  { name: '204', request: GET, response: `HTTP/1.1 204 No Content\r\n${DATE}\r\n` },
  { name: '304', request: GET, response: `HTTP/1.1 304 Not Modified\r\n${DATE}ETag: "a"\r\n\r\n` },
  {
    name: '304 with a length',
    request: GET,
    response: `HTTP/1.1 304 Not Modified\r\n${DATE}Content-Length: 45\r\n\r\n`,
  },
  { name: 'HEAD', request: HEAD, response: `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 45\r\n\r\n` },
  { name: 'HEAD without a length', request: HEAD, response: `HTTP/1.1 200 OK\r\n${DATE}\r\n` },
  {
    name: 'HEAD of chunks',
    request: HEAD,
    response: `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\n\r\n`,
    passed: `HTTP/1.1 200 OK\r\n${DATE}\r\n`,
  },
  {
    name: 'an interim response and a length',
    request: GET,
    response: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
  },
  { name: 'the answer to a body', request: post('hello'), response: OK },
];

async function exchange(t: TestContext, { request }: Message) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(request);
  const wire = await endpoint.next();
  await wire.head();
  if (request.endsWith('hello')) await wire.until('hello');
  return { endpoint, proxy, service, caller, wire };
}

for (const message of MESSAGES) {
  const { name, response, passed = response } = message;

  test(`bytes behind ${name}, in the same write, are nobody's`, async (t) => {
    const { endpoint, caller, wire } = await exchange(t, message);
    wire.write(response + FORGED);
    assert.equal(await caller.bytes(passed.length), passed);
    await wire.gone();
    caller.write(GET);
    const fresh = await endpoint.next();
    await fresh.head();
    fresh.write(OK);
    assert.equal(await caller.until('ok'), OK);
  });

  test(`bytes behind ${name}, in a later write, are nobody's`, async (t) => {
    const { endpoint, proxy, service, caller, wire } = await exchange(t, message);
    wire.write(response);
    assert.equal(await caller.bytes(passed.length), passed);
    await eventually(
      () => proxy.requests(service, 2) + proxy.requests(service, 3) === 1,
      'its end',
    );
    wire.write(FORGED);
    await wire.gone();
    caller.write(GET);
    const fresh = await endpoint.next();
    await fresh.head();
    fresh.write(OK);
    assert.equal(await caller.until('ok'), OK);
  });
}

test('a response that ends with a whole read may have bytes behind it that were not read yet', async (t) => {
  const { endpoint, caller, wire } = await exchange(t, MESSAGES[0] as Message);
  // Behind a request that is pipelined, so that the connection would be used again at once.
  caller.write(GET);
  wire.write(wholeRead() + FORGED);
  await caller.bytes(READ_BYTES);
  const fresh = await endpoint.next();
  await fresh.head();
  fresh.write(OK);
  assert.equal(await caller.until('ok'), OK);
  await wire.gone();
});

test('a response that ends with a whole read and nothing behind it keeps its connection', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(wholeRead());
  await caller.bytes(READ_BYTES);
  await eventually(() => proxy.requests(service, 2) === 1, 'its end');
  proxy.advance(QUIET_MS + DEADLINE_TICK_MS);
  caller.write(GET);
  await wire.head();
  wire.write(OK);
  assert.equal(await caller.until('ok'), OK);
});

/** A response as long as the buffer that it is read into. */
function wholeRead(): string {
  const start = `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 65000\r\nX-Fill: `;
  const head = `${start}${'x'.repeat(READ_BYTES - 65_000 - start.length - 4)}\r\n\r\n`;
  return head + 'y'.repeat(65_000);
}

test('what was not asked for with Upgrade is no protocol switch, and nothing behind it is passed on', async (t) => {
  const { caller, wire } = await exchange(t, MESSAGES[0] as Message);
  wire.write(`HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n${FORGED}`);
  assert.match(await caller.until('bad_response'), /^HTTP\/1\.1 502 /);
  await wire.gone();
});

test('bytes behind the last request of a caller reach no endpoint', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const last of [
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'GET / HTTP/1.0\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab',
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
    'BAD\r\n\r\n',
  ]) {
    for (const apart of [false, true]) {
      // oxlint-disable no-await-in-loop -- one after the other
      const caller = await proxy.call(service);
      caller.write(apart ? last : `${last}GET /behind HTTP/1.1\r\nHost: a\r\n\r\n`);
      if (apart) {
        await caller.head();
        caller.write('GET /behind HTTP/1.1\r\nHost: a\r\n\r\n');
      }
      const answers = await caller.rest();
      assert.equal(answers.split(/HTTP\/1\.1 \d/).length - 1, apart ? 0 : 1);
      caller.end();
      // oxlint-enable no-await-in-loop
    }
  }
  assert(!endpoint.heads.some((head) => head.includes('/behind')));
});

test('bytes behind a body are the next request or none, never a part of the body', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const body of [
    'Content-Length: 2\r\n\r\nab',
    'Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n',
  ]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(`POST / HTTP/1.1\r\nHost: a\r\n${body}cd\r\n\r\n`);
    const wire = endpoint.wires[0] ?? (await endpoint.next());
    await wire.head();
    await wire.until(body.slice(body.indexOf('\r\n\r\n') + 4));
    wire.write(OK);
    assert.match(await caller.rest(), /^HTTP\/1\.1 200 .*ok.*HTTP\/1\.1 400 /s);
    assert.equal(wire.pending, '');
    caller.end();
    // oxlint-enable no-await-in-loop
  }
});

test('200 responses of any framing, cut anywhere, with anything behind them, reach their caller and end there', async (t) => {
  const random = seededRandom(11);
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  for (let i = 0; i < 200; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const { request, response, name, passed = response } = oneOf(random, MESSAGES);
    const behind = oneOf(random, ['', FORGED, '\r\n', '0\r\n\r\n', 'x', FORGED.repeat(40)]);
    const caller = await proxy.call(service);
    caller.write(request);
    const last = endpoint.wires.at(-1);
    const wire = last?.ending === 'open' ? last : await endpoint.next();
    await wire.head();
    if (request.endsWith('hello')) await wire.until('hello');
    const bytes = response + behind;
    const cut = below(random, bytes.length);
    wire.write(bytes.slice(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    wire.write(bytes.slice(cut));
    assert.equal(await caller.bytes(passed.length), passed, `${name}, cut at ${cut}`);
    if (behind !== '') await wire.gone();
    else await eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) === 0, 'its end');
    assert.equal(caller.pending, '', `behind ${name}, cut at ${cut}`);
    caller.end();
    await caller.rest();
    // After HEAD the connection waits for content that follows all the same.
    proxy.advance(500);
    // oxlint-enable no-await-in-loop
  }
});
