/** Whose time counts as an endpoint's latency: breaker, peak EWMA and endpoint figures hear of the endpoint's own alone. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { BreakerPolicy, Policies } from '../../src/model/policy.ts';
import type { Service } from '../../src/model/service.ts';
import {
  ENDPOINT_FLOAT,
  ENDPOINT_OWN,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { BREAKER_CLOSED, BREAKER_OPEN } from '../../src/proxy/policy/breaker.ts';
import { freshAddress, GET, OK, proxyFor, type TestProxy } from '../support/proxy.ts';
import { RawEndpoint } from '../support/wire.ts';

const SLOW_MS = 2_000;
const BREAKER: BreakerPolicy = {
  text: 'LatencyAtQuantileMS(50.0) > 1000',
  expression: {
    kind: 'compare',
    metric: { kind: 'latency-at-quantile', quantile: 50 },
    op: '>',
    value: 1_000,
  },
  checkPeriodMs: 100,
  openMs: 60_000,
  recoveryMs: 60_000,
};
const POLICIES: Partial<Policies> = {
  breaker: BREAKER,
  balance: { ...DEFAULT_POLICIES.balance, algorithm: 'peak-ewma' },
};

function pass(proxy: TestProxy, ms: number): void {
  for (let passed = 0; passed < ms; passed += 100) {
    proxy.advance(100);
    proxy.governor.tick();
  }
}

/** The longest latency that peak EWMA has seen, and the sum of the endpoint's histogram. */
function learnt(proxy: TestProxy, service: Service, endpoint: RawEndpoint): number[] {
  const slot = proxy.endpointSlot(service, endpoint);
  return [
    proxy.ledger.float('endpoint', slot, ENDPOINT_FLOAT.ewmaMs),
    proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.latencySumMs),
  ];
}

test('callers that upload slowly open no breaker on latency, and make no endpoint slow', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: POLICIES, manual: true });
  for (let i = 0; i < 4; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789');
    const wire = await endpoint.next();
    await wire.until('0123456789');
    pass(proxy, SLOW_MS);
    caller.write('abcdefghij');
    await wire.until('abcdefghij');
    wire.write('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
    assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
    // oxlint-enable no-await-in-loop
  }
  pass(proxy, 1_000);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_CLOSED);
  assert.deepEqual(learnt(proxy, service, endpoint), [0, 0]);
  // The whole time is what the Service's own histogram says.
  assert.equal(proxy.figure(service, SERVICE_OWN.latencySumMs), 4 * SLOW_MS);
});

test('an early answer is as old as the last byte that the endpoint got before it', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: POLICIES, manual: true });
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123456789');
  const wire = await endpoint.next();
  await wire.until('0123456789');
  pass(proxy, SLOW_MS);
  caller.write('abc');
  await wire.until('abc');
  pass(proxy, 100);
  wire.write('HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno');
  await caller.until('no');
  assert.deepEqual(learnt(proxy, service, endpoint), [100, 100]);
});

test('the body of a response is not latency: its reader, or its stream, may take its time', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: POLICIES, manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  pass(proxy, 100);
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok');
  await caller.until('ok');
  pass(proxy, SLOW_MS);
  wire.write('ay');
  await caller.until('ay');
  pass(proxy, 1_000);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_CLOSED);
  assert.deepEqual(learnt(proxy, service, endpoint), [100, 100]);
});

test('an endpoint that takes its time opens a breaker on latency', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: POLICIES, manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  pass(proxy, SLOW_MS);
  wire.write(OK);
  await caller.until('ok');
  pass(proxy, 200);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_OPEN);
  assert.deepEqual(learnt(proxy, service, endpoint), [SLOW_MS, SLOW_MS]);
});

test('a breaker on latency hears of all endpoints that a request waited for', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: {
      ...POLICIES,
      timeouts: { ...DEFAULT_POLICIES.timeouts, tryMs: SLOW_MS },
      retry: { ...DEFAULT_RETRY, backoffMs: 0, on: ['timeout'] },
    },
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const hung = await endpoint.next();
  await hung.head();
  pass(proxy, SLOW_MS + 100);
  const quick = await endpoint.next();
  await quick.head();
  quick.write(OK);
  await caller.until('ok');
  pass(proxy, 200);
  assert.equal(proxy.word(service, SERVICE_WORD.breakerState), BREAKER_OPEN);
});
