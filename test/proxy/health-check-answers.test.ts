/** What a check makes of what comes of it: real endpoints that answer well, badly, slowly or not at all. */

import assert from 'node:assert/strict';
import type http2 from 'node:http2';
import { test, type TestContext } from 'node:test';
import { CHECK_RESULTS, type CheckResult } from '../../src/model/health-check.ts';
import type { HealthCheckPolicy } from '../../src/model/policy.ts';
import { CHECK_PASSING } from '../../src/proxy/balance/check-standing.ts';
import { EJECTED, IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import { ENDPOINT_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK } from '../support/proxy.ts';
import { blackHole, type Dialled, RawEndpoint, type Wire } from '../support/wire.ts';
import { bed, CHECK, GrpcApp } from '../support/health-checks.ts';

interface Case {
  readonly what: string;
  readonly result: CheckResult;
  readonly check?: Partial<HealthCheckPolicy>;
  readonly endpoint: (t: TestContext) => Promise<Dialled>;
}

const answering =
  (text: string) =>
  (t: TestContext): Promise<Dialled> =>
    RawEndpoint.answering(t, freshAddress(), (head) =>
      head.startsWith('GET /health') ? text : OK,
    );

const doing =
  (act: (wire: Wire) => Promise<void> | void) =>
  (t: TestContext): Promise<Dialled> =>
    RawEndpoint.listen(t, freshAddress(), async (wire) => {
      await wire.head();
      await act(wire);
    });

/** Sends something on each connection and leaves it open. */
const saying = (text: string) => doing((wire) => wire.write(text));

/** Until the other side has enough. */
async function endless(wire: Wire, first: string, part: string): Promise<void> {
  wire.write(first);
  while (wire.ending === 'open') {
    wire.write(part);
    // oxlint-disable-next-line no-await-in-loop -- one after the other on purpose
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const REDIRECT = 'HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n';

async function closedPort(t: TestContext): Promise<Dialled> {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  endpoint.stop();
  return endpoint;
}

const SHORT = { timeoutMs: 300 };
const CASES: readonly Case[] = [
  { what: '200', result: 'passed', endpoint: answering(OK) },
  { what: '399', result: 'passed', endpoint: answering(OK.replace('200', '399')) },
  { what: '404', result: 'bad_status', endpoint: answering(OK.replace('200', '404')) },
  {
    what: 'a status that is asked for',
    result: 'passed',
    check: { statuses: ['200', '401-403'] },
    endpoint: answering(OK.replace('200', '402')),
  },
  {
    what: 'a status that is not',
    result: 'bad_status',
    check: { statuses: ['204', '401-403'] },
    endpoint: answering(OK),
  },
  {
    what: 'a body longer than anybody reads',
    result: 'passed',
    endpoint: saying(`HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(200_000)}`),
  },
  {
    what: 'an interim answer first',
    result: 'passed',
    endpoint: answering(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`),
  },
  { what: 'an upgrade', result: 'bad_status', endpoint: saying('HTTP/1.1 101 Yes\r\n\r\n') },
  { what: 'no HTTP', result: 'bad_answer', endpoint: saying('220 mail ready\r\n\r\n') },
  { what: 'a port that is closed', result: 'connect_failed', endpoint: closedPort },
  {
    what: 'a connection that is closed without an answer',
    result: 'connect_failed',
    endpoint: (t) => RawEndpoint.listen(t, freshAddress(), (wire) => wire.end()),
  },
  {
    what: 'a body that is cut',
    result: 'connect_failed',
    endpoint: (t) =>
      RawEndpoint.listen(t, freshAddress(), async (wire) => {
        await wire.head();
        wire.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
        wire.end();
      }),
  },
  {
    what: 'a connection that is reset',
    result: 'connect_failed',
    endpoint: doing((wire) => wire.reset()),
  },
  {
    what: 'a redirect, which is not followed',
    result: 'passed',
    endpoint: answering(REDIRECT),
  },
  {
    what: 'a redirect where none is good',
    result: 'bad_status',
    check: { statuses: ['200-299'] },
    endpoint: answering(REDIRECT),
  },
  { what: 'no content', result: 'passed', endpoint: saying('HTTP/1.1 204 No\r\n\r\n') },
  { what: 'chunks', result: 'passed', endpoint: saying(`${CHUNKED}2\r\nok\r\n0\r\n\r\n`) },
  {
    what: 'chunks and trailers',
    result: 'passed',
    endpoint: saying(`${CHUNKED}2\r\nok\r\n0\r\nx: y\r\n\r\n`),
  },
  { what: 'chunks that are none', result: 'bad_answer', endpoint: saying(`${CHUNKED}2\r\nokay`) },
  {
    what: 'chunks without end, quickly',
    result: 'passed',
    endpoint: saying(CHUNKED + `ff\r\n${'x'.repeat(255)}\r\n`.repeat(1_000)),
  },
  {
    what: 'chunks without end, slowly',
    result: 'timed_out',
    check: SHORT,
    endpoint: doing((wire) => endless(wire, CHUNKED, '1\r\nx\r\n')),
  },
  {
    what: 'interim answers without end',
    result: 'timed_out',
    check: SHORT,
    endpoint: doing((wire) => endless(wire, '', 'HTTP/1.1 100 Continue\r\n\r\n')),
  },
  {
    what: 'a head without end',
    result: 'bad_answer',
    endpoint: doing((wire) => endless(wire, 'HTTP/1.1 200 OK\r\n', `x: ${'y'.repeat(2_000)}\r\n`)),
  },
  {
    what: 'a body that ends with its connection',
    result: 'passed',
    endpoint: doing((wire) => {
      wire.write('HTTP/1.0 200 OK\r\n\r\nok');
      wire.end();
    }),
  },
  {
    what: 'an answer byte by byte',
    result: 'passed',
    endpoint: doing((wire) => wire.trickle(OK)),
  },
  {
    what: 'two lengths',
    result: 'bad_answer',
    endpoint: saying('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'),
  },
  {
    what: 'a server of HTTPS that says what it is',
    result: 'bad_status',
    endpoint: saying('HTTP/1.0 400 Bad Request\r\n\r\nThis is HTTPS'),
  },
  {
    what: 'a server of TLS, which sends an alert',
    result: 'bad_answer',
    endpoint: doing((wire) => {
      wire.write(Buffer.from([0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]));
      wire.end();
    }),
  },
  { what: 'no answer', result: 'timed_out', check: SHORT, endpoint: saying('') },
  {
    what: 'an answer that never ends',
    result: 'timed_out',
    check: SHORT,
    endpoint: saying('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
  },
  {
    what: 'an address that says nothing',
    result: 'timed_out',
    check: SHORT,
    endpoint: (t) => blackHole(t, freshAddress()),
  },
  {
    what: 'TCP, a server that says nothing',
    result: 'passed',
    check: { kind: 'tcp' },
    endpoint: (t) => RawEndpoint.listen(t, freshAddress()),
  },
  {
    what: 'TCP, a server that speaks first',
    result: 'passed',
    check: { kind: 'tcp' },
    endpoint: (t) => RawEndpoint.listen(t, freshAddress(), (wire) => wire.write('220 hello\r\n')),
  },
  {
    what: 'TCP, a closed port',
    result: 'connect_failed',
    check: { kind: 'tcp' },
    endpoint: closedPort,
  },
  {
    what: 'TCP, an address that says nothing',
    result: 'timed_out',
    check: { kind: 'tcp', ...SHORT },
    endpoint: (t) => blackHole(t, freshAddress()),
  },
];

for (const { what, result, check, endpoint } of CASES) {
  test(`a check is "${result}": ${what}`, async (t) => {
    const at = await bed(t, [await endpoint(t)], check ?? {});
    // Somebody calls the Service, however that ends.
    const caller = await at.proxy.call(at.service);
    caller.write(GET);
    await at.until(() => at.checks() > 0, 'a check');
    assert.deepEqual(
      CHECK_RESULTS.filter((each) => at.checks(each) > 0),
      [result],
    );
  });
}

test('a gRPC endpoint that does not serve is taken out; when it serves, it comes back', async (t) => {
  const [sick, well] = [await GrpcApp.start(t), await GrpcApp.start(t)];
  const check = { kind: 'grpc', grpcService: 'shop.Cart' } as const;
  const at = await bed(t, [sick, well], check, { http2: true });
  await at.call();
  await at.until(() => sick.asked.length > 0 && well.asked.length > 0, 'checks of both');
  assert.equal(sick.asked[0], `000000000b0a09${Buffer.from('shop.Cart').toString('hex')}`);
  assert.equal(at.word(sick, ENDPOINT_WORD.checkState), CHECK_PASSING);
  sick.says = 2;
  await at.until(() => at.word(sick, ENDPOINT_WORD.health) === EJECTED, 'the ejection');
  assert.equal(at.checks('not_serving') >= CHECK.failures, true);
  sick.says = 1;
  await at.until(() => at.word(sick, ENDPOINT_WORD.health) === IN_ROTATION, 'the return');
});

const GRPC_CASES: readonly (readonly [string, CheckResult, Partial<GrpcApp>])[] = [
  ['SERVICE_UNKNOWN', 'not_serving', { says: 3 }],
  ['UNKNOWN', 'not_serving', { raw: Buffer.from([0, 0, 0, 0, 0]) }],
  ['UNIMPLEMENTED', 'grpc_failed', { says: -12 }],
  ['no message', 'bad_answer', { raw: Buffer.alloc(0) }],
  ['two messages', 'bad_answer', { raw: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]) }],
  ['too long', 'bad_answer', { raw: Buffer.alloc(5_000) }],
  ['a stream that is reset', 'connect_failed', { answer: (stream) => stream.close(7) }],
  ['a session that ends', 'connect_failed', { answer: ({ session }) => session?.destroy() }],
  ['503, as of a proxy', 'bad_status', { answer: responds({ ':status': 503 }) }],
  ['a page', 'bad_answer', { answer: responds({ 'content-type': 'text/html' }, '<html>') }],
  ['a status that is no number', 'bad_answer', { answer: responds({ 'grpc-status': 'OK' }) }],
  ['OK without a message', 'bad_answer', { answer: responds({ 'grpc-status': '0' }) }],
  [
    'a status of more than three digits',
    'bad_answer',
    { answer: responds({ 'grpc-status': '9999' }) },
  ],
];

function responds(fields: http2.OutgoingHttpHeaders, body = '') {
  return (stream: http2.ServerHttp2Stream): void => {
    stream.respond({ ':status': 200, ...fields });
    stream.end(body);
  };
}

for (const [what, result, app] of GRPC_CASES) {
  test(`a gRPC check is "${result}": ${what}`, async (t) => {
    const endpoint = Object.assign(await GrpcApp.start(t), app);
    // Its requests are plain HTTP/1.1 as far as the mesh knows: the check speaks HTTP/2 all the same.
    const at = await bed(t, [endpoint], { kind: 'grpc' });
    const caller = await at.proxy.call(at.service);
    caller.write(GET);
    await at.until(() => at.checks() > 0, 'a check');
    assert.equal(at.checks(result), at.checks());
  });
}

test('an endpoint of HTTP/2 is asked in HTTP/2', async (t) => {
  const app = await GrpcApp.start(t);
  const at = await bed(t, [app], {}, { http2: true });
  await at.call();
  await at.until(() => at.checks('passed') > 1, 'two checks');
});

test('a body of HTTP/2 that is longer than its window is read, as far as anybody reads it', async (t) => {
  const app = await GrpcApp.start(t);
  app.answer = responds({}, 'x'.repeat(1_000_000));
  const at = await bed(t, [app], {}, { http2: true });
  const caller = await at.proxy.call(at.service);
  caller.write(GET);
  caller.discard();
  await at.until(() => at.checks('passed') > 0, 'a check');
});

test('a gRPC check of a server that never answers, or that speaks HTTP/1.1 only, ends', async (t) => {
  const silent = await GrpcApp.start(t);
  silent.answer = () => undefined;
  const old = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const at = await bed(t, [silent, old], { kind: 'grpc', timeoutMs: 2_000 });
  const caller = await at.proxy.call(at.service);
  caller.write(GET);
  await at.until(() => at.checks('timed_out') > 0 && at.checks('bad_answer') > 0, 'both');
  assert.equal(at.checks(), at.checks('timed_out') + at.checks('bad_answer'));
});
