/** Ports that route TLS by what callers say first, and pass it on untouched. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import tls from 'node:tls';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { IN_ROTATION } from '../../src/proxy/balance/ejection.ts';
import {
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../../src/proxy/ledger/layout.ts';
import { HELLO_BYTES_MAX } from '../../src/proxy/net/tls/hello-watch.ts';
import type { Service } from '../../src/model/service.ts';
import { accessLogOf } from '../support/access-log.ts';
import { TestCa } from '../support/certificates.ts';
import { clientHello, extension, inRecords, helloMessage } from '../support/client-hello.ts';
import { freshAddress, GET, TestProxy, type ProxyOptions } from '../support/proxy.ts';
import { sni, sniRouted } from '../support/sni.ts';
import { deaf } from '../support/tcp.ts';
import { tlsEndpoint, type TlsEndpoint } from '../support/tls-endpoint.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';

const ca = await TestCa.make();

async function server(t: TestContext, name: string, more: object = {}): Promise<TlsEndpoint> {
  const certificate = await ca.issue({ names: [name] });
  const answer = (_: unknown, response: { end(text: string): void }): void => response.end(name);
  return tlsEndpoint(t, freshAddress(), { ...certificate, answer, ...more });
}

interface Two {
  readonly proxy: TestProxy;
  readonly called: Service;
  readonly a: TlsEndpoint;
  readonly b: TlsEndpoint;
}

/** `a.example` leads to one endpoint, whatever is below `x.example` to another one. */
async function two(t: TestContext, options: ProxyOptions = {}): Promise<Two> {
  const a = await server(t, 'a.example', {
    ALPNProtocols: ['h2', 'http/1.1'],
    http2: true,
    allowHTTP1: true,
  });
  const b = await server(t, '*.x.example');
  const proxy = new TestProxy(t, options);
  const [one, other] = [
    proxy.service({ key: 'test/a', endpoints: [a], tcp: true }),
    proxy.service({ key: 'test/b', endpoints: [b], tcp: true }),
  ];
  const own = await RawEndpoint.listen(t, freshAddress());
  const called = sniRouted(proxy.service({ key: 'test/web', endpoints: [own], tcp: true }), [
    [sni('a.example'), one],
    [sni('*.x.example'), other],
  ]);
  await proxy.apply([one, other, called]);
  return { proxy, called, a, b };
}

/** One request over TLS, which is verified; the answer, and who gave it. */
function get(
  called: Service,
  servername: string,
  more: tls.ConnectionOptions = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = tls.connect({
    host: called.address,
    port: called.ports[0]?.port ?? 0,
    servername,
    ca: ca.pem,
    ...more,
  });
  let text = '';
  socket.on('secureConnect', () => {
    socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  });
  socket.on('data', (data: Buffer) => (text += data.toString('latin1')));
  socket.on('end', () => resolve(text.slice(text.indexOf('\r\n\r\n') + 4)));
  socket.on('error', (error) => reject(error));
  return promise;
}

test('two names reach two endpoints, and the caller verifies the certificate of each', async (t) => {
  const { proxy, called, a, b } = await two(t);
  assert.match(await get(called, 'a.example'), /a\.example/);
  assert.match(await get(called, 'b.x.example'), /\*\.x\.example/);
  assert.match(await get(called, 'A.EXAMPLE'), /a\.example/);
  assert.deepEqual([a.accepted(), b.accepted()], [2, 1]);
  await eventually(() => proxy.word(called, SERVICE_WORD.inFlight) === 0, 'the account');
  assert.equal(proxy.requests(called, 1), 3);
  assert.equal(proxy.figure(called, SERVICE_OWN.retries), 0);
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version} is routed, and its sessions are resumed`, async (t) => {
    const { called, b } = await two(t);
    let session: Buffer | undefined;
    for (let i = 0; i < 2; i++) {
      const given = session === undefined ? {} : { session };
      const socket = tls.connect({
        host: called.address,
        port: called.ports[0]?.port ?? 0,
        servername: 'b.x.example',
        ca: ca.pem,
        minVersion: version,
        maxVersion: version,
        ...given,
      });
      socket.on('session', (ticket) => (session = ticket));
      socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      socket.resume();
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await new Promise((resolve) => socket.on('close', resolve));
    }
    assert.deepEqual(
      b.connections.map((each) => each.split(' ').slice(2).join(' ')),
      [`${version} whole`, `${version} resumed`],
    );
  });
}

test('the protocol that callers ask for goes through', async (t) => {
  const { called } = await two(t);
  const socket = tls.connect({
    host: called.address,
    port: called.ports[0]?.port ?? 0,
    servername: 'a.example',
    ca: ca.pem,
    ALPNProtocols: ['h2'],
  });
  await new Promise((resolve) => socket.on('secureConnect', resolve));
  assert.equal(socket.alpnProtocol, 'h2');
  socket.destroy();
});

/** One endpoint that shows what reaches it, for `a.example`. */
async function raw(t: TestContext, options: ProxyOptions = {}) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t, options);
  const one = proxy.service({ key: 'test/a', endpoints: [endpoint], tcp: true });
  const called = sniRouted(proxy.service({ key: 'test/web', tcp: true }), [
    [sni('a.example'), one],
  ]);
  await proxy.apply([one, called]);
  return { proxy, called, one, endpoint };
}

test('all bytes reach the endpoint as they came, however they came', async (t) => {
  const { proxy, called, endpoint } = await raw(t);
  const early = 'early data \x00\xff'.repeat(5_000);
  for (const recordBytes of [1, 7, 16_384]) {
    const hello = clientHello({ recordBytes }).toString('latin1');
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(called);
    caller.write(hello.slice(0, 9));
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await new Promise((resolve) => setImmediate(resolve));
    caller.write(hello.slice(9, 30));
    caller.write(hello.slice(30) + early);
    caller.end();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    const wire = await endpoint.next();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await wire.rest(), hello + early);
    wire.write('late');
    wire.end();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await caller.rest(), 'late');
    assert.equal(proxy.word(called, SERVICE_WORD.inFlight), 0);
  }
});

test('a hello of 32 KiB is passed on whole, and one more byte is refused', async (t) => {
  const { proxy, called, endpoint } = await raw(t);
  const room =
    HELLO_BYTES_MAX - clientHello({ extensions: [extension(51, Buffer.alloc(0))] }).length - 5;
  const longest = clientHello({ extensions: [extension(51, Buffer.alloc(room))] }).toString(
    'latin1',
  );
  const caller = await proxy.call(called);
  caller.write(longest);
  const wire = await endpoint.next();
  assert.equal(await wire.bytes(HELLO_BYTES_MAX), longest);
  const other = await proxy.call(called);
  other.write(
    clientHello({ extensions: [extension(51, Buffer.alloc(room + 1))] }).toString('latin1'),
  );
  assert.equal(await other.gone(), 'reset');
  assert.equal(proxy.failures(called, 'bad_hello'), 1);
});

test('an endpoint that cannot be reached costs another try, and the hello none', async (t) => {
  const [dead, alive] = [await deaf(t), await RawEndpoint.listen(t, freshAddress())];
  const proxy = new TestProxy(t);
  const one = proxy.service({ key: 'test/a', endpoints: [dead, dead, alive], tcp: true });
  const called = sniRouted(proxy.service({ key: 'test/web', tcp: true }), [
    [sni('a.example'), one],
  ]);
  await proxy.apply([one, called]);
  const hello = clientHello().toString('latin1');
  for (let i = 0; i < 6; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(called);
    caller.write(hello);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    const wire = await alive.next();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await wire.bytes(hello.length), hello);
    caller.reset();
  }
  assert.ok(proxy.figure(called, SERVICE_OWN.retries) > 0);
});

const REFUSED: readonly (readonly [
  what: string,
  sends: string,
  reason: 'bad_hello' | 'no_route',
])[] = [
  ['HTTP', GET, 'bad_hello'],
  ['PostgreSQL in plain', '\x00\x00\x00\x08\x00\x03\x00\x00', 'bad_hello'],
  ['SSL 2', '\x80\x2e\x01\x00\x02', 'bad_hello'],
  ['a name with a NUL', clientHello({ name: 'a.example\0' }).toString('latin1'), 'bad_hello'],
  ['a message of 16 MiB', '\x16\x03\x01\x40\x00\x01\xff\xff\xff'.padEnd(16_389, 'x'), 'bad_hello'],
  ['another name', clientHello({ name: 'b.example' }).toString('latin1'), 'no_route'],
  ['no name', clientHello({ name: null }).toString('latin1'), 'no_route'],
  ['an address', clientHello({ name: '127.0.0.1' }).toString('latin1'), 'no_route'],
];

for (const [what, sends, reason] of REFUSED) {
  test(`${what} is reset at once: ${reason}`, async (t) => {
    const { proxy, called, endpoint } = await raw(t);
    const caller = await proxy.call(called);
    caller.write(sends);
    assert.equal(await caller.gone(), 'reset');
    await eventually(() => proxy.failures(called, reason) === 1, 'the account');
    assert.equal(proxy.requests(called, 4), 1);
    assert.equal(proxy.word(called, SERVICE_WORD.inFlight), 0);
    assert.equal(endpoint.wires.length, 0);
  });
}

test('a caller that ends within its hello is refused, and one that said nothing has left', async (t) => {
  const { proxy, called } = await raw(t);
  const half = await proxy.call(called);
  half.write(clientHello().toString('latin1').slice(0, 20));
  half.end();
  assert.equal(await half.gone(), 'reset');
  assert.equal(proxy.failures(called, 'bad_hello'), 1);
  const probe = await proxy.call(called);
  probe.end();
  await probe.gone();
  assert.equal(proxy.failures(called, 'caller_gone'), 1);
});

test('a hello may take its time, and no longer: not by single bytes either', async (t) => {
  const { proxy, called, endpoint } = await raw(t, {
    manual: true,
    settings: { headTimeoutMs: 2_000 },
  });
  const hello = clientHello().toString('latin1');
  const silent = await proxy.call(called);
  const slow = await proxy.call(called);
  const steady = await proxy.call(called);
  await eventually(() => proxy.word(called, SERVICE_WORD.inFlight) === 3, 'all of them');
  for (let i = 0; i < 18; i++) {
    slow.write(hello.charAt(i));
    proxy.advance(100);
  }
  steady.write(hello);
  await endpoint.next();
  proxy.advance(300);
  assert.equal(await silent.gone(), 'reset');
  assert.equal(await slow.gone(), 'reset');
  assert.equal(proxy.failures(called, 'hello_timeout'), 2);
  assert.equal(proxy.requests(called, 4), 2);
  proxy.advance(60_000);
  assert.equal(steady.ending, 'open');
});

test('the time that a caller takes for its hello is not that of the Service', async (t) => {
  const { proxy, called, endpoint } = await raw(t, { manual: true });
  const hello = clientHello().toString('latin1');
  const caller = await proxy.call(called);
  caller.write(hello.slice(0, 30));
  await eventually(() => proxy.word(called, SERVICE_WORD.inFlight) === 1, 'it');
  proxy.advance(5_000);
  caller.write(hello.slice(30));
  await endpoint.next();
  await eventually(() => proxy.requests(called, 1) === 1, 'it to stand');
  assert.ok(proxy.figure(called, SERVICE_OWN.latencySumMs) < 1_000);
});

test('a route that cannot be read takes what comes to it, and leads nowhere', async (t) => {
  const { proxy, called, one, endpoint } = await raw(t);
  const routes = sniRouted(called, [
    [sni('a.example'), one],
    [null, one, 'it cannot be read'],
    [sni('*'), one],
  ]);
  await proxy.apply([routes]);
  const caller = await proxy.call(called);
  caller.write(clientHello().toString('latin1'));
  await endpoint.next();
  const other = await proxy.call(called);
  other.write(clientHello({ name: 'b.example' }).toString('latin1'));
  assert.equal(await other.gone(), 'reset');
  assert.equal(proxy.failures(called, 'invalid_backend'), 1);
  assert.equal(endpoint.wires.length, 1);
});

test('without a match nothing is read before the dial: a server speaks first, wherever the route leads', async (t) => {
  const { proxy, called, one, endpoint } = await raw(t);
  await proxy.apply([sniRouted(called, [[null, one]])]);
  const caller = await proxy.call(called);
  const wire = await endpoint.next();
  wire.write('220 ready\r\n');
  assert.equal(await caller.until('\n'), '220 ready\r\n');
});

test('routes that change hold for the next hello, and no connection hears of it', async (t) => {
  const { proxy, called, one, endpoint } = await raw(t);
  const hello = clientHello().toString('latin1');
  const stands = await proxy.call(called);
  stands.write(hello);
  const wire = await endpoint.next();
  await wire.bytes(hello.length);
  const early = await proxy.call(called);
  early.write(hello.slice(0, 20));
  await eventually(() => proxy.word(called, SERVICE_WORD.inFlight) === 2, 'both');
  await proxy.apply([sniRouted(called, [[sni('b.example'), one]])]);
  early.write(hello.slice(20));
  assert.equal(await early.gone(), 'reset');
  assert.equal(proxy.failures(called, 'no_route'), 1);
  stands.write('still here');
  assert.equal(await wire.bytes(10), 'still here');
});

const SSL = '\x00\x00\x00\x08\x04\xd2\x16\x2f';
const GSS = '\x00\x00\x00\x08\x04\xd2\x16\x30';

test('a client of PostgreSQL is answered before its hello, and its endpoint is asked then', async (t) => {
  const { proxy, called, endpoint } = await raw(t);
  const hello = clientHello().toString('latin1');
  const caller = await proxy.call(called);
  caller.write(GSS);
  assert.equal(await caller.bytes(1), 'N');
  caller.write(SSL.slice(0, 3));
  await new Promise((resolve) => setImmediate(resolve));
  caller.write(SSL.slice(3));
  assert.equal(await caller.bytes(1), 'S');
  assert.equal(endpoint.wires.length, 0);
  caller.write(hello);
  const wire = await endpoint.next();
  assert.equal(await wire.bytes(8), SSL);
  wire.write('S');
  assert.equal(await wire.bytes(hello.length), hello);
  wire.write('ServerHello');
  assert.equal(await caller.bytes(11), 'ServerHello');
});

const UNWILLING: readonly (readonly [what: string, says: string])[] = [
  ['says no', 'N'],
  ['says an error', 'E\x00\x00\x00\x10'],
  ['says more than yes, which nobody has encrypted', 'Smore'],
  ['ends', ''],
  ['resets', 'reset'],
];

for (const [what, says] of UNWILLING) {
  test(`an endpoint that ${what} when it is asked for TLS is one that cannot be reached, and is not blamed`, async (t) => {
    const { proxy, called, one, endpoint } = await raw(t);
    const caller = await proxy.call(called);
    caller.write(SSL);
    assert.equal(await caller.bytes(1), 'S');
    caller.write(clientHello().toString('latin1'));
    for (let i = 0; i < 3; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const wire = await endpoint.next();
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.equal(await wire.bytes(8), SSL);
      if (says === 'reset') wire.reset();
      else if (says === '') wire.end();
      else wire.write(says);
      // oxlint-disable-next-line no-await-in-loop -- likewise
      if (says !== 'reset') assert.equal(await wire.gone(), 'reset');
    }
    assert.equal(await caller.gone(), 'reset');
    const reason = says === 'reset' ? 'connect_failed' : 'tls_handshake_failed';
    await eventually(() => proxy.failures(called, reason) === 1, 'the account');
    assert.equal(proxy.word(called, SERVICE_WORD.inFlight), 0);
    // It may be one of another protocol: what it was asked its caller has chosen.
    assert.equal(proxy.endpointWord(one, endpoint, ENDPOINT_WORD.consecutiveFailures), 0);
    assert.equal(proxy.endpointFigure(one, endpoint, ENDPOINT_OWN.failed), 0);
    assert.equal(proxy.endpointWord(one, endpoint, ENDPOINT_WORD.inFlight), 0);
  });
}

test('callers that ask servers of TLS as those of PostgreSQL eject none of them', async (t) => {
  const servers = [await server(t, 'a.example'), await server(t, 'a.example')];
  const proxy = new TestProxy(t, { manual: true });
  const one = proxy.service({ key: 'test/a', endpoints: servers, tcp: true });
  const called = sniRouted(proxy.service({ key: 'test/web', tcp: true }), [
    [sni('a.example'), one],
  ]);
  await proxy.apply([one, called]);
  for (let i = 0; i < 5; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(called);
    caller.write(SSL);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await caller.bytes(1), 'S');
    caller.write(clientHello().toString('latin1'));
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await caller.gone(), 'reset');
  }
  for (const each of servers) {
    assert.ok(each.accepted() > 0);
    assert.equal(proxy.endpointFigure(one, each, ENDPOINT_OWN.failed), 0);
    assert.equal(proxy.endpointWord(one, each, ENDPOINT_WORD.health), IN_ROTATION);
  }
});

const IMPATIENT: readonly (readonly [what: string, ...writes: string[]])[] = [
  ['sends its hello with the request for TLS', SSL + clientHello().toString('latin1')],
  ['asks for TLS twice', SSL, SSL],
  ['asks for GSSAPI twice', GSS, GSS],
  ['asks for GSSAPI after TLS', SSL, GSS],
  ['asks for something else', '\x00\x00\x00\x08\x04\xd2\x16\x2e'],
];

for (const [what, ...writes] of IMPATIENT) {
  test(`a client of PostgreSQL that ${what} is reset`, async (t) => {
    const { proxy, called } = await raw(t);
    const caller = await proxy.call(called);
    for (const [i, each] of writes.entries()) {
      caller.write(each);
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      if (i < writes.length - 1) await caller.bytes(1);
    }
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(called, 'bad_hello'), 1);
  });
}

test('the access log has the server name', async (t) => {
  const { proxy, called, endpoint } = await raw(t);
  const log = accessLogOf(t, proxy);
  for (const name of ['A.example', 'b.example']) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(called);
    caller.write(inRecords(helloMessage({ name })).toString('latin1'));
    if (name !== 'b.example') {
      // oxlint-disable-next-line no-await-in-loop -- likewise
      await endpoint.next();
      caller.reset();
    }
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await eventually(() => log.text.includes(name.toLowerCase()), 'the line');
  }
  const lines = log.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  assert.partialDeepStrictEqual(lines, [
    { protocol: 'TCP', target: 'a.example', failure: 'caller_gone', tries: 1 },
    { protocol: 'TCP', target: 'b.example', failure: 'no_route', tries: 0 },
  ]);
});

/** The caller is one that may say for whom it calls, and the endpoint wants to know. */
async function behindGateway(t: TestContext) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t, { settings: { trustedSources: ['127.77.0.0/16'] } });
  const proxyProtocol = { ...DEFAULT_POLICIES.proxyProtocol, send: 'v1', accept: true } as const;
  const policies = { proxyProtocol };
  const one = proxy.service({ key: 'test/a', endpoints: [endpoint], tcp: true, policies });
  const web = proxy.service({ key: 'test/web', tcp: true, policies });
  const called = sniRouted(web, [[sni('a.example'), one]]);
  await proxy.apply([one, called]);
  return { proxy, called, endpoint, caller: await proxy.call(called, '127.77.0.1') };
}

const HEADER = 'PROXY TCP4 203.0.113.9 198.51.100.1 40000 443\r\n';

for (const isCut of [false, true]) {
  test(`a hello behind a header of the PROXY protocol is read, ${isCut ? 'cut' : 'whole'}`, async (t) => {
    const { endpoint, caller } = await behindGateway(t);
    const hello = clientHello().toString('latin1');
    const all = `${HEADER}${hello}`;
    if (isCut) await caller.trickle(all);
    else caller.write(all);
    const wire = await endpoint.next();
    assert.equal(await wire.bytes(all.length), all);
    wire.write('hi');
    assert.equal(await caller.bytes(2), 'hi');
  });
}

test('an endpoint is told the caller first, and then asked for TLS', async (t) => {
  const { endpoint, caller } = await behindGateway(t);
  const hello = clientHello().toString('latin1');
  caller.write(HEADER + SSL);
  assert.equal(await caller.bytes(1), 'S');
  caller.write(hello);
  const wire = await endpoint.next();
  assert.equal(await wire.bytes(HEADER.length + SSL.length), HEADER + SSL);
  wire.write('S');
  assert.equal(await wire.bytes(hello.length), hello);
});
