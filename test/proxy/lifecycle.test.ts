/** Connections over time: pipelining, half-close, keep-alive, the pool, stale connections, early answers. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { ENDPOINT_OWN, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import {
  DATE,
  freshAddress,
  GET,
  OK,
  post,
  proxyFor,
  type ProxyOptions,
} from '../support/proxy.ts';
import { eventually, RawEndpoint, settled } from '../support/wire.ts';

function named(name: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;
}

/** Answers with the path of the request. */
function echo(head: string): string {
  return named(head.split(' ')[1] ?? '');
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
}

test('pipelined requests are answered in their order, whoever answers', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), echo);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(get('/1') + post('x') + get('/3') + 'BAD\r\n\r\n' + get('/never'));
  const answers = await caller.rest();
  const seen = [...answers.matchAll(/HTTP\/1\.1 (\d+)|(\/[123p])/g)].map(([, a, b]) => a ?? b);
  assert.deepEqual(seen.slice(0, 7), ['200', '/1', '200', '/p', '200', '/3', '400']);
  assert.doesNotMatch(answers, /never/);
  assert.equal(endpoint.heads.length, 3);
});

test('a response of the proxy itself keeps its place among pipelined ones', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), echo);
  const policies = { limits: { ...DEFAULT_POLICIES.limits, requestBodyBytes: 3 } };
  const { proxy, service } = await proxyFor(t, [endpoint], { policies });
  const caller = await proxy.call(service);
  caller.write(get('/1') + get('/2') + post('long'));
  await caller.until('/1');
  await caller.until('/2');
  assert.match(await caller.until('\n'), /^HTTP\/1\.1 413 /);
});

test('1,000 pipelined requests pass, answered by the endpoint or by the proxy', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const lonely = proxy.service({ key: 'test/lonely' });
  await proxy.apply([lonely]);
  for (const [target, status] of [
    [service, 200],
    [lonely, 503],
  ] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(target);
    caller.write(GET.repeat(1_000));
    for (let i = 0; i < 1_000; i++) {
      const head = await caller.head();
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), `answer ${i}`);
      await caller.bytes(Number(/Content-Length: (\d+)/.exec(head)?.[1]));
    }
    assert.equal(caller.pending, '');
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(lonely, 'no_endpoint'), 1_000);
  assert.equal(endpoint.wires.length, 1);
});

test('a caller that pipelines and does not read stops being served until it reads', async (t) => {
  const big = 'z'.repeat(100_000);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => named(big));
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.socket.pause();
  caller.discard();
  const count = 600;
  caller.write(GET.repeat(count));
  await settled(() => endpoint.heads.length);
  assert(endpoint.heads.length < count / 2, `${endpoint.heads.length} of ${count} were served`);
  caller.socket.resume();
  await caller.received(count * named(big).length);
  assert.equal(endpoint.heads.length, count);
});

test('the same holds for answers of the proxy itself, and for a caller that has said all', async (t) => {
  const { proxy, service } = await proxyFor(t, [], { settings: { halfClosedCallers: true } });
  const caller = await proxy.call(service);
  caller.socket.pause();
  const count = 40_000;
  caller.write(GET.repeat(count));
  caller.end();
  const served = await settled(() => proxy.failures(service, 'no_endpoint'));
  assert(served < count, 'all were answered');
  caller.socket.resume();
  const answers = await caller.rest();
  assert.equal(answers.split('HTTP/1.1 503').length - 1, count);
  assert.equal(proxy.failures(service, 'no_endpoint'), count);
});

test('a caller that closes its sending side while it waits has given up: its request is cancelled', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const [i, request] of [GET, post('hello'), get('/1') + get('/2')].entries()) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(request);
    const wire = await endpoint.next();
    await wire.head();
    caller.end();
    await wire.gone();
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(service, 'caller_gone'), i + 1);
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
  assert.equal(endpoint.wires.length, 3, 'what waited behind is not begun');
});

test('with --half-closed-callers, a caller that half-closes after its request gets the response, then the close', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], {
    settings: { halfClosedCallers: true },
  });
  const caller = await proxy.call(service);
  caller.write(get('/1') + get('/2'));
  caller.end();
  const wire = await endpoint.next();
  await wire.head();
  wire.write(named('/1'));
  await caller.until('/1');
  await wire.head();
  wire.write(named('/2'));
  assert.match(await caller.rest(), /\/2$/);
});

test('a caller that half-closes between requests is closed', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  caller.write('GET /half HTTP/1.1\r\n');
  caller.end();
  assert.equal(await caller.rest(), '');
  assert.equal(endpoint.heads.length, 1);
});

test('a FIN inside a body ends the request at the endpoint as incomplete', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  for (const body of [
    'Content-Length: 10\r\n\r\nhello',
    'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
  ]) {
    // oxlint-disable no-await-in-loop -- one after the other
    const caller = await proxy.call(service);
    caller.write(`POST / HTTP/1.1\r\nHost: a\r\n${body}`);
    const wire = await endpoint.next();
    await wire.until('hello');
    caller.end();
    await wire.gone();
    assert.doesNotMatch(wire.pending, /0\r\n\r\n/);
    await caller.gone();
    // oxlint-enable no-await-in-loop
  }
  assert.equal(proxy.failures(service, 'caller_gone'), 2);
});

test('a caller that leaves while it waits takes its request with it', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  caller.reset();
  await wire.gone();
  assert.equal(proxy.failures(service, 'caller_gone'), 1);
  assert.equal(proxy.requests(service, 4), 1);
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.failed), 0);
});

test('Connection: close of the caller is obeyed and answered', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`);
  assert.equal(
    await caller.rest(),
    `HTTP/1.1 200 OK\r\n${DATE}Content-Length: 2\r\nConnection: close\r\n\r\nok`,
  );
  assert.equal(endpoint.heads.length, 1);
  assert.doesNotMatch(endpoint.heads[0] ?? '', /close/);
  const other = await proxy.call(service);
  other.write(GET);
  await other.until('ok');
  assert.equal(endpoint.wires.length, 1, 'the connection to the endpoint is used again');
});

test('a keep-alive connection is closed after the idle time, with FIN', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const settings = { callerIdleMs: 5_000 };
  const { proxy, service } = await proxyFor(t, [endpoint], { settings, manual: true });
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  proxy.advance(4_900);
  caller.write(GET);
  await caller.until('ok');
  proxy.advance(4_900);
  caller.write(GET);
  await caller.until('ok');
  proxy.advance(5_040);
  assert.equal(await caller.rest(), '');
});

test('the pool keeps as many idle connections as it may, for as long as it may', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const limits = {
    ...DEFAULT_POLICIES.limits,
    idleConnectionsPerEndpoint: 2,
    idleConnectionMs: 1_000,
  };
  const { proxy, service } = await proxyFor(t, [endpoint], { policies: { limits }, manual: true });
  const callers = await Promise.all([1, 2, 3].map(() => proxy.call(service)));
  for (const caller of callers) caller.write(GET);
  const wires = [await endpoint.next(), await endpoint.next(), await endpoint.next()];
  for (const wire of wires) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await wire.head();
    wire.write(OK);
  }
  for (const caller of callers) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await caller.until('ok');
  }
  await eventually(
    () => wires.filter((wire) => wire.ending === 'open').length === 2,
    'the third connection to be closed',
  );
  assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.connectionsOpened), 3);
  proxy.advance(900);
  assert.equal(wires.filter((wire) => wire.ending === 'open').length, 2);
  proxy.advance(200);
  await Promise.all(wires.map((wire) => wire.gone()));
});

/** Gives the endpoint a connection that it will find stale at the second request. */
async function staleSetUp(t: Parameters<typeof proxyFor>[0], options: ProxyOptions = {}) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint], options);
  const caller = await proxy.call(service);
  caller.write(GET);
  const wire = await endpoint.next();
  await wire.head();
  wire.write(OK);
  await caller.until('ok');
  return { endpoint, proxy, service, caller, wire };
}

test('a GET on a connection that the endpoint just closed is repeated on a fresh one', async (t) => {
  for (const how of ['end', 'reset'] as const) {
    // oxlint-disable no-await-in-loop -- one after the other
    const { endpoint, proxy, service, caller, wire } = await staleSetUp(t);
    caller.write(GET);
    await wire.head();
    wire[how]();
    const fresh = await endpoint.next();
    await fresh.head();
    fresh.write(OK);
    await caller.until('ok');
    assert.equal(proxy.figure(service, SERVICE_OWN.retries), 0);
    assert.equal(proxy.endpointFigure(service, endpoint, ENDPOINT_OWN.resets), 0);
    // oxlint-enable no-await-in-loop
  }
});

test('a POST that an endpoint has read before it closed is not repeated', async (t) => {
  const { endpoint, proxy, service, caller, wire } = await staleSetUp(t);
  caller.write(post('hello'));
  await wire.until('hello');
  wire.end();
  assert.match(await caller.until('maesh: endpoint_reset'), /^HTTP\/1\.1 502 /);
  assert.equal(endpoint.wires.length, 1);
  assert.equal(proxy.failures(service, 'endpoint_reset'), 1);
});

test('a POST is not repeated because the endpoint left a part of it unread: it may have acted on the rest', async (t) => {
  const { endpoint, proxy, service, caller, wire } = await staleSetUp(t);
  const first = 'POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n';
  caller.write(first + 'x'.repeat(3_000));
  await wire.until('x');
  wire.socket.pause();
  caller.write('x'.repeat(3_000));
  await eventually(() => caller.socket.writableLength === 0, 'the whole request to leave');
  // FIN first, then a reset because of what it did not read: a write fails with EPIPE from now on.
  wire.end();
  await new Promise((resolve) => wire.socket.once('finish', resolve));
  wire.socket.destroy();
  assert.match(await caller.until('maesh: endpoint_reset'), /^HTTP\/1\.1 502 /);
  assert.equal(endpoint.wires.length, 1);
  assert.equal(proxy.failures(service, 'endpoint_reset'), 1);
});

test('a POST takes no connection that was idle for long, because it could not be repeated', async (t) => {
  const { endpoint, proxy, caller, wire } = await staleSetUp(t, { manual: true });
  proxy.advance(900);
  caller.write(post('hello'));
  await wire.until('hello');
  wire.write(OK);
  await caller.until('ok');
  proxy.advance(1_100);
  caller.write(post('world'));
  const fresh = await endpoint.next();
  await fresh.until('world');
  fresh.write(OK);
  await caller.until('ok');
  proxy.advance(1_100);
  caller.write(GET);
  assert.match(await fresh.head(), /^GET /);
  fresh.write(OK);
  await caller.until('ok');
  assert.equal(endpoint.wires.length, 2);
});

test('a fresh connection that is closed without an answer is not repeated without a policy', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.head();
    wire.end();
  });
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(GET);
  assert.match(await caller.until('\n'), /^HTTP\/1\.1 502 /);
  assert.equal(endpoint.wires.length, 1);
});

test('an early answer reaches a caller that still sends its body', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n');
  const wire = await endpoint.next();
  await wire.head();
  wire.write(`HTTP/1.1 413 Too Large\r\n${DATE}Content-Length: 2\r\n\r\nno`);
  const piece = 'x'.repeat(100_000);
  for (let i = 0; i < 300; i++) caller.write(piece);
  assert.match(
    await caller.rest(),
    /^HTTP\/1\.1 413 Too Large\r\nDate: .*\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno$/,
  );
  caller.end();
  await wire.gone();
});

test('after an answer of the proxy itself a short body is dropped and the connection kept', async (t) => {
  const { proxy, service } = await proxyFor(t, []);
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
  const head = await caller.head();
  assert.match(head, /^HTTP\/1\.1 503 /);
  assert.doesNotMatch(head, /close/);
  await caller.until('\n');
  caller.write(`world${GET}`);
  assert.match(await caller.head(), /^HTTP\/1\.1 503 /);
  assert.equal(proxy.requests(service, 5), 2);
});

test('after an answer of the proxy itself a long body ends the connection, and the answer is read', async (t) => {
  const { proxy, service } = await proxyFor(t, []);
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n');
  for (let i = 0; i < 30; i++) caller.write('x'.repeat(100_000));
  assert.match(await caller.rest(), /^HTTP\/1\.1 503 .*Connection: close.*no_endpoint/s);
});

test('a body that is dropped has the time of an idle caller in all, however steadily it trickles in', async (t) => {
  const settings = { callerIdleMs: 10_000 };
  const { proxy, service } = await proxyFor(t, [], { settings, manual: true });
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello');
  await caller.until('no_endpoint');
  for (let step = 0; step < 4; step++) {
    caller.write('x');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await settled(() => 1 + caller.socket.writableLength);
    assert.equal(caller.ending, 'open');
    proxy.advance(3_000);
  }
  await eventually(() => caller.ending !== 'open', 'the end');
  assert.equal(caller.ending, 'ended');
});

test('a body that is dropped and never ends is given up with the caller', async (t) => {
  const { proxy, service } = await proxyFor(t, []);
  const caller = await proxy.call(service);
  caller.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello');
  await caller.head();
  await caller.until('\n');
  caller.end();
  assert.equal(await caller.rest(), '');
});
