/** Time limits of each phase, on a clock that only the test moves. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies, RetryPolicy, TimeoutPolicy } from '../../src/model/policy.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { blackHole, eventually, RawEndpoint } from '../support/wire.ts';

function policies(
  timeouts: Partial<TimeoutPolicy>,
  retry: Partial<RetryPolicy> | null = null,
): Partial<Policies> {
  return {
    timeouts: { ...DEFAULT_POLICIES.timeouts, ...timeouts },
    retry: retry === null ? null : { ...DEFAULT_RETRY, backoffMs: 0, ...retry },
  };
}

test('a try that is not answered in time becomes 504 and counts against the endpoint', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ tryMs: 1_000 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  proxy.advance(980);
  assert.equal(wire.ending, 'open');
  proxy.advance(60);
  assert.match(await caller.until('maesh: try_timeout'), /^HTTP\/1\.1 504 /);
  await wire.gone();
  assert.equal(proxy.failures(service, 'try_timeout'), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.timeouts), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 1);
});

test('a response that has begun is not cut by the time for one try', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ tryMs: 1_000 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
  await caller.until('ab');
  proxy.advance(5_000);
  wire.write('cd');
  await caller.until('cd');
});

test('a try that times out is repeated elsewhere when the policy says so', async (t) => {
  const [slow, quick] = [
    await RawEndpoint.listen(t, freshAddress()),
    await RawEndpoint.answering(t, freshAddress(), () => OK),
  ];
  const { proxy, service } = await proxyFor(t, [slow, quick], {
    policies: {
      ...policies({ tryMs: 1_000 }, { on: ['timeout'] }),
      balance: { ...DEFAULT_POLICIES.balance, algorithm: 'round-robin' },
    },
    manual: true,
  });
  const caller = await proxy.call(service);
  const stuck = slow.next().then((wire) => wire.head());
  caller.write(GET);
  const isAnswered = await Promise.race([caller.until('ok'), stuck]);
  if (isAnswered.endsWith('ok')) {
    caller.write(GET);
    await stuck;
  }
  proxy.advance(1_040);
  await caller.until('ok');
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 1);
  assert.equal(proxy.failures(service, 'try_timeout'), 0);
});

test('the time for the request covers its tries and its back-off', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ tryMs: 1_000, requestMs: 2_500 }, { on: ['timeout'], attempts: 10 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  for (let i = 0; i < 2; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const wire = await endpoint.next();
    await wire.head();
    proxy.advance(1_020);
    await wire.gone();
    // oxlint-enable no-await-in-loop
  }
  const third = await endpoint.next();
  await third.head();
  proxy.advance(500);
  assert.match(await caller.until('maesh: request_timeout:'), /^HTTP\/1\.1 504 /);
  assert.equal(proxy.failures(service, 'request_timeout'), 1);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 2);
});

test('the time for the request ends a response that goes on for ever, with a reset', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ requestMs: 1_000 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab');
  await caller.until('ab');
  proxy.advance(1_040);
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
  assert.equal(proxy.failures(service, 'request_timeout'), 1);
});

test('a body that stands still is cut: from the caller with 408, from the endpoint with a reset', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ idleMs: 1_000 }),
    manual: true,
  });
  const sending = await proxy.call(service);
  sending.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab');
  const first = await endpoint.next();
  await first.until('ab');
  proxy.advance(900);
  sending.write('cd');
  await first.until('cd');
  proxy.advance(900);
  assert.equal(first.ending, 'open');
  proxy.advance(200);
  assert.match(await sending.rest(), /^HTTP\/1\.1 408 .*request_body_timeout/s);
  await first.gone();
  const reading = await proxy.call(service);
  reading.write(GET);
  const second = await endpoint.next();
  await second.head();
  second.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab');
  await reading.until('ab');
  proxy.advance(900);
  second.write('cd');
  await reading.until('cd');
  proxy.advance(1_100);
  assert.equal(await reading.gone(), 'reset');
  assert.equal(proxy.failures(service, 'response_idle_timeout'), 1);
  assert.equal(proxy.failures(service, 'request_body_timeout'), 1);
});

test('a connection that never stands becomes 504', async (t) => {
  const hole = await blackHole(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [hole], {
    policies: policies({ connectMs: 1_000 }, { attempts: 1 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const opened = (): number => proxy.endpointFigure(service, hole, ENDPOINT_OWN.connectionsOpened);
  await eventually(() => opened() === 1, 'the attempt');
  proxy.advance(980);
  assert.equal(caller.pending, '');
  proxy.advance(60);
  assert.match(await caller.until('maesh: connect_timeout'), /^HTTP\/1\.1 504 /);
  assert.equal(proxy.failures(service, 'connect_timeout'), 1);
});

test('a connection that never stands is tried elsewhere, without any policy', async (t) => {
  const hole = await blackHole(t, freshAddress());
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [hole, endpoint], {
    policies: policies({ connectMs: 1_000 }),
    manual: true,
  });
  const callers = await Promise.all(Array.from({ length: 8 }, () => proxy.call(service)));
  for (const caller of callers) caller.write(GET);
  const answered = (): number => callers.filter((caller) => caller.pending.endsWith('ok')).length;
  await proxy.advanceUntil(() => answered() === callers.length, 'all answers');
  assert(proxy.endpointFigure(service, hole, ENDPOINT_OWN.timeouts) > 0);
  assert.equal(proxy.requests(service, 2), callers.length);
});
