/** What a status of gRPC is to the mesh: figures, health, breaker, log. By real calls. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { FAILURES } from '../../src/model/failure.ts';
import { GRPC_CODES, grpcNumber } from '../../src/model/grpc-status.ts';
import { AccessWriter } from '../../src/proxy/call/access.ts';
import { ENDPOINT_OWN, SERVICE_OWN, STATUS_MIN } from '../../src/proxy/ledger/layout.ts';
import type { AccessLog, AccessRecord } from '../../src/proxy/telemetry/access-log.ts';
import {
  answerOf,
  grpcEndpoint,
  GrpcCaller,
  grpcFor,
  inTurn,
  message,
  type Serve,
  status,
  trailersOnly,
} from '../support/grpc.ts';
import { exampleBreaker } from '../support/model.ts';
import { freshAddress, proxyFor, type TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

type Line = Pick<AccessRecord, 'status' | 'grpcStatus' | 'failure'>;

/** What is logged of each request from now on, if its status is at least `min`. */
function logOf({ context }: TestProxy, min = 0): Line[] {
  const lines: Line[] = [];
  const log = {
    wants: (status: number, isFailure: boolean) => isFailure || status >= min,
    origin: () => new Uint8Array(),
    write: ({ status, grpcStatus, failure }: AccessRecord) =>
      lines.push({ status, grpcStatus, failure }),
  };
  context.accessLog = new AccessWriter(log as unknown as AccessLog, context.clock, context.random);
  return lines;
}

const WAYS: readonly (readonly [name: string, make: (status: string) => Serve])[] = [
  ['in a head alone', (code) => status(code)],
  ['in trailers', (code) => message({ 'grpc-status': code })],
];

for (const [where, make] of WAYS) {
  test(`each status of gRPC ${where} counts as its HTTP status`, async (t) => {
    // oxlint-disable no-await-in-loop -- one after the other: each changes the figures
    for (const [number, { name, http }] of GRPC_CODES.entries()) {
      const endpoint = await grpcEndpoint(t, make(String(number)));
      const policies = { breaker: exampleBreaker({ openMs: 1_000, recoveryMs: 1_000 }) };
      const { proxy, service, caller } = await grpcFor(t, [endpoint], { policies });
      const lines = logOf(proxy);
      const answer = await caller.call();
      assert.deepEqual([answer.status, answer.grpc], [200, String(number)], name);
      await eventually(() => lines.length === 1, 'its line');
      assert.deepEqual(lines, [{ status: 200, grpcStatus: name, failure: '' }]);
      const digit = Math.floor(http / 100);
      assert.equal(proxy.requests(service, digit), 1, name);
      const figure = (cell: number): number => proxy.endpointFigure(service, endpoint, cell);
      assert.equal(figure(ENDPOINT_OWN.requests + digit), 1, name);
      // As 503 and 504 do, and no others.
      const isFailure = name === 'UNAVAILABLE' || name === 'DEADLINE_EXCEEDED';
      assert.equal(figure(ENDPOINT_OWN.failed), isFailure ? 1 : 0, name);
      const slot = proxy.ledger.find('status', service.key) ?? -1;
      assert.equal(proxy.ledger.sum('status', slot, http - STATUS_MIN), 1, name);
    }
    // oxlint-enable no-await-in-loop
  });
}

test('a path that something else than gRPC answers is no method, whatever it says', async (t) => {
  const web =
    (more: Record<string, string>): Serve =>
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/html', ...more });
      stream.end('<p>');
    };
  const untyped: Serve = (stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '0' });
    stream.end('<p>');
  };
  const all = [web({}), web({ 'grpc-status': '0' }), untyped, status(5), status(0), message({})];
  const endpoint = await grpcEndpoint(t, inTurn(...all));
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  const methods: string[] = [];
  proxy.context.methods.onMethod = (_, method) => void methods.push(method);
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const i of all.keys()) await caller.call({ ':path': `/made.Up/M${i}` });
  await eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) === 0, 'their end');
  assert.deepEqual(methods, ['other', 'made.Up/M4', 'made.Up/M5']);
});

test('an answer without a status, or with one that is none, is UNKNOWN, as callers take it', async (t) => {
  const odd = [{}, { 'grpc-status': '17' }, { 'grpc-status': 'OK' }, { 'grpc-status': '-1' }];
  const serves = odd.flatMap((fields) => [trailersOnly(fields), message(fields)]);
  const endpoint = await grpcEndpoint(t, inTurn(...serves));
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  const lines = logOf(proxy);
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (const _ of serves) await caller.call();
  await eventually(() => lines.length === serves.length, 'all lines');
  for (const line of lines) assert.equal(line.grpcStatus, 'UNKNOWN');
  assert.equal(proxy.requests(service, 5), serves.length);
});

test('trailers have the last word; a status of HTTP counts where there is none of gRPC', async (t) => {
  const both: Serve = (stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '0' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
    stream.end('x');
  };
  const http: Serve = (stream) => stream.respond({ ':status': 503 }, { endStream: true });
  const limited: Serve = (stream) => stream.respond({ ':status': 429 }, { endStream: true });
  const endpoint = await grpcEndpoint(t, inTurn(both, http, limited));
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  const lines = logOf(proxy);
  await caller.call();
  await caller.call();
  await caller.call();
  await eventually(() => lines.length === 3, 'three lines');
  const told = lines.map(({ status, grpcStatus }) => [status, grpcStatus]);
  assert.deepEqual(told, [
    [200, 'UNAVAILABLE'],
    [503, 'UNAVAILABLE'],
    [429, 'UNAVAILABLE'],
  ]);
  assert.equal(proxy.requests(service, 5), 2);
  assert.equal(proxy.requests(service, 4), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 2);
});

test('failures of gRPC in a row eject an endpoint, also when they come in trailers', async (t) => {
  const bad = await grpcEndpoint(t, message({ 'grpc-status': '14' }));
  const good = await grpcEndpoint(t, message({ 'grpc-status': '0' }));
  const { caller } = await grpcFor(t, [bad, good]);
  for (let i = 0; i < 60; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.call();
  }
  assert.equal(bad.calls.length, 5);
});

test('requests that are no calls of gRPC are what their HTTP status says, whatever else they have', async (t) => {
  const endpoint = await grpcEndpoint(t, message({ 'grpc-status': '14' }));
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  const lines = logOf(proxy);
  for (const type of ['application/json', 'application/grpc-web', undefined]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.call({ 'content-type': type });
  }
  await eventually(() => lines.length === 3, 'three lines');
  for (const line of lines) assert.deepEqual(line, { status: 200, grpcStatus: '', failure: '' });
  assert.equal(proxy.requests(service, 2), 3);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
});

test('what the mesh answers itself has its status in the log, and a log of failures has calls that failed', async (t) => {
  const { proxy, service, caller } = await grpcFor(t, []);
  const lines = logOf(proxy, 500);
  const answer = await caller.call();
  assert.equal(answer.grpc, '14');
  await eventually(() => lines.length === 1, 'its line');
  assert.deepEqual(lines, [{ status: 503, grpcStatus: 'UNAVAILABLE', failure: 'no_endpoint' }]);
  const endpoint = await grpcEndpoint(t, inTurn(...['0', '5', '13'].map((code) => status(code))));
  await proxy.apply([proxy.service({ key: service.key, endpoints: [endpoint], http2: true })]);
  await caller.call();
  await caller.call();
  await caller.call();
  await eventually(() => lines.length > 1, 'the line of the last call');
  assert.deepEqual(lines.slice(1), [{ status: 200, grpcStatus: 'INTERNAL', failure: '' }]);
});

for (const idleMs of [0, 300_000]) {
  const title =
    idleMs === 0
      ? 'a stream is silent for an hour where no time is set for that'
      : 'a stream that is silent for longer than it may ends by a status, whatever PINGs its caller sends';
  test(title, async (t) => {
    let theirs: ServerHttp2Stream | undefined;
    const endpoint = await grpcEndpoint(t, (stream) => {
      theirs = stream;
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc' },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.write('first');
    });
    const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, idleMs } };
    const { proxy, caller } = await grpcFor(t, [endpoint], { policies, manual: true });
    const stream = caller.open();
    const answer = answerOf(stream);
    await once(stream, 'data');
    stream.once('end', () => stream.destroy());
    // In steps within which an endpoint is not taken for silent.
    for (let passed = 0; passed < 3_600_000 && !stream.closed; passed += 8_000) {
      proxy.advance(8_000);
      for (const session of [caller.session, theirs?.session]) {
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await new Promise((resolve) => session?.ping(resolve));
      }
    }
    theirs?.end('last');
    const { grpc, text } = await answer;
    assert.deepEqual([grpc, text], idleMs === 0 ? ['0', 'firstlast'] : ['4', 'first']);
  });
}

test('a call that is refused by its head is logged with the status that its caller got', async (t) => {
  const { proxy, caller } = await grpcFor(t, []);
  const lines = logOf(proxy);
  const many = { note: 'x'.repeat(40_000) };
  assert.equal((await caller.call(many)).grpc, '8');
  assert.equal((await caller.call({ ...many, 'content-type': 'text/plain' })).status, 431);
  const refused = { status: 431, failure: 'head_too_large' };
  assert.deepEqual(lines, [
    { ...refused, grpcStatus: 'RESOURCE_EXHAUSTED' },
    { ...refused, grpcStatus: '' },
  ]);
});

test('endpoints of HTTP/1.1 may say it in trailers, too', async (t: TestContext) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () =>
      'HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nGrpc-Status: 14\r\n\r\n',
  );
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = new GrpcCaller(t, service);
  const answer = await caller.call();
  assert.deepEqual([answer.grpc, answer.text], ['14', 'x']);
  await eventually(() => proxy.requests(service, 5) === 1, 'the figure');
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 1);
});

test('an answer that breaks off ends with a status that says why, behind what came of it', async (t) => {
  const broken: Serve = (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write('half');
    setImmediate(() => stream.session?.destroy());
  };
  const endpoint = await grpcEndpoint(t, broken);
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  const stream = caller.open();
  stream.end('x');
  const answer = await answerOf(stream);
  assert.deepEqual([answer.status, answer.text, answer.grpc], [200, 'half', '14']);
  assert.match(String(answer.trailers['grpc-message']), /^maesh: endpoint_reset_body: /);
  assert.equal(answer.resetBy, 0);
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
  assert.equal(grpcNumber(FAILURES.endpoint_reset_body.grpc), 14);
});

test('where a length was announced, or HTTP is spoken, an answer that breaks off is reset', async (t) => {
  const announced: Serve = (stream) => {
    stream.respond({ ':status': 200, 'content-length': '9' });
    stream.write('half');
    setImmediate(() => stream.session?.destroy());
  };
  const endpoint = await grpcEndpoint(t, announced);
  const { caller } = await grpcFor(t, [endpoint]);
  const cut = await caller.call();
  assert.deepEqual([cut.grpc, cut.resetBy], [undefined, 2]);
  const plain = await caller.call({ 'content-type': 'text/plain' });
  assert.deepEqual([plain.grpc, plain.resetBy], [undefined, 2]);
});
