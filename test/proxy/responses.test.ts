/** Endpoints that break the rules: their responses are a 502 or an abort, never a half-truth. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { ENDPOINT_OWN } from '../../src/proxy/ledger/layout.ts';
import { RawEndpoint } from '../support/wire.ts';

const BAD = [
  '220 mail.example ESMTP\r\n',
  'HTTP/1.1 99 Low\r\n\r\n',
  'HTTP/2.0 200 OK\r\n\r\n',
  'HTTP/1.1 200 OK\nX: 1\n\n',
  'HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n',
  'HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok',
  'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
  'HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok',
];

for (const response of BAD) {
  test(`${JSON.stringify(response)} becomes 502`, async (t) => {
    const endpoint = await RawEndpoint.answering(t, freshAddress(), () => response);
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write(GET);
    const answer = await caller.until('\n');
    assert.equal(answer, 'HTTP/1.1 502 Bad Gateway\r\n');
    assert.match(await caller.until('maesh: '), /\r\n\r\nmaesh: $/);
    assert.match(await caller.until('\n'), /^bad_response: /);
    assert.equal(proxy.failures(service, 'bad_response'), 1);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 1);
    const wire = await endpoint.next();
    await wire.gone();
    assert.equal(caller.ending, 'open');
  });
}

test('a response head beyond the limit becomes 502', async (t) => {
  const head = `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(2_000)}\r\n\r\n`;
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => head);
  const { proxy, service } = await proxyFor(t, [endpoint], { settings: { headBytesMax: 1_024 } });
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('maesh: response_head_too_large'), /^HTTP\/1\.1 502 /);
});

test('a close inside the head becomes 502, also without a byte', async (t) => {
  const parts = ['', 'HTTP/1.1 200', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n'];
  for (const part of parts) {
    // oxlint-disable no-await-in-loop -- one after the other
    const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
      await wire.head();
      wire.write(part);
      wire.end();
    });
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write(GET);
    assert.match(await caller.until('maesh: endpoint_reset:'), /^HTTP\/1\.1 502 /);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.resets), 1);
    assert.equal(endpoint.wires.length, 1);
    // oxlint-enable no-await-in-loop
  }
});

const CUT = [
  ['FIN inside a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok', 'end'],
  ['FIN inside a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok', 'end'],
  ['FIN after a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n', 'end'],
  ['reset inside a body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok', 'reset'],
] as const;

for (const [name, start, how] of CUT) {
  test(`${name} resets the caller, who cannot take it for a whole response`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await proxyFor(t, [endpoint]);
    const caller = await proxy.call(service);
    caller.write(GET);
    const wire = await endpoint.next();
    await wire.head();
    wire.write(start);
    await caller.until('ok');
    wire[how]();
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.resets), 1);
  });
}

test('a broken chunk in a response resets the caller', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n');
  await caller.until('ok');
  wire.write('nonsense\r\n');
  assert.equal(await caller.gone(), 'reset');
  assert.equal(proxy.failures(service, 'bad_response_body'), 1);
  assert.doesNotMatch(caller.pending, /nonsense/);
});

test('bytes behind a response are dropped with the connection, never given to the next request', async (t) => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (_, index) =>
    index === 0 ? OK + evil : OK,
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.equal(await caller.until('ok'), OK);
  caller.write(GET);
  assert.equal(await caller.until('ok'), OK);
  assert.equal(endpoint.wires.length, 2);
  assert.equal(caller.pending, '');
});

test('bytes on an idle connection close it', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  const wire = await endpoint.next();
  wire.write(OK);
  await wire.gone();
  caller.write(GET);
  assert.equal(await caller.until('ok'), OK);
  assert.equal(endpoint.wires.length, 2);
});

test('Connection: close of the endpoint ends its connection, not the one of the caller', async (t) => {
  const closing = OK.replace('Content', 'Connection: close\r\nContent');
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => closing);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  for (let i = 0; i < 2; i++) {
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await caller.until('ok'), OK);
  }
  assert.equal(endpoint.wires.length, 2);
});
