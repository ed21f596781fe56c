/** Callers that send or read slowly must not make a Service, or an endpoint, look slow or dead to others. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Policies } from '../../src/model/policy.ts';
import { BREAKER_OPEN } from '../../src/proxy/policy/breaker.ts';
import { ENDPOINT_OWN, SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { exampleBreaker } from '../support/model.ts';
import { DATE, freshAddress, OK, post, proxyFor, type TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, settled } from '../support/wire.ts';

const LATENCY = {
  ...exampleBreaker({ openMs: 5_000, recoveryMs: 5_000 }),
  expression: {
    kind: 'compare',
    metric: { kind: 'latency-at-quantile', quantile: 50 },
    op: '>',
    value: 100,
  },
} as const;
const HEAD = post('').replace('Content-Length: 0', 'Content-Length: 4');
const BIG = 20 << 20;

async function behindLatencyBreaker(t: TestContext) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const made = await proxyFor(t, [endpoint], { policies: { breaker: LATENCY }, manual: true });
  tick(made.proxy, 100);
  const isOpen = (): boolean => {
    tick(made.proxy, 200);
    return made.proxy.word(made.service, SERVICE_WORD.breakerState) === BREAKER_OPEN;
  };
  return { endpoint, ...made, isOpen };
}

function tick(proxy: TestProxy, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    proxy.advance(100);
    proxy.governor.tick();
  }
}

test('a breaker on latency does not open for a caller that takes its time to send', async (t) => {
  const { endpoint, proxy, service, isOpen } = await behindLatencyBreaker(t);
  const caller = await proxy.call(service);
  caller.write(HEAD);
  const wire = await endpoint.next();
  await wire.head();
  proxy.advance(600);
  caller.write('abcd');
  await wire.until('abcd');
  wire.write(OK);
  await caller.until('ok');
  assert.equal(isOpen(), false);
});

test('… nor for one that takes its time to read', async (t) => {
  const { endpoint, proxy, service, isOpen } = await behindLatencyBreaker(t);
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.discard();
  caller.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const wire = await endpoint.next();
  await wire.head();
  wire.write(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: ${BIG}\r\n\r\n`);
  wire.write(Buffer.alloc(BIG, 120));
  await settled(() => wire.socket.bytesWritten - wire.socket.writableLength);
  proxy.advance(600);
  caller.socket.resume();
  await caller.received(BIG);
  await eventually(() => proxy.figure(service, SERVICE_OWN.inFlight) === 0, 'the end');
  assert.equal(isOpen(), false);
});

test('… but does for an endpoint that takes its time, with a body or without', async (t) => {
  const { endpoint, proxy, service, isOpen } = await behindLatencyBreaker(t);
  const caller = await proxy.call(service);
  caller.write(`${HEAD}abcd`);
  const wire = await endpoint.next();
  await wire.until('abcd');
  proxy.advance(600);
  wire.write(OK);
  await caller.until('ok');
  assert.equal(isOpen(), true);
});

function limited(): Partial<Policies> {
  return {
    timeouts: { ...DEFAULT_POLICIES.timeouts, requestMs: 1_000 },
    ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 1 },
  };
}

for (const [sendMs, status, reason, failed] of [
  [900, 408, 'request_body_timeout', 0],
  [300, 504, 'request_timeout', 1],
] as const) {
  test(`a caller that takes ${sendMs} of 1000 ms to send gets ${status}`, async (t) => {
    const endpoint = await RawEndpoint.listen(t, freshAddress());
    const { proxy, service } = await proxyFor(t, [endpoint], { policies: limited(), manual: true });
    const caller = await proxy.call(service);
    caller.write(HEAD);
    const wire = await endpoint.next();
    await wire.head();
    proxy.advance(sendMs);
    caller.write('abcd');
    await wire.until('abcd');
    proxy.advance(1_040 - sendMs);
    assert.match(await caller.until(`maesh: ${reason}:`), new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), failed);
  });
}

test('a response that its caller hardly read when the time for the request is over blames the caller', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: limited(), manual: true });
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.discard();
  caller.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const wire = await endpoint.next();
  await wire.head();
  wire.write(`HTTP/1.1 200 OK\r\n${DATE}Content-Length: ${BIG}\r\n\r\n`);
  wire.write(Buffer.alloc(BIG - 2, 120));
  await settled(() => wire.socket.bytesWritten - wire.socket.writableLength);
  proxy.advance(900);
  caller.socket.resume();
  // All that there is: at the end nothing waits for the caller, but two bytes of the endpoint are missing.
  await caller.received(BIG - 2);
  proxy.advance(140);
  assert.equal(await caller.gone(), 'reset');
  assert.equal(proxy.failures(service, 'response_read_timeout'), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
});
