/** Responses that only servers with faults send, and that can be meant in one way only: passed on in their usual form. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINT_OWN } from '../../src/proxy/ledger/layout.ts';
import { DATE, freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const COOKIES = Array.from({ length: 150 }, (_, i) => `Set-Cookie: c${i}=v; Path=/\r\n`).join('');

/** What the endpoint sends behind Date, and what the caller gets of it. */
const TOLERATED: readonly (readonly [name: string, sent: string, got: string])[] = [
  [
    'white space before a colon',
    'Server \t: x\r\nContent-Length : 2\r\n\r\nok',
    'Server: x\r\nContent-Length: 2\r\n\r\nok',
  ],
  [
    'equal lengths',
    'Content-Length: 2\r\nContent-Length: 2\r\n\r\nok',
    'Content-Length: 2\r\n\r\nok',
  ],
  ['a list of equal lengths', 'Content-Length: 2, 02\r\n\r\nok', 'Content-Length: 2\r\n\r\nok'],
  ['150 cookies', `${COOKIES}Content-Length: 2\r\n\r\nok`, `${COOKIES}Content-Length: 2\r\n\r\nok`],
  [
    'empty members of Transfer-Encoding',
    'Transfer-Encoding: ,chunked,\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n00002\r\nok\r\n0\r\n\r\n',
  ],
  [
    'chunk sizes padded with blanks',
    'Transfer-Encoding: chunked\r\n\r\n  2  \r\nok\r\n0 \t\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n00002\r\nok\r\n0\r\n\r\n',
  ],
  [
    'white space before the colon of a trailer',
    'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T : 1\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n00002\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
  ],
  [
    'Connection that names Transfer-Encoding',
    'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n00002\r\nok\r\n0\r\n\r\n',
  ],
  ['an odd Upgrade', 'Upgrade: (x)\r\nContent-Length: 2\r\n\r\nok', 'Content-Length: 2\r\n\r\nok'],
];

for (const [name, sent, got] of TOLERATED) {
  test(`a response is passed on in its usual form: ${name}`, async (t) => {
    const endpoint = await RawEndpoint.answering(
      t,
      freshAddress(),
      () => `HTTP/1.1 200 OK\r\n${DATE}${sent}`,
    );
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    const wanted = `HTTP/1.1 200 OK\r\n${DATE}${got}`;
    for (let i = 0; i < 2; i++) {
      caller.write(GET);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal(await caller.bytes(wanted.length), wanted);
    }
    assert.equal(endpoint.wires.length, 1);
  });
}

const BODILESS = [
  'Content-Length: 2\r\n\r\nok',
  'Content-Length: 2\r\n\r\n',
  'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
];

for (const rest of BODILESS) {
  test(`204 with ${JSON.stringify(rest)} is a 204, and the last of its connection`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), (_, index) =>
      index === 0 ? `HTTP/1.1 204 None\r\n${DATE}X: 1\r\n${rest}` : OK,
    );
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write(GET);
    assert.equal(await caller.head(), `HTTP/1.1 204 None\r\n${DATE}X: 1\r\n\r\n`);
    await (await endpoint.next()).gone();
    caller.write(GET);
    assert.equal(await caller.until('ok'), OK);
    assert.equal(endpoint.wires.length, 2);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  });
}

test('a status from 600 to 999 is passed on, and counted as a server error', async (t) => {
  const statuses = [600, 777, 999];
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    (_, index) => `HTTP/1.1 ${statuses[index]} Odd\r\n${DATE}Content-Length: 2\r\n\r\nok`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  for (const status of statuses) {
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await caller.until('ok'), new RegExp(`^HTTP/1\\.1 ${status} Odd\r\n`));
  }
  assert.equal(proxy.requests(service, 5), 3);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + 5), 3);
});

test('a response without a Date gets one, an interim response none', async (t) => {
  const answers = [
    'HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 200 OK\r\nConnection: date\r\nDate: x\r\nContent-Length: 2\r\n\r\nok',
  ];
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    (_, index) => answers[index] ?? OK,
  );
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  const date = (): string => `Date: ${new Date(proxy.clock.wallMs()).toUTCString()}\r\n`;
  caller.write(GET);
  assert.equal(await caller.head(), 'HTTP/1.1 103 Early Hints\r\n\r\n');
  assert.equal(await caller.until('ok'), `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${date()}\r\nok`);
  const before = date();
  proxy.advance(2_000);
  assert.notEqual(date(), before);
  caller.write(GET);
  assert.equal(await caller.until('ok'), `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${date()}\r\nok`);
});

test('426 keeps its Upgrade, and says that it is about the connection', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () =>
      `HTTP/1.1 426 Upgrade Required\r\n${DATE}Upgrade: TLS/1.3\r\nUpgrade: ,websocket,\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok`,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const [request, options] of [
    [GET, 'Upgrade'],
    ['GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 'Upgrade, keep-alive'],
    ['GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'Upgrade, close'],
  ] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(request);
    assert.equal(
      await caller.until('ok'),
      `HTTP/1.1 426 Upgrade Required\r\n${DATE}Content-Length: 2\r\nConnection: ${options}\r\nUpgrade: TLS/1.3, websocket\r\n\r\nok`,
    );
    // oxlint-enable no-await-in-loop
  }
});
