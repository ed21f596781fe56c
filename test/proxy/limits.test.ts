/** What the proxy refuses to hold: heads, slow heads, idle callers, connections, bodies, requests in flight. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { LimitPolicy } from '../../src/model/policy.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, OK, post, proxyFor } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

function limits(more: Partial<LimitPolicy>): { limits: LimitPolicy } {
  return { limits: { ...DEFAULT_POLICIES.limits, ...more } };
}

test('a head of too many bytes or fields gets 431, a target 414; one byte or field less passes', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { headBytesMax: 1_024, headFieldsMax: 10 };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings });
  const empty = 'GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n'.length;
  const sized = (bytes: number): string =>
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(bytes - empty)}\r\n\r\n`;
  const fielded = (count: number): string =>
    `GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(count - 1)}\r\n`;
  const caller = await proxy.call(service);
  caller.write(sized(1_024) + fielded(10));
  await caller.until('ok');
  await caller.until('ok');
  for (const [status, request] of [
    [431, sized(1_025)],
    [431, fielded(11)],
    [414, `GET /${'x'.repeat(5_000)}`],
  ] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    const refused = await proxy.call(service);
    refused.write(request);
    assert.match(
      await refused.rest(),
      new RegExp(`^HTTP/1\\.1 ${status} .*Connection: close`, 's'),
    );
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(service, 'head_too_large'), 2);
  assert.equal(proxy.failures(service, 'target_too_long'), 1);
  assert.equal(proxy.requests(service, 4), 3);
  assert.equal(endpoint.heads.length, 2);
});

test('a head of the most bytes that may be set leaves whole, however much it grows on the way', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { settings: { headBytesMax: 262_144 } });
  const raw = 262_144 - GET.length;
  const caller = await proxy.call(service);
  caller.write(GET.replace('/', `/${'{'.repeat(raw)}`));
  assert.match(await caller.until('\r\n'), /^HTTP\/1\.1 200 /);
  assert(endpoint.heads[0]?.startsWith(`GET /${'%7B'.repeat(raw)} HTTP/1.1\r\n`));
});

test('a head that trickles in is cut off with 408, however many bytes keep coming', async (t) => {
  const { proxy, service } = await proxyFor(t, [], {
    settings: { headTimeoutMs: 5_000 },
    manual: true,
  });
  const caller = await proxy.call(service);
  for (let i = 0; i < 40; i++) {
    caller.write(i === 0 ? 'GET / HTTP/1.1\r\n' : `X-${i}: 1\r\n`);
    // Everything runs on one event loop: a turn of it, and the proxy has read.
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await new Promise((resolve) => setTimeout(resolve, 1));
    proxy.advance(100);
  }
  assert.equal(caller.ending, 'open');
  proxy.advance(1_100);
  assert.match(await caller.rest(), /^HTTP\/1\.1 408 .*request_timeout_head/s);
  assert.equal(proxy.failures(service, 'request_timeout_head'), 1);
});

test('a connection that says nothing is closed after the head time', async (t) => {
  const { proxy, service } = await proxyFor(t, [], {
    settings: { headTimeoutMs: 5_000 },
    manual: true,
  });
  const caller = await proxy.call(service);
  await eventually(() => proxy.context.callerConnections === 1, 'the connection');
  proxy.advance(4_900);
  assert.equal(caller.ending, 'open');
  proxy.advance(200);
  assert.equal(await caller.rest(), '');
  assert.equal(proxy.failures(service, 'request_timeout_head'), 0);
});

test('connections beyond the cap are closed at once and counted, and there is room again later', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { callerConnectionsMax: 3 };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings });
  const callers = [];
  for (let i = 0; i < 3; i++) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(GET);
    await caller.until('ok');
    callers.push(caller);
    // oxlint-enable no-await-in-loop
  }
  const fourth = await proxy.call(service);
  await fourth.gone();
  assert.equal(proxy.context.room.count('connections', 'refused'), 1);
  callers[0]?.end();
  await eventually(() => proxy.context.callerConnections === 2, 'room');
  const fifth = await proxy.call(service);
  fifth.write(GET);
  await fifth.until('ok');
  assert.equal(proxy.figure(service, SERVICE_OWN.callerConnectionsOpened), 4);
});

test('a body beyond the limit gets 413: announced at once, else when it is seen', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: limits({ requestBodyBytes: 10 }),
  });
  const announced = await proxy.call(service);
  announced.write(post('x'.repeat(11)));
  assert.match(await announced.until('body_too_large'), /^HTTP\/1\.1 413 /);
  assert.equal(endpoint.wires.length, 0);
  const chunked = await proxy.call(service);
  chunked.write(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n',
  );
  const wire = await endpoint.next();
  await wire.until('789\r\n');
  chunked.write('1\r\nx\r\n');
  assert.match(await chunked.rest(), /^HTTP\/1\.1 413 .*Connection: close/s);
  await wire.gone();
  assert.equal(wire.pending, '');
  const right = await proxy.call(service);
  right.write(post('0123456789'));
  const fresh = await endpoint.next();
  await fresh.until('0123456789');
  fresh.write(OK);
  await right.until('ok');
  assert.equal(proxy.failures(service, 'body_too_large'), 2);
});

test('a caller that holds all requests in flight of a Service makes room for another one', async (t) => {
  const held: Wire[] = [];
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    // oxlint-disable-next-line no-await-in-loop -- one request after the other
    while ((await wire.head()) !== '') held.push(wire);
  });
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: limits({ requestsInFlight: 4 }),
    manual: true,
  });
  const [greedy, other] = [freshAddress(), freshAddress()];
  /** Whether a request, on a connection of its own, stays. */
  const stays = async (from: string): Promise<boolean> => {
    const before = held.length;
    const caller = await proxy.call(service, from);
    caller.write(GET);
    const isRefused = (): boolean => caller.pending.includes('maesh: overloaded');
    await eventually(() => isRefused() || held.length > before, 'an answer or a try');
    return !isRefused();
  };
  const endOne = async (): Promise<void> => {
    const before = proxy.word(service, SERVICE_WORD.inFlight);
    held.shift()?.write(OK);
    await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) < before, 'its end');
  };
  const seen: string[] = [];
  for (const step of ['greedy', 'greedy', 'greedy', 'greedy', 'greedy', 'other']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    seen.push(`${step} ${await stays(step === 'greedy' ? greedy : other)}`);
  }
  assert.deepEqual(seen.slice(3), ['greedy true', 'greedy false', 'other false']);
  await endOne();
  assert.equal(await stays(greedy), false, 'the last part is kept for the other one');
  assert.equal(await stays(other), true);
  await endOne();
  assert.equal(await stays(other), true, 'up to its share');
  await endOne();
  assert.equal(await stays(other), false, 'and no further');
  assert.equal(await stays(greedy), true);
  await endOne();
  proxy.advance(60_001);
  assert.equal(await stays(greedy), true, 'nobody has come for a minute');
});

test('requests beyond requestsInFlight get 503 at once', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    policies: limits({ requestsInFlight: 2 }),
  });
  const [first, second, third] = await Promise.all([1, 2, 3].map(() => proxy.call(service)));
  assert(first !== undefined && second !== undefined && third !== undefined);
  first.write(GET);
  second.write(GET);
  const wires = [await endpoint.next(), await endpoint.next()];
  await Promise.all(wires.map((wire) => wire.head()));
  third.write(GET);
  assert.match(await third.until('maesh: overloaded'), /^HTTP\/1\.1 503 /);
  for (const wire of wires) wire.write(OK);
  await first.until('ok');
  await second.until('ok');
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 0);
  third.write(GET);
  await Promise.race(wires.map((wire) => wire.head()));
  for (const wire of wires) wire.write(OK);
  await third.until('ok');
});

test('an endpoint at its connection limit gets no more', async (t) => {
  const busy = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [busy], {
    policies: limits({ connectionsPerEndpoint: 1 }),
  });
  const first = await proxy.call(service);
  first.write(GET);
  const wire = await busy.next();
  await wire.head();
  const second = await proxy.call(service);
  second.write(GET);
  assert.match(await second.until('maesh: no_healthy_endpoint'), /^HTTP\/1\.1 503 /);
  wire.write(OK);
  await first.until('ok');
  second.write(GET);
  await wire.head();
  wire.write(OK);
  await second.until('ok');
});

test('2,000 idle callers cost little and are all let go', async (t) => {
  const { proxy, service } = await proxyFor(t, []);
  const before = process.memoryUsage().rss;
  const count = 2_000;
  for (let i = 0; i < count; i += 100) {
    // oxlint-disable-next-line no-await-in-loop -- in parts, so that the backlog holds
    await Promise.all(Array.from({ length: 100 }, () => proxy.call(service)));
  }
  await eventually(() => proxy.context.callerConnections === count, 'all callers');
  const each = (process.memoryUsage().rss - before) / count;
  assert(each < 40_000, `${each} bytes for both ends of a connection`);
});
