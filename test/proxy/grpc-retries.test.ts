/** Another try of a call of gRPC: which statuses, and what endpoints say about it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import { GRPC_CODES } from '../../src/model/grpc-status.ts';
import type { Policies, RetryPolicy } from '../../src/model/policy.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import {
  type GrpcAnswer,
  grpcEndpoint,
  grpcFor,
  inTurn,
  message,
  OK,
  type Serve,
  status,
} from '../support/grpc.ts';
import { eventually } from '../support/wire.ts';

const ALL = [
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

function retrying(more: Partial<RetryPolicy> = {}): Partial<Policies> {
  return {
    retry: { ...DEFAULT_RETRY, on: ALL, attempts: 3, backoffMs: 0, ...more },
    ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 0 },
  };
}

test('exactly the codes that retry-on names are tried again, although every call is a POST', async (t) => {
  for (const [number, { name, retry }] of GRPC_CODES.entries()) {
    // oxlint-disable no-await-in-loop -- one after the other
    const endpoint = await grpcEndpoint(t, inTurn(status(number), OK));
    const { proxy, service, caller } = await grpcFor(t, [endpoint], { policies: retrying() });
    const answer = await caller.call({}, 'a message');
    const isRetried = retry !== '';
    assert.equal(answer.grpc, isRetried ? '0' : String(number), name);
    assert.equal(proxy.figure(service, SERVICE_OWN.retries), isRetried ? 1 : 0, name);
    if (!isRetried) continue;
    const others = ALL.filter((word) => word !== retry);
    const again = await grpcEndpoint(t, inTurn(status(number), OK));
    const other = await grpcFor(t, [again], { policies: retrying({ on: others }) });
    assert.equal((await other.caller.call()).grpc, String(number), `${name} is not named`);
    // oxlint-enable no-await-in-loop
  }
});

test('an answer of which anything was passed on is final', async (t) => {
  const headFirst: Serve = (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '14' }));
    stream.end();
  };
  const inTrailers = message({ 'grpc-status': '14' }, 'part');
  const endpoint = await grpcEndpoint(t, inTurn(inTrailers, headFirst));
  const { proxy, service, caller } = await grpcFor(t, [endpoint], { policies: retrying() });
  const first = await caller.call();
  assert.deepEqual([first.grpc, first.text], ['14', 'part']);
  assert.equal((await caller.call()).grpc, '14');
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 0);
});

test('the last answer stands when all tries are used', async (t) => {
  const endpoint = await grpcEndpoint(t, inTurn(status(14), status(8), status(13)));
  const { proxy, service, caller } = await grpcFor(t, [endpoint], { policies: retrying() });
  assert.equal((await caller.call()).grpc, '13');
  assert.equal(endpoint.calls.length, 3);
  // Each try counts at the endpoint as what it was.
  const tries = (digit: number): number =>
    proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + digit);
  await eventually(() => tries(5) === 2, 'the last try');
  assert.deepEqual([tries(2), tries(4)], [0, 1]);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 1);
});

test('a call whose messages are not kept, and one without tokens, is final', async (t) => {
  const endpoint = await grpcEndpoint(t, async (stream, fields) => {
    stream.resume();
    await new Promise((resolve) => stream.once('end', resolve));
    void status(14)(stream, fields);
  });
  const { caller } = await grpcFor(t, [endpoint], { policies: retrying({ bodyBytes: 0 }) });
  assert.equal((await caller.call({}, 'x'.repeat(100_000))).grpc, '14');
  assert.equal(endpoint.calls.length, 1);
  const none = retrying({ budgetRatio: 0, budgetMinPerSecond: 0 });
  const { proxy, service, caller: poor } = await grpcFor(t, [endpoint], { policies: none });
  assert.equal((await poor.call()).grpc, '14');
  assert.equal(endpoint.calls.length, 2);
  assert.equal(proxy.figure(service, SERVICE_OWN.retriesDenied), 1);
});

test('an endpoint that forbids another try gets none', async (t) => {
  for (const word of ['-1', 'never', '', '1.5', '123456789', '+1']) {
    // oxlint-disable no-await-in-loop -- one after the other
    const forbids = status(14, { 'grpc-retry-pushback-ms': word });
    const endpoint = await grpcEndpoint(t, inTurn(forbids, OK));
    const { proxy, service, caller } = await grpcFor(t, [endpoint], { policies: retrying() });
    const answer = await caller.call();
    assert.equal(answer.grpc, '14', word);
    assert.equal(answer.fields['grpc-retry-pushback-ms'], word, 'the caller hears of it');
    assert.equal(proxy.figure(service, SERVICE_OWN.retries), 0);
    // What is not even tried takes no token.
    assert.equal(proxy.figure(service, SERVICE_OWN.retriesDenied), 0);
    // oxlint-enable no-await-in-loop
  }
});

test('an endpoint that says when is tried again then, and waits grow anew from there on', async (t) => {
  const pushed = status(14, { 'grpc-retry-pushback-ms': '500' });
  const endpoint = await grpcEndpoint(t, inTurn(pushed, status(14), OK));
  const policies = retrying({ backoffMs: 100, backoffMaxMs: 10_000, attempts: 5 });
  const { proxy, caller } = await grpcFor(t, [endpoint], {
    manual: true,
    policies,
    random: { next: () => 0.999 },
  });
  let answer: GrpcAnswer | undefined;
  void caller.call().then((each) => (answer = each));
  await eventually(() => endpoint.calls.length === 1, 'the first try');
  const from = proxy.clock.nowMs();
  const at: number[] = [];
  await proxy.advanceUntil(() => {
    if (at.length < endpoint.calls.length - 1) at.push(proxy.clock.nowMs() - from);
    return answer !== undefined;
  }, 'the answer');
  assert.equal(answer?.grpc, '0');
  const [first = 0, second = 0] = at;
  // Ticks and the network come on top.
  assert.ok(first >= 500 && first < 620, `the second try after ${first} ms`);
  assert.ok(
    second - first >= 80 && second - first < 220,
    `the third one ${second - first} ms later`,
  );
});

test('a wait that is longer than anybody has time for is none', async (t) => {
  const pushed = status(14, { 'grpc-retry-pushback-ms': '36000000' });
  const endpoint = await grpcEndpoint(t, inTurn(pushed, OK));
  const { caller } = await grpcFor(t, [endpoint], { policies: retrying() });
  assert.equal((await caller.call()).grpc, '14');
});

test('a status of HTTP is tried again as ever, when there is none of gRPC', async (t) => {
  const http: Serve = (stream) => stream.respond({ ':status': 503 }, { endStream: true });
  const endpoint = await grpcEndpoint(t, inTurn(http, OK));
  const policies = retrying({ on: ['status'], nonIdempotent: true });
  const { caller } = await grpcFor(t, [endpoint], { policies });
  assert.equal((await caller.call()).grpc, '0');
  const both = await grpcEndpoint(t, inTurn(status(14), OK));
  const { caller: other } = await grpcFor(t, [both], { policies });
  assert.equal((await other.call()).grpc, '14', 'its status of HTTP is 200');
});
