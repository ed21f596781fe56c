/** Time limits of each phase, on a clock that only the test moves. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies, RetryPolicy, TimeoutPolicy } from '../../src/model/policy.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, proxyFor } from '../support/proxy.ts';
import { heldFor, readSome } from '../support/slow-reader.ts';
import { blackHole, eventually, RawEndpoint, settled } from '../support/wire.ts';

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

const MUCH = 64 << 20;
const STEPS = 12;

test('a caller that reads slowly and steadily is not cut; one that stops is, and blames nobody else', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ idleMs: 1_000 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.discard();
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  const held = heldFor(proxy, service);
  const isFull = (): boolean => heldFor(proxy, service) > held;
  wire.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MUCH}\r\n\r\n`);
  wire.write(Buffer.alloc(MUCH, 120));
  await eventually(isFull, 'the proxy to wait for its reader');
  for (let step = 0; step < STEPS; step++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await readSome(caller, 200_000);
    proxy.advance(800);
    assert.equal(proxy.failures(service, 'response_read_timeout'), 0, `step ${step}`);
  }
  assert.equal(caller.ending, 'open');
  await eventually(isFull, 'the proxy to wait for its reader');
  proxy.advance(2_000);
  assert.equal(proxy.failures(service, 'response_read_timeout'), 1);
  caller.socket.resume();
  assert.equal(await caller.gone(), 'reset');
  await wire.gone();
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
});

test('an endpoint that reads an upload slowly and steadily is not cut; one that stops is: 504, and its own fault', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ idleMs: 1_000, tryMs: 900 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${MUCH}\r\n\r\n`);
  const wire = await endpoint.next();
  await wire.head();
  wire.socket.pause();
  wire.discard();
  const held = heldFor(proxy, service);
  const isFull = (): boolean => heldFor(proxy, service) > held;
  caller.write(Buffer.alloc(MUCH, 120));
  await eventually(isFull, 'the proxy to wait for its reader');
  for (let step = 0; step < STEPS; step++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await readSome(wire, 200_000);
    proxy.advance(800);
    assert.equal(proxy.figure(service, SERVICE_OWN.inFlight), 1, `step ${step}`);
  }
  await eventually(isFull, 'the proxy to wait for its reader');
  proxy.advance(2_000);
  assert.match(await caller.until('\n\r\n'), /^HTTP\/1\.1 504 /);
  assert.equal(proxy.failures(service, 'request_write_timeout'), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 1);
  wire.socket.resume();
  await wire.gone();
});

test('callers that upload slowly do not make a healthy endpoint time out', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: {
      ...policies({ tryMs: 1_000 }),
      ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 2 },
    },
    manual: true,
  });
  const callers = await Promise.all([1, 2, 3, 4].map(() => proxy.call(service)));
  for (const caller of callers)
    caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n');
  await eventually(() => endpoint.wires.length === 4, 'the endpoint to see them');
  for (let sent = 0; sent < 20; sent++) {
    for (const caller of callers) caller.write('x');
    const arrived = (): boolean => endpoint.wires.every((wire) => wire.pending.length > sent);
    // oxlint-disable-next-line no-await-in-loop -- one byte after the other
    if (sent < 19) await eventually(arrived, 'a byte');
    if (sent < 19) proxy.advance(100);
  }
  for (const caller of callers) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.until('ok');
  }
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.timeouts), 0);
});

test('the time for one try runs from the last byte of the request', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ tryMs: 1_000 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na');
  const wire = await endpoint.next();
  await wire.until('\r\n\r\na');
  proxy.advance(3_000);
  caller.write('b');
  await wire.until('b');
  proxy.advance(900);
  assert.equal(wire.ending, 'open');
  proxy.advance(140);
  assert.match(await caller.until('maesh: try_timeout'), /^HTTP\/1\.1 504 /);
});

test('without a time for one try, silence is cut by the idle limit, and says so', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ idleMs: 1_000, tryMs: 0 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  proxy.advance(1_040);
  assert.match(await caller.until('maesh: response_idle_timeout'), /^HTTP\/1\.1 504 /);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 1);
  await wire.gone();
});

test('the time for the request is the fault of a caller that has not sent it all', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: policies({ requestMs: 1_000 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab');
  const wire = await endpoint.next();
  await wire.until('ab');
  proxy.advance(1_040);
  assert.match(await caller.rest(), /^HTTP\/1\.1 408 .*request_body_timeout/s);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  await wire.gone();
});

test('a caller that resets inside an upload that its endpoint does not read is noticed within a second', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const caller = await proxy.call(service);
  caller.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${MUCH}\r\n\r\n`);
  const wire = await endpoint.next();
  await wire.head();
  wire.socket.pause();
  wire.discard();
  caller.write(Buffer.alloc(MUCH, 120));
  await settled(() => 1 + wire.socket.bytesRead);
  caller.reset();
  await new Promise((resolve) => caller.socket.once('close', resolve));
  proxy.advance(1_000);
  assert.equal(proxy.failures(service, 'caller_gone'), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  wire.socket.resume();
  await wire.gone();
});
