/** What belongs to a request is used by one caller after another: nothing of one may reach the next. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { RequestHost } from '../../src/proxy/http1/caller-request.ts';
import { freshAddress, GET, OK, post, proxyFor, type TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('a caller that is idle for a moment gives its request back, and takes one again', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint], { manual: true });
  const { requests } = proxy.server;
  const first = await proxy.call(service);
  first.write(GET);
  await first.until('ok');
  assert.equal(requests.size, 0);
  await proxy.advanceUntil(() => requests.size === 1, 'the request of an idle caller');
  const second = await proxy.call(service);
  second.write(GET);
  await second.until('ok');
  assert.equal(requests.size, 0, 'the second caller has the request of the first one');
  first.write(GET);
  await first.until('ok');
  second.socket.destroy();
  await eventually(() => requests.size === 1, 'the request of a caller that left');
  first.socket.destroy();
  await eventually(() => requests.size === 2, 'the other one too');
});

test('nothing of one caller is seen by the next, whatever the one before left behind', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), (head) => {
    const [, path = ''] = /^\S+ \/(\S*) /.exec(head) ?? [];
    if (path === 'cut') return 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsec';
    return `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
  });
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const endings: readonly ((i: number) => string)[] = [
    (i) => `GET /secret${i} HTTP/1.1\r\nHost: a\r\nAuthorization: s${i}\r\n\r\n`,
    () => 'GET /cut HTTP/1.1\r\nHost: a\r\n\r\n',
    () => 'POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf',
    () => 'POST /chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal',
    () => 'GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    () => 'GET /old HTTP/1.0\r\n\r\n',
    () => 'GET /par',
    () => `POST /expect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`,
  ];
  for (let i = 0; i < 64; i++) {
    // oxlint-disable no-await-in-loop -- one after the other, so that each has what the one before had
    const leaving = await proxy.call(service);
    leaving.write((endings[i % endings.length] as (i: number) => string)(i));
    await eventually(() => leaving.socket.writableLength === 0, 'what the caller says');
    const before = endpoint.wires.length;
    leaving.socket.destroy();
    await eventually(() => proxy.context.callerConnections === 0, 'the caller to be gone');
    const next = await proxy.call(service);
    next.write(`GET /own${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const head = await next.head();
    assert.match(head, /^HTTP\/1.1 200 /);
    assert.equal(await next.bytes(`own${i}`.length), `own${i}`);
    assert.doesNotMatch(head, /close/i);
    assert.ok(endpoint.wires.length >= before);
    next.socket.destroy();
    await eventually(() => proxy.context.callerConnections === 0, 'the next caller to be gone');
    // oxlint-enable no-await-in-loop
  }
  assert.ok(proxy.server.requests.size <= 2);
});

test('a request that no connection has refuses to work', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const caller = await proxy.call(service);
  caller.write(post('x'));
  await caller.until('ok');
  caller.socket.destroy();
  const { requests } = proxy.server;
  await eventually(() => requests.size === 1, 'the request of the caller that left');
  const request = requests.take({ socket: { bytesWritten: 0 } } as unknown as RequestHost);
  request.detach();
  assert.throws(() => request.port, /Defect: a request without a connection asks for its port/);
  const { record, pick } = request.exchange;
  assert.throws(
    () => record.service.service,
    /Defect: a request without a caller asks for its service/,
  );
  assert.deepEqual(
    [record.ruling, record.tried, pick.affinity, pick.avoid],
    [null, null, -1, null],
  );
  assert.throws(() => request.onExchangeDone(), /asks for its onRequestDone/);
  assert.equal(request.exchange.active, false);
});

/** Calls a Service on two connections at once, and takes it away again. Of it, nothing is left here but this. */
async function comeAndGo(proxy: TestProxy, endpoint: RawEndpoint): Promise<WeakRef<object>> {
  const timeouts = { ...DEFAULT_POLICIES.timeouts, requestMs: 12_345 };
  const service = proxy.service({
    key: 'test/short',
    endpoints: [endpoint],
    policies: { timeouts },
  });
  await proxy.apply([service]);
  const callers: Wire[] = [await proxy.call(service), await proxy.call(service)];
  for (const caller of callers) caller.write(GET);
  for (const caller of callers) {
    // oxlint-disable-next-line no-await-in-loop -- both are under way
    await caller.until('ok');
  }
  for (const caller of callers) caller.socket.destroy();
  await eventually(() => proxy.server.requests.size === 2, 'both requests in the pool');
  await proxy.apply([], { removed: [service.key] });
  return new WeakRef(service.policies);
}

test('a request without a caller keeps no policies of a Service that is gone', async (t) => {
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const { proxy, service } = await proxyFor(t, [endpoint]);
  const policies = await comeAndGo(proxy, endpoint);
  // One of the two has another Service now, and so has the thread. The other one waits.
  const caller = await proxy.call(service);
  caller.write(GET);
  await caller.until('ok');
  assert.equal(proxy.server.requests.size, 1);
  for (let i = 0; i < 5 && policies.deref() !== undefined; i++) {
    // oxlint-disable-next-line no-await-in-loop -- what ran may end
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  assert.equal(policies.deref(), undefined);
});
