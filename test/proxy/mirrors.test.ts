/** Mirrors of routes by real traffic: who gets copies, and that no caller ever notices. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../src/model/defaults.ts';
import type { Service } from '../../src/model/service.ts';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  MIRROR_RESULTS,
  type MirrorResult,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { MIRROR_MS } from '../../src/proxy/http/mirror.ts';
import { BREAKER_OPEN } from '../../src/proxy/policy/breaker.ts';
import { headers, Http2Peer } from '../support/http2-peer.ts';
import { mirrored, mirrorTo } from '../support/mirrored.ts';
import { exampleBreaker } from '../support/model.ts';
import {
  freshAddress,
  GET,
  OK,
  post,
  type ProxyOptions,
  type ServiceOptions,
  TestProxy,
} from '../support/proxy.ts';
import {
  atEnd,
  blackHole,
  type Dialled,
  eventually,
  RawEndpoint,
  type Serve,
} from '../support/wire.ts';

const KiB = 1024;

interface Setup {
  readonly proxy: TestProxy;
  /** With all of its requests mirrored. */
  readonly web: Service;
  readonly shadow: Service;
  readonly own: RawEndpoint;
}

/** A Service that answers at once, and one with these endpoints that gets copies. */
async function setUp(
  t: TestContext,
  endpoints: readonly (RawEndpoint | Dialled)[],
  options: ProxyOptions & {
    readonly web?: ServiceOptions['policies'];
    readonly shadow?: ServiceOptions['policies'];
  } = {},
): Promise<Setup> {
  const proxy = new TestProxy(t, options);
  const own = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const shadow = proxy.service({
    key: 'shop/shadow',
    endpoints,
    ...(options.shadow === undefined ? {} : { policies: options.shadow }),
  });
  const plain = proxy.service({
    key: 'shop/web',
    endpoints: [own],
    ...(options.web === undefined ? {} : { policies: options.web }),
  });
  const web = mirrored(plain, [mirrorTo(shadow)]);
  await proxy.apply([shadow, web]);
  return { proxy, web, shadow, own };
}

function copies(proxy: TestProxy, service: Service, result: MirrorResult): number {
  return proxy.figure(service, SERVICE_OWN.mirrored + MIRROR_RESULTS.indexOf(result));
}

/** What became of all copies. */
function results(proxy: TestProxy, service: Service): Partial<Record<MirrorResult, number>> {
  const all = MIRROR_RESULTS.map((result) => [result, copies(proxy, service, result)] as const);
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

function assertNothingLeft({ proxy }: Setup): void {
  const { mirrors, room } = proxy.context;
  assert.deepEqual([mirrors.inFlight, mirrors.heldBytes, room.copies], [0, 0, 0]);
}

/** One request on a connection of its own, or on `caller`. */
async function ask(
  { proxy, web }: Setup,
  request = GET,
  caller = proxy.call(web),
): Promise<string> {
  const wire = await caller;
  wire.write(request);
  const head = await wire.head();
  await wire.bytes(Number(/Content-Length: (\d+)/.exec(head)?.[1]));
  return head.slice(9, 12);
}

async function listening(t: TestContext, serve: Serve): Promise<RawEndpoint> {
  return RawEndpoint.listen(t, freshAddress(), serve);
}

const hung: Serve = async (wire) => void (await wire.head());

function withoutMirror(head: string): string {
  return head.replace(/^maesh-mirror: .*\r\n/m, '');
}

test('a mirror gets the same head and content, and is told whose request it copies; its answer goes nowhere', async (t) => {
  const bodies: string[] = [];
  const shadow = await listening(t, async (wire, endpoint) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const head = await wire.head();
      endpoint.heads.push(head);
      const chunked = head.includes('Transfer-Encoding');
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (head.startsWith('POST'))
        bodies.push(await (chunked ? wire.until('\r\n\r\n') : wire.bytes(5)));
      wire.write('HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nbad');
    }
  });
  const all = await setUp(t, [shadow]);
  const { proxy, web, own } = all;
  const caller = proxy.call(web);
  const fields = 'X-A: 1\r\nCookie: a=b\r\n';
  assert.equal(
    await ask(all, `GET /a?b=c HTTP/1.1\r\nHost: h.example\r\n${fields}\r\n`, caller),
    '200',
  );
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the first copy');
  assert.equal(await ask(all, post('hello', fields), caller), '200');
  await eventually(() => copies(proxy, web, 'answered') === 2, 'the second copy');
  assert.equal(shadow.wires.length, 1, 'the connection is used again');
  assert.deepEqual(shadow.heads.map(withoutMirror), own.heads);
  for (const head of shadow.heads) assert.match(head, /^maesh-mirror: web\.shop\r$/m);
  assert.deepEqual(bodies, ['hello']);
  assert.equal(proxy.requests(web, 2), 2);
  assertNothingLeft(all);
});

test('a chunked body is copied with its trailers, and Expect is not', async (t) => {
  const shadow = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const own = await listening(t, async (wire) => {
    await wire.head();
    wire.write('HTTP/1.1 100 Continue\r\n\r\n');
    await wire.until('\r\n\r\n');
    wire.write(OK);
  });
  const to = proxy.service({ key: 'shop/shadow', endpoints: [shadow] });
  const web = mirrored(proxy.service({ key: 'shop/web', endpoints: [own] }), [mirrorTo(to)]);
  await proxy.apply([to, web]);
  const caller = await proxy.call(web);
  caller.write(
    'PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  assert.match(await caller.head(), / 100 /);
  caller.write('3\r\nabc\r\n');
  await own.wires[0]?.until('abc');
  assert.equal(shadow.wires.length, 0, 'nothing is copied before the request is whole');
  caller.write('2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n');
  assert.match(await caller.head(), / 200 /);
  const copy = await shadow.next();
  const head = await copy.head();
  assert.doesNotMatch(head, /expect/i);
  assert.match(await copy.until('\r\n\r\n'), /abcde\r\n0\r\nX-Sum: 5\r\n\r\n$/);
  copy.write(OK);
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the copy');
});

test('a copy is changed as its route says, and not as the backend of the request does', async (t) => {
  const shadow = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const all = await setUp(t, [shadow]);
  const { proxy, own } = all;
  const none = { response: [], rewrite: null };
  const route = {
    request: [{ action: 'set', name: 'x-by', value: 'route' }],
    response: [],
    rewrite: { host: 'inner.example', path: { kind: 'prefix', value: '/v2' } },
    redirect: null,
  } as const;
  const ofBackend = {
    ...none,
    request: [{ action: 'set', name: 'x-by', value: 'backend' }],
  } as const;
  const [port] = all.web.ports;
  assert(port?.protocol === 'http');
  const backends = port.routes.flatMap((each) =>
    each.backends.map((backend) => ({ ...backend, filters: ofBackend })),
  );
  const mirrors = [mirrorTo(all.shadow), mirrorTo(all.shadow)];
  const web = mirrored(all.web, mirrors, { filters: route, backends });
  await proxy.apply([web]);
  const request = 'GET /a HTTP/1.1\r\nHost: a\r\nX-By: caller\r\n\r\n';
  assert.equal(await ask(all, request), '200');
  await eventually(() => copies(proxy, web, 'answered') === 2, 'the copies');
  const [sent = ''] = own.heads;
  assert.match(sent, /^GET \/v2\/a HTTP\/1\.1\r\nHost: inner\.example\r\n/);
  assert.match(sent, /^x-by: backend\r$/m);
  for (const head of shadow.heads) {
    assert.equal(withoutMirror(head), sent.replace('x-by: backend', 'x-by: route'));
    assert.equal(head.match(/^maesh-mirror: web\.shop\r$/gm)?.length, 1);
  }
});

test('a mirror may speak HTTP/2: copies share its connection', async (t) => {
  const peers = await Http2Peer.listen(t, freshAddress());
  const own = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const proxy = new TestProxy(t);
  const shadow = proxy.service({ key: 'shop/shadow', endpoints: [peers], http2: true });
  const plain = proxy.service({ key: 'shop/web', endpoints: [own] });
  const web = mirrored(plain, [mirrorTo(shadow)]);
  await proxy.apply([shadow, web]);
  const all = { proxy, web, shadow, own };
  const caller = proxy.call(web);
  assert.equal(await ask(all, post('first'), caller), '200');
  assert.equal(await ask(all, post('second'), caller), '200');
  const peer = await peers.next();
  assert.equal((await peer.next(0, 1)).payload.toString(), 'first');
  assert.equal((await peer.next(0, 3)).payload.toString(), 'second');
  assert.deepEqual([proxy.context.mirrors.inFlight, proxy.context.room.copies], [2, 0]);
  for (const stream of [1, 3]) peer.write(headers(stream, [[':status', '204']], 0x1));
  await eventually(() => copies(proxy, web, 'answered') === 2, 'the copies');
  assertNothingLeft(all);
});

test('requests of HTTP/2 are copied each as it came, though they come at once on one connection', async (t) => {
  const texts: string[] = [];
  const shadow = await listening(t, async (wire) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const head = await wire.head();
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const body = await wire.until('x-sum: 1\r\n\r\n');
      texts.push(`${head.slice(0, head.indexOf(' HTTP'))} ${/body \d+/.exec(body)?.[0]}`);
      wire.write(OK);
    }
  });
  const all = await setUp(t, [shadow]);
  const { proxy, web } = all;
  const own = await listening(t, async (wire) => {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await wire.until('x-sum: 1\r\n\r\n');
      wire.write(OK);
    }
  });
  const plain = proxy.service({ key: 'shop/web', endpoints: [own] });
  await proxy.apply([mirrored(plain, [mirrorTo(all.shadow)])]);
  const client = http2.connect(`http://${web.address}:${web.ports[0]?.port}`);
  atEnd(t, () => client.destroy());
  const calls = Array.from({ length: 20 }, (_, i) => {
    const path = { ':method': 'POST', ':path': `/${i}` };
    const stream = client.request(path, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }));
    stream.end(`body ${i}`);
    return once(stream.resume(), 'response');
  });
  for (const [head] of await Promise.all(calls)) assert.equal(head[':status'], 200);
  await eventually(() => copies(proxy, web, 'answered') === 20, 'the copies');
  const expected = calls.map((_, i) => `POST /${i} body ${i}`);
  assert.deepEqual(texts.toSorted(), expected.toSorted());
  assertNothingLeft(all);
});

test('chance gives a mirror its share, and each mirror by itself', async (t) => {
  const shadow = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const all = await setUp(t, [shadow]);
  const { proxy } = all;
  const quarter = mirrorTo(all.shadow, { numerator: 1, denominator: 4 });
  const web = mirrored(all.web, [quarter, quarter, mirrorTo(all.shadow, { numerator: 0 })]);
  await proxy.apply([web]);
  const caller = proxy.call(web);
  for (let i = 0; i < 400; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(all, GET, caller);
  }
  await eventually(() => proxy.context.mirrors.inFlight === 0, 'the copies');
  const count = copies(proxy, web, 'answered');
  assert.ok(Math.abs(count - 200) < 50, `${count} copies of 400 requests`);
});

test('a mirror that does not answer delays nobody, and is given up after its time, without blame', async (t) => {
  const shadow = await listening(t, hung);
  const all = await setUp(t, [shadow], { manual: true });
  const { proxy, web } = all;
  const caller = proxy.call(web);
  for (let i = 0; i < 10; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(all, GET, caller), '200');
  }
  assert.equal(proxy.context.mirrors.inFlight, 10);
  await eventually(() => shadow.wires.length === 10, 'the copies to come');
  proxy.advance(MIRROR_MS + 100);
  assert.deepEqual(results(proxy, web), { timed_out: 10 });
  await Promise.all(shadow.wires.map((wire) => wire.gone()));
  assert.equal(proxy.endpointFigure(all.shadow, shadow, ENDPOINT_OWN.failed), 0);
  assert.equal(proxy.endpointFigure(all.shadow, shadow, ENDPOINT_OWN.abandoned), 10);
  assertNothingLeft(all);
});

test('a mirror that refuses or cuts its connections fails copies, and leaves the rotation as for callers', async (t) => {
  const refusing = await RawEndpoint.listen(t, freshAddress());
  refusing.stop();
  const cutting = await listening(t, async (wire) => {
    await wire.head();
    wire.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf');
    wire.reset();
  });
  const all = await setUp(t, [refusing, cutting]);
  const { proxy, web } = all;
  const caller = proxy.call(web);
  const isOut = (): boolean =>
    [refusing, cutting].some(
      (each) => proxy.endpointWord(all.shadow, each, ENDPOINT_WORD.ejections) > 0,
    );
  for (let i = 0; i < 60 && !isOut(); i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(all, GET, caller), '200');
    // oxlint-disable-next-line no-await-in-loop -- as above
    await eventually(() => proxy.context.mirrors.inFlight === 0, 'the copy');
  }
  assert.ok(isOut(), 'one of them is ejected');
  const { failed = 0, ...others } = results(proxy, web);
  assert.ok(failed >= 5);
  assert.deepEqual(others, {});
  assert.equal(proxy.requests(web, 2), failed);
  assertNothingLeft(all);
});

test('a mirror that cannot be reached is given up after the connect time of its Service, and to blame', async (t) => {
  const dead = await blackHole(t, freshAddress());
  const all = await setUp(t, [dead], { manual: true });
  const { proxy, web } = all;
  assert.equal(await ask(all), '200');
  const { connectMs } = DEFAULT_POLICIES.timeouts;
  proxy.advance(connectMs - 100);
  assert.deepEqual(results(proxy, web), {});
  proxy.advance(200);
  assert.deepEqual(results(proxy, web), { timed_out: 1 });
  assert.equal(proxy.endpointFigure(all.shadow, dead, ENDPOINT_OWN.failed), 1);
  assertNothingLeft(all);
});

test('of an answer without end so much is read, and its connection is closed', async (t) => {
  const block = 'x'.repeat(64 * KiB);
  const endless: Serve = async (wire) => {
    await wire.head();
    wire.write('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n');
    const more = (): void => {
      while (wire.ending === 'open' && wire.socket.write(block));
    };
    wire.socket.on('drain', more);
    more();
  };
  const shadow = await listening(t, endless);
  const all = await setUp(t, [shadow]);
  const { proxy, web } = all;
  assert.equal(await ask(all), '200');
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the copy');
  await shadow.wires[0]?.gone();
  assert.equal(proxy.endpointFigure(all.shadow, shadow, ENDPOINT_OWN.failed), 0);
  assertNothingLeft(all);
});

test('an answer that is announced as too long is not read, nor one that takes too long', async (t) => {
  const shadow = await listening(t, async (wire, endpoint) => {
    await wire.head();
    const isFirst = endpoint.wires.length === 1;
    const [status, length] = isFirst ? ['200 OK', 2 * KiB * KiB] : ['503 No', 10];
    wire.write(`HTTP/1.1 ${status}\r\nContent-Length: ${length}\r\n\r\nx`);
  });
  const all = await setUp(t, [shadow], { manual: true });
  const { proxy, web } = all;
  const caller = proxy.call(web);
  assert.equal(await ask(all, GET, caller), '200');
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the long one');
  assert.equal(await ask(all, GET, caller), '200');
  const failed = (): number => proxy.endpointFigure(all.shadow, shadow, ENDPOINT_OWN.failed);
  await eventually(() => failed() === 1, 'the head of the slow one');
  proxy.advance(MIRROR_MS + 100);
  assert.deepEqual(results(proxy, web), { answered: 2 });
  for (const wire of shadow.wires) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await wire.gone();
  }
  assertNothingLeft(all);
});

test('a body that is not kept is not copied, and reaches its endpoint whole', async (t) => {
  const shadow = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const all = await setUp(t, [shadow], {
    web: { retry: { ...DEFAULT_RETRY, bodyBytes: 64 * KiB } },
  });
  const { proxy, web, own } = all;
  const caller = proxy.call(web);
  assert.equal(await ask(all, post('a'.repeat(64 * KiB)), caller), '200');
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the copy');
  assert.ok((shadow.wires[0]?.bytesReceived ?? 0) > 64 * KiB);
  for (const size of [64 * KiB + 1, 500 * KiB]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(all, post('b'.repeat(size)), caller), '200');
  }
  assert.ok((own.wires[0]?.bytesReceived ?? 0) > 628 * KiB);
  assert.deepEqual(results(proxy, web), { answered: 1, too_large: 2 });
});

test('a mirror that takes nothing holds no more than its bound, and its callers are not held back', async (t) => {
  const dead = await blackHole(t, freshAddress());
  const retry = { ...DEFAULT_RETRY, bodyBytes: 2 * KiB * KiB };
  const all = await setUp(t, [dead], { manual: true, web: { retry } });
  const { proxy, web } = all;
  const { mirrors } = proxy.context;
  const caller = proxy.call(web);
  const body = 'x'.repeat(KiB * KiB);
  for (let i = 0; i < 10; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(await ask(all, post(body), caller), '200');
    const { heldBytes } = mirrors;
    assert.ok(heldBytes > body.length && heldBytes <= 8 * KiB * KiB, `${heldBytes} bytes wait`);
  }
  const { over_limit: refused = 0 } = results(proxy, web);
  assert.ok(refused >= 3 && refused < 10, `${refused} of 10`);
  assert.equal(mirrors.inFlight, 10 - refused);
  mirrors.cut();
  assert.deepEqual(results(proxy, web), { over_limit: refused, cut: 10 - refused });
  assertNothingLeft(all);
});

test('a mirror that does not read is given up as one that does not answer', async (t) => {
  const shadow = await listening(t, (wire) => void wire.socket.pause());
  const retry = { ...DEFAULT_RETRY, bodyBytes: 2 * KiB * KiB };
  const all = await setUp(t, [shadow], { manual: true, web: { retry } });
  const { proxy, web } = all;
  assert.equal(await ask(all, post('x'.repeat(2 * KiB * KiB))), '200');
  await eventually(() => shadow.wires.length === 1, 'the copy to come');
  proxy.advance(MIRROR_MS + 100);
  assert.deepEqual(results(proxy, web), { timed_out: 1 });
  assertNothingLeft(all);
});

test('many at once: beyond the bound requests go on without a copy', async (t) => {
  const shadow = await listening(t, hung);
  const all = await setUp(t, [shadow]);
  const { proxy, web } = all;
  const calls = Array.from({ length: 300 }, () => ask(all));
  for (const status of await Promise.all(calls)) assert.equal(status, '200');
  assert.equal(proxy.context.mirrors.inFlight, 256);
  assert.deepEqual(results(proxy, web), { over_limit: 44 });
  await eventually(() => shadow.wires.length === 256, 'the copies to come');
  shadow.close();
  await eventually(() => copies(proxy, web, 'failed') === 256, 'the copies to fail');
  assertNothingLeft(all);
  assert.equal(await ask(all), '200');
});

test('copies take at most half of what an endpoint may have in flight: its own callers have the rest', async (t) => {
  for (const [requestsPerEndpoint, most] of [
    [4, 2],
    [1, 0],
  ] as const) {
    const shadow = await listening(t, async (wire) => {
      const head = await wire.head();
      if (!head.includes('maesh-mirror')) wire.write(OK);
    });
    const limits = { ...DEFAULT_POLICIES.limits, requestsPerEndpoint };
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const all = await setUp(t, [shadow], { shadow: { limits } });
    const { proxy, web } = all;
    const caller = proxy.call(web);
    for (let i = 0; i < 5; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      assert.equal(await ask(all, GET, caller), '200');
    }
    assert.equal(proxy.context.mirrors.inFlight, most);
    assert.deepEqual(results(proxy, web), { over_limit: 5 - most });
    // oxlint-disable-next-line no-await-in-loop -- as above
    assert.equal(await ask({ ...all, web: all.shadow }), '200');
    proxy.context.mirrors.cut();
    assertNothingLeft(all);
  }
});

test('a drain does not wait for copies: they are cut at its end', async (t) => {
  const shadow = await listening(t, hung);
  const all = await setUp(t, [shadow], { manual: true });
  const { proxy, web } = all;
  const caller = await proxy.call(web);
  assert.equal(await ask(all, GET, Promise.resolve(caller)), '200');
  await eventually(() => shadow.wires.length === 1, 'the copy to come');
  caller.end();
  let cut = -1;
  void proxy.server.drain(5_000).then((count) => (cut = count));
  await proxy.advanceUntil(() => cut >= 0, 'the drain');
  assert.equal(cut, 0);
  assert.deepEqual(results(proxy, web), { cut: 1 });
  await shadow.wires[0]?.gone();
  assert.equal(proxy.endpointFigure(all.shadow, shadow, ENDPOINT_OWN.failed), 0);
  assertNothingLeft(all);
});

test('what is not sent to an endpoint is not copied, nor what breaks off, nor an upgrade', async (t) => {
  const shadow = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const all = await setUp(t, [shadow], {
    web: { rateLimit: { average: 3, periodMs: 60_000, burst: 3, per: 'service', callersMax: 1 } },
  });
  const { proxy, web } = all;
  assert.equal(
    await ask(all, `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`),
    '200',
  );
  const leaving = await proxy.call(web);
  leaving.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
  await eventually(() => all.own.wires.some((wire) => wire.pending.includes('half')), 'the half');
  leaving.reset();
  await eventually(() => proxy.failures(web, 'caller_gone') === 1, 'the caller to be gone');
  assert.equal(await ask(all), '200');
  assert.equal(await ask(all), '429');
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the only copy');
  assert.deepEqual(results(proxy, web), { answered: 1 });
});

test('a request that is tried twice is copied once', async (t) => {
  const shadow = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const retry = { ...DEFAULT_RETRY, on: ['status'] as const, statuses: [503], backoffMs: 0 };
  const proxy = new TestProxy(t);
  const own = await RawEndpoint.answering(t, freshAddress(), (_, index) =>
    index === 0 ? OK.replace('200', '503') : OK,
  );
  const to = proxy.service({ key: 'shop/shadow', endpoints: [shadow] });
  const plain = proxy.service({ key: 'shop/web', endpoints: [own], policies: { retry } });
  const web = mirrored(plain, [mirrorTo(to)]);
  await proxy.apply([to, web]);
  assert.equal(await ask({ proxy, web, shadow: to, own }), '200');
  assert.equal(own.heads.length, 2);
  await eventually(() => copies(proxy, web, 'answered') === 1, 'the copy');
  assert.equal(shadow.heads.length, 1);
});

test('a copy is balanced by the Service of its mirror, and counts neither there nor where it came from', async (t) => {
  const shadow = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const breaker = exampleBreaker({ openMs: 60_000, recoveryMs: 1_000 });
  const limits = { ...DEFAULT_POLICIES.limits, requestBodyBytes: 10 };
  const rateLimit = {
    average: 1,
    periodMs: 60_000,
    burst: 1,
    per: 'service',
    callersMax: 1,
  } as const;
  const all = await setUp(t, [shadow], { shadow: { breaker, limits, rateLimit } });
  const { proxy, web } = all;
  const caller = proxy.call(web);
  for (let i = 0; i < 3; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await ask(all, GET, caller);
  }
  await eventually(() => copies(proxy, web, 'answered') === 3, 'copies, whatever the rate limit');
  assert.equal(proxy.endpointFigure(all.shadow, shadow, ENDPOINT_OWN.requests + 2), 3);
  assert.equal(proxy.requests(all.shadow, 2), 0);
  assert.equal(proxy.requests(web, 2), 3);
  await ask(all, post('longer than ten'), caller);
  proxy.setWord(all.shadow, SERVICE_WORD.breakerState, BREAKER_OPEN);
  await ask(all, GET, caller);
  assert.deepEqual(results(proxy, web), { answered: 3, too_large: 1, breaker_open: 1 });
});

test('a mirror that may not be used, is not known or has no endpoint gets nothing', async (t) => {
  const all = await setUp(t, []);
  const { proxy, web } = all;
  await ask(all);
  const invalid = mirrorTo(all.shadow, { invalid: 'not granted' });
  await proxy.apply([mirrored(web, [invalid, mirrorTo(all.shadow, { backend: 'shop/gone:80' })])]);
  assert.equal(await ask(all), '200');
  assert.deepEqual(results(proxy, web), { no_endpoint: 3 });
});

test('no caller can pass for a copy', async (t) => {
  const all = await setUp(t, []);
  await ask(all, `GET / HTTP/1.1\r\nHost: a\r\nMaesh-Mirror: x\r\nMaesh_Mirror: y\r\n\r\n`);
  assert.doesNotMatch(all.own.heads[0] ?? '', /mirror/i);
});
