/** Another try: when, where, how often, with which body; and when not. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Policies, RetryPolicy } from '../../src/model/policy.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { type Dialled, eventually, RawEndpoint, type Wire } from '../support/wire.ts';

function retrying(more: Partial<RetryPolicy> = {}): Partial<Policies> {
  return {
    retry: { ...DEFAULT_RETRY, backoffMs: 0, ...more },
    ejection: { ...DEFAULT_POLICIES.ejection, consecutiveFailures: 0 },
  };
}

/** An address that refuses connections. */
async function refusing(t: TestContext): Promise<Dialled> {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  endpoint.stop();
  return endpoint;
}

async function closeUnanswered(wire: Wire): Promise<void> {
  await wire.head();
  wire.end();
}

test('a refused connection is tried elsewhere without any policy, for any method', async (t) => {
  const gone = await refusing(t);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [gone, endpoint]);
  const caller = await proxy.call(service);
  for (let i = 0; i < 20; i++) {
    caller.write(i % 2 === 0 ? GET : post('hello'));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.until('ok');
  }
  assert.equal(proxy.requests(service, 2), 20);
  assert(proxy.endpointFigure(service, gone, ENDPOINT_OWN.connectFailures) > 0);
});

test('when nobody accepts, three tries are made and the answer is 502', async (t) => {
  const endpoints = [await refusing(t), await refusing(t), await refusing(t), await refusing(t)];
  const { proxy, service } = await proxyFor(t, endpoints);
  const caller = await proxy.call(service);
  caller.write(post('hello'));
  assert.match(await caller.until('maesh: connect_failed'), /^HTTP\/1\.1 502 /);
  const failures = endpoints.map((endpoint) =>
    proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectFailures),
  );
  assert.equal(
    failures.reduce((sum, one) => sum + one, 0),
    3,
  );
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 2);
});

test('a policy bounds the tries, first included', async (t) => {
  const endpoints = [await refusing(t), await refusing(t), await refusing(t)];
  const { proxy, service } = await proxyFor(t, endpoints, {
    policies: retrying({ attempts: 2 }),
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('maesh: connect_failed'), /^HTTP\/1\.1 502 /);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 1);
});

test('a reset before the response is tried at another endpoint', async (t) => {
  const bad = await RawEndpoint.listen(t, freshAddress(), closeUnanswered);
  const good = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [bad, good], { policies: retrying() });
  const caller = await proxy.call(service);
  for (let i = 0; i < 20; i++) {
    caller.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.until('ok');
  }
  assert(bad.wires.length > 0);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), bad.wires.length);
  assert.equal(proxy.endpointFigure(service, bad, ENDPOINT_OWN.resets), bad.wires.length);
  assert.equal(proxy.failures(service, 'endpoint_reset'), 0);
});

test('a POST that an endpoint may have seen is tried again only if the policy says so', async (t) => {
  for (const nonIdempotent of [false, true]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const endpoint = await RawEndpoint.listen(t, freshAddress(), closeUnanswered);
    const { proxy, service } = await proxyFor(t, [endpoint], {
      policies: retrying({ nonIdempotent, attempts: 3 }),
    });
    const caller = await proxy.call(service);
    caller.write(post('hello'));
    assert.match(await caller.until('maesh: endpoint_reset'), /^HTTP\/1\.1 502 /);
    assert.equal(endpoint.wires.length, nonIdempotent ? 3 : 1);
    // oxlint-enable no-await-in-loop
  }
});

test('the body goes along, whole, also when it is longer than the first buffer', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ bodyBytes: 300_000 }),
  });
  const body = Array.from({ length: 40_000 }, (_, i) => `${i},`).join('');
  const caller = await proxy.call(service);
  caller.write(post(body).replace('POST', 'PUT'));
  const first = await endpoint.next();
  await first.head();
  await first.bytes(body.length);
  first.reset();
  const second = await endpoint.next();
  await second.head();
  assert.equal(await second.bytes(body.length), body);
  second.write(OK);
  await caller.until('ok');
});

test('a body longer than may be kept makes the request final', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ bodyBytes: 1_000 }),
  });
  const caller = await proxy.call(service);
  caller.write(post('x'.repeat(100_000)).replace('POST', 'PUT'));
  const first = await endpoint.next();
  await first.head();
  await first.bytes(100_000);
  first.reset();
  assert.match(await caller.until('maesh: endpoint_reset'), /^HTTP\/1\.1 502 /);
  assert.equal(endpoint.wires.length, 1);
});

test('a caller that was held back by the first endpoint goes on with the second', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), (wire, { wires }) => {
    if (wires.length === 1) wire.socket.pause();
  });
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ bodyBytes: 64 << 20 }),
  });
  const size = 30 << 20;
  const caller = await proxy.call(service);
  caller.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
  caller.write(Buffer.alloc(size, 120));
  const first = await endpoint.next();
  await eventually(() => caller.socket.bytesWritten > 1 << 20, 'some of the body');
  await new Promise((resolve) => setTimeout(resolve, 50));
  first.reset();
  const second = await endpoint.next();
  const head = await second.head();
  second.discard();
  await second.received(head.length + size);
  second.write(OK);
  await caller.until('ok');
  assert.equal(second.bytesReceived, head.length + size);
});

test('what comes of the body during a back-off is not lost', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ backoffMs: 1_000, backoffMaxMs: 1_000, bodyBytes: 1_000 }),
    manual: true,
    random: { next: () => 0.5 },
  });
  const caller = await proxy.call(service);
  const rest = 'y'.repeat(100_000);
  caller.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${5 + rest.length}\r\n\r\nhello`);
  const first = await endpoint.next();
  await first.until('hello');
  first.reset();
  await eventually(() => proxy.figure(service, SERVICE_OWN.retries) === 1, 'the retry');
  caller.write(rest);
  await new Promise((resolve) => setTimeout(resolve, 20));
  proxy.advance(520);
  const second = await endpoint.next();
  await second.head();
  assert.equal(await second.bytes(5 + rest.length), `hello${rest}`);
  second.write(OK);
  await caller.until('ok');
});

test('a status of the list is tried again; the last one is passed on', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (_, index) =>
    index === 1 ? OK : 'HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nbad',
  );
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ on: ['status'], statuses: [503] }),
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.equal(await caller.until('ok'), OK);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 1);
  caller.write(GET);
  assert.match(await caller.until('bad'), /^HTTP\/1\.1 503 Busy\r\n/);
  assert.equal(endpoint.heads.length, 4);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.requests + 5), 3);
});

test('a retried 500 does not count against the health of the endpoint, as one that is passed on', async (t) => {
  const endpoint = await RawEndpoint.answering(
    t,
    freshAddress(),
    () => 'HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad',
  );
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ on: ['status'], statuses: [500], attempts: 3 }),
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('bad');
  assert.equal(endpoint.heads.length, 3);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
});

test('back-off waits a random share of a ceiling that doubles', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), closeUnanswered);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ attempts: 4, backoffMs: 1_000, backoffMaxMs: 3_000 }),
    manual: true,
    random: { next: () => 0.5 },
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  const waits = [500, 1_000, 1_500];
  for (const [i, wait] of waits.entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(() => proxy.figure(service, SERVICE_OWN.retries) === i + 1, `retry ${i + 1}`);
    proxy.advance(wait - 1);
    assert.equal(
      proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectionsOpened),
      i + 1,
      'too early',
    );
    proxy.advance(1);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectionsOpened), i + 2);
  }
  assert.match(await caller.until('maesh: endpoint_reset'), /^HTTP\/1\.1 502 /);
});

test('a caller that leaves during a back-off ends it', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), closeUnanswered);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ attempts: 4, backoffMs: 1_000, backoffMaxMs: 1_000 }),
    manual: true,
    random: { next: () => 0.5 },
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  await eventually(() => proxy.figure(service, SERVICE_OWN.retries) === 1, 'the retry');
  caller.reset();
  await eventually(() => proxy.failures(service, 'caller_gone') === 1, 'the end');
  proxy.advance(5_000);
  assert.equal(endpoint.wires.length, 1);
});

test('a used-up budget allows no retry, and says so', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), closeUnanswered);
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: retrying({ attempts: 10, budgetRatio: 0, budgetMinPerSecond: 0.3 }),
    manual: true,
  });
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('maesh: endpoint_reset'), /^HTTP\/1\.1 502 /);
  assert.equal(proxy.figure(service, SERVICE_OWN.retries), 3);
  assert.equal(proxy.figure(service, SERVICE_OWN.retriesDenied), 1);
});

test('after the first byte of a response nothing is tried again', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: retrying() });
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe');
  await caller.until('he');
  wire.reset();
  assert.equal(await caller.gone(), 'reset');
  assert.equal(endpoint.wires.length, 1);
});

test('a bad response is not tried again: the endpoint did answer', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => 'HTTP/1.1 2xx OK\r\n\r\n');
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: retrying() });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('maesh: bad_response');
  assert.equal(endpoint.heads.length, 1);
});
