/** `grpc-timeout`: how long a call may take, all tries and waits together, and what endpoints are told of it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { exampleBreaker } from '../support/model.ts';
import {
  answerOf,
  type GrpcAnswer,
  grpcEndpoint,
  grpcFor,
  inTurn,
  message,
  OK,
  type Serve,
  status,
} from '../support/grpc.ts';
import type { TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wire.ts';

const timeouts = (more: Partial<Policies['timeouts']>): Partial<Policies> => ({
  timeouts: { ...DEFAULT_POLICIES.timeouts, ...more },
});

const silent: Serve = () => undefined;

/** Time goes by until the answer is there; how much it was, to the tick. */
async function timeOf(proxy: TestProxy, answer: Promise<GrpcAnswer>): Promise<number> {
  let isThere = false;
  void answer.then(() => (isThere = true));
  const from = proxy.clock.nowMs();
  await proxy.advanceUntil(() => isThere, 'the answer');
  return proxy.clock.nowMs() - from;
}

test('a call that takes longer than its caller allows ends with DEADLINE_EXCEEDED and nothing else, and blames nobody', async (t) => {
  const endpoint = await grpcEndpoint(t, silent);
  const { proxy, service, caller } = await grpcFor(t, [endpoint], {
    manual: true,
    policies: { breaker: exampleBreaker({ openMs: 1_000, recoveryMs: 1_000 }) },
  });
  const answer = caller.call({ 'grpc-timeout': '500m' });
  await eventually(() => endpoint.calls.length === 1, 'the call');
  proxy.advance(480);
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 0);
  proxy.advance(60);
  const { status: http, grpc, fields, text } = await answer;
  assert.deepEqual([http, grpc, text], [200, '4', '']);
  assert.match(String(fields['grpc-message']), /^maesh: deadline_exceeded: .*grpc-timeout/);
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 1);
  assert.equal(proxy.requests(service, 5), 1);
  const figure = (cell: number): number => proxy.endpointFigure(service, endpoint, cell);
  assert.deepEqual([figure(ENDPOINT_OWN.failed), figure(ENDPOINT_OWN.abandoned)], [0, 1]);
});

for (const isBegun of [false, true])
  test(`an endpoint that resets the stream when the time is over is not blamed${isBegun ? ', in the middle of its answer either' : ''}`, async (t) => {
    let reset: () => void = () => undefined;
    const endpoint = await grpcEndpoint(t, (stream) => {
      reset = () => void stream.destroy(new Error('its time is over'));
      if (!isBegun) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write('half');
    });
    const { proxy, service, caller } = await grpcFor(t, [endpoint], { manual: true });
    for (const [ms, reason, failed] of [
      [400, isBegun ? 'endpoint_reset_body' : 'endpoint_reset', 1],
      [499, 'deadline_exceeded', 0],
    ] as const) {
      const before = proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed);
      const calls = endpoint.calls.length;
      const stream = caller.open({ 'grpc-timeout': '500m' }).end('x');
      const answer = answerOf(stream);
      // oxlint-disable no-await-in-loop -- one after the other
      if (isBegun) await once(stream, 'response');
      else await eventually(() => endpoint.calls.length > calls, 'the call');
      proxy.advance(ms);
      reset();
      await answer;
      // oxlint-enable no-await-in-loop
      assert.equal(proxy.failures(service, reason), 1);
      const after = proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed);
      assert.equal(after - before, failed);
    }
  });

for (const [asked, limit, reason] of [
  ['1S', 3_000, 'deadline_exceeded'],
  ['3S', 1_000, 'request_timeout'],
] as const) {
  test(`of ${asked} and a limit of ${limit} ms the smaller one holds: ${reason}`, async (t) => {
    const endpoint = await grpcEndpoint(t, silent);
    const policies = timeouts({ requestMs: limit });
    const { proxy, service, caller } = await grpcFor(t, [endpoint], { manual: true, policies });
    const answer = caller.call({ 'grpc-timeout': asked });
    await eventually(() => endpoint.calls.length === 1, 'the call');
    proxy.advance(1_040);
    assert.equal((await answer).grpc, '4');
    assert.equal(proxy.failures(service, reason), 1);
    const told = endpoint.calls[0]?.['grpc-timeout'];
    assert.equal(
      told,
      '1S' === asked ? '1S' : '1000m',
      'the endpoint is told the time that it has',
    );
  });
}

test('no time at all is over before an endpoint is asked', async (t) => {
  const endpoint = await grpcEndpoint(t, OK);
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  for (const none of ['0n', '0H', '00000000S']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal((await caller.call({ 'grpc-timeout': none })).grpc, '4', none);
  }
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 3);
  assert.equal(endpoint.calls.length, 0);
  assert.equal((await caller.call({ 'grpc-timeout': '99999999H' })).grpc, '0');
});

test('what breaks the grammar bounds nothing, and goes on as it came', async (t) => {
  const endpoint = await grpcEndpoint(t, OK);
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  for (const bad of ['', '1', '1s', '-1S', '123456789n', '1.5S', '0', 'S', 'soon']) {
    // oxlint-disable no-await-in-loop -- one after the other
    assert.equal((await caller.call({ 'grpc-timeout': bad })).grpc, '0', bad);
    assert.equal(endpoint.calls.at(-1)?.['grpc-timeout'], bad);
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 0);
});

test('only calls of gRPC have a deadline', async (t) => {
  const endpoint = await grpcEndpoint(t, OK);
  const { caller } = await grpcFor(t, [endpoint]);
  const answer = await caller.call({ 'content-type': 'text/plain', 'grpc-timeout': '0n' });
  assert.equal(answer.text, 'message');
  assert.equal(endpoint.calls[0]?.['grpc-timeout'], '0n');
});

test('an answer that goes on beyond the deadline ends with its status, behind what came', async (t) => {
  const endless: Serve = (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write('half');
  };
  const endpoint = await grpcEndpoint(t, endless);
  const { proxy, service, caller } = await grpcFor(t, [endpoint], { manual: true });
  const stream = caller.open({ 'grpc-timeout': '1S' });
  stream.end('request');
  let seen = '';
  stream.on('data', (data: Buffer) => (seen += data.toString()));
  const answer = answerOf(stream);
  await eventually(() => seen === 'half', 'the first half');
  proxy.advance(1_040);
  const { grpc, text, resetBy } = await answer;
  assert.deepEqual([grpc, text], ['4', 'half']);
  assert.equal(resetBy, 0);
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
});

test('the deadline covers all tries and waits; each try is told what is left, and how many came before it', async (t) => {
  const slow: Serve = async (stream) => {
    await eventually(() => stream.destroyed || isDue, 'its time');
    if (stream.destroyed) return;
    isDue = false;
    stream.respond({ ':status': 200, 'grpc-status': '14' }, { endStream: true });
  };
  let isDue = false;
  const endpoint = await grpcEndpoint(t, slow);
  const retry = { ...DEFAULT_RETRY, on: ['unavailable'] as const, attempts: 5, backoffMs: 0 };
  const { proxy, service, caller } = await grpcFor(t, [endpoint], {
    manual: true,
    policies: { retry },
  });
  const answer = caller.call({ 'grpc-timeout': '1S' });
  for (let tries = 1; tries <= 3; tries++) {
    // oxlint-disable no-await-in-loop -- one after the other
    await eventually(() => endpoint.calls.length === tries, 'a try');
    proxy.advance(300);
    isDue = true;
    // oxlint-enable no-await-in-loop
  }
  await eventually(() => endpoint.calls.length === 4, 'the last try');
  proxy.advance(140);
  assert.equal((await answer).grpc, '4');
  const told = endpoint.calls.map((each) => [
    each['grpc-timeout'],
    each['grpc-previous-rpc-attempts'],
  ]);
  assert.deepEqual(told, [
    ['1S', undefined],
    ['700m', '1'],
    ['400m', '2'],
    ['100m', '3'],
  ]);
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 1);
});

test('tries of the caller itself are added to ours; one that never reached an endpoint is none', async (t) => {
  const endpoint = await grpcEndpoint(t, inTurn(status('14'), OK));
  const gone = await grpcEndpoint(t, OK);
  const retry = {
    ...DEFAULT_RETRY,
    on: ['unavailable', 'connect-failure'] as const,
    attempts: 5,
    backoffMs: 0,
  };
  const { caller } = await grpcFor(t, [endpoint], { policies: { retry } });
  const answer = await caller.call({ 'grpc-previous-rpc-attempts': '2' });
  assert.equal(answer.grpc, '0');
  const told = endpoint.calls.map((each) => each['grpc-previous-rpc-attempts']);
  assert.deepEqual(told, ['2', '3']);
  const dead = { address: gone.address, port: 1 };
  const good = await grpcEndpoint(t, OK);
  const { proxy, service, caller: other } = await grpcFor(t, [dead, good], { policies: { retry } });
  for (let i = 0; i < 10; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal((await other.call()).grpc, '0');
  }
  assert.ok(proxy.figure(service, SERVICE_OWN.retries) > 0);
  for (const each of good.calls) assert.equal(each['grpc-previous-rpc-attempts'], undefined);
});

test('an endpoint that gives up at the deadline of the caller is not to blame', async (t) => {
  const endpoint = await grpcEndpoint(t, inTurn(status('4'), message({ 'grpc-status': '4' })));
  const { proxy, service, caller } = await grpcFor(t, [endpoint]);
  const failed = (): number => proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed);
  await caller.call({ 'grpc-timeout': '5S' });
  await caller.call({ 'grpc-timeout': '5S' });
  assert.equal(failed(), 0);
  assert.equal(proxy.requests(service, 5), 2);
  await caller.call();
  assert.equal(failed(), 1);
});

test('an endpoint waits as long as it was told, and not beyond the deadline', async (t) => {
  const retry = { ...DEFAULT_RETRY, on: ['unavailable'] as const, attempts: 4 };
  const pushed = (ms: string): Serve => status('14', { 'grpc-retry-pushback-ms': ms });
  const endpoint = await grpcEndpoint(t, inTurn(pushed('700'), pushed('0'), pushed('400'), OK));
  const { proxy, service, caller } = await grpcFor(t, [endpoint], {
    manual: true,
    policies: { retry },
  });
  const took = await timeOf(proxy, caller.call({ 'grpc-timeout': '1S' }));
  // 300 ms are left: the last one is not waited for.
  assert.ok(took >= 700 && took < 1_000, String(took));
  assert.equal(endpoint.calls.length, 3);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 2);
  assert.equal(proxy.failures(service, 'deadline_exceeded'), 0);
});
