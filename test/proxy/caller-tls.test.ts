/** TLS that callers speak with the proxy: what is agreed on, which certificate is shown, and that HTTP inside is as without. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { suite, test, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { HANDSHAKE_RESULTS, SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { LEAVING } from '../../src/proxy/net/caller-room.ts';
import { PATIENCE_MS, UNDER_WAY_MAX } from '../../src/proxy/net/tls/handshake-gate.ts';
import { CallerSocket } from '../../src/proxy/net/tls/caller-socket.ts';
import { renewTicketKeys } from '../../src/proxy/net/tls/ticket-keys.ts';
import { firstHello, refusedDial, resetBelow, secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, GET, OK, post, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import { dial, eventually, RawEndpoint } from '../support/wire.ts';
import { FAILURES } from '../../src/model/failure.ts';
import type { Service } from '../../src/model/service.ts';

const ca = await TestCa.make();
const NAME = 'web.shop.example';
const good = await ca.issue({ names: [NAME] });
const wild = await ca.issue({ names: ['*.wild.example'] });
const bare = await ca.issue({ names: ['other.example', 'more.example'] });

type Wanted = Parameters<TestProxy['service']>[0];

async function secured(t: TestContext, wanted: Wanted = {}, options: ProxyOptions = {}) {
  const proxy = new TestProxy(t, options);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates, ...wanted });
  await proxy.apply([service]);
  return { proxy, endpoint, service, at: placeOf(service) };
}

function placeOf({ address, ports }: Service) {
  return { address, port: ports[0]!.port };
}

/** All that was counted of handshakes. */
function handshakes(proxy: TestProxy, service: Service): Record<string, number> {
  const counts = HANDSHAKE_RESULTS.map(([result, version], i) => [
    `${result} ${version}`.trim(),
    proxy.figure(service, SERVICE_OWN.handshakes + i),
  ]);
  return Object.fromEntries(counts.filter(([, count]) => count !== 0)) as Record<string, number>;
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((all, each) => all + each, 0);
}

test('a request of HTTP/1.1 passes, and its endpoint is told that it came by https', async (t) => {
  const { proxy, endpoint, service, at } = await secured(t);
  const { wire, seen } = await secureDial(t, at, { ALPNProtocols: ['http/1.1'] });
  assert.equal(seen, `${NAME} http/1.1 TLSv1.3 whole`);
  for (let i = 0; i < 3; i++) {
    wire.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await wire.until('ok'), /^HTTP\/1.1 200/);
  }
  assert.match(endpoint.heads[0]!, /\r\nX-Forwarded-Proto: https\r\n/);
  assert.deepEqual(handshakes(proxy, service), { 'full 1.3': 1 });
  assert.equal(proxy.figure(service, SERVICE_OWN.callerConnectionsOpened), 1);
});

test('HTTP/2 is agreed on by ALPN, and requests go on to an endpoint of HTTP/1.1', async (t) => {
  const { endpoint, at } = await secured(t);
  const session = http2.connect(`https://${at.address}:${at.port}`, { rejectUnauthorized: false });
  t.after(() => session.close());
  const answers = await Promise.all([1, 2, 3].map(() => answerOf(session)));
  assert.deepEqual(answers, ['200 ok', '200 ok', '200 ok']);
  assert.equal((session.socket as unknown as { alpnProtocol: string }).alpnProtocol, 'h2');
  assert.match(endpoint.heads[0]!, /\r\nX-Forwarded-Proto: https\r\n/);
  session.close();
  await once(session, 'close');
});

async function answerOf(session: http2.ClientHttp2Session): Promise<string> {
  const stream = session.request({ ':path': '/' });
  const [fields] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  let text = '';
  for await (const piece of stream) text += String(piece);
  return `${String(fields[':status'])} ${text}`;
}

test('an endpoint of HTTP/2 gets the scheme of its caller', async (t) => {
  const proxy = new TestProxy(t);
  const server = http2.createServer();
  const address = freshAddress();
  server.listen(0, address);
  await once(server, 'listening');
  t.after(() => server.close());
  const heads: string[] = [];
  server.on('stream', (stream: http2.ServerHttp2Stream, fields) => {
    heads.push(`${fields[':scheme']} ${String(fields['x-forwarded-proto'])}`);
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  const endpoints = [{ address, port: (server.address() as net.AddressInfo).port }];
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const tls = proxy.service({ key: 'test/tls', endpoints, http2: true, certificates });
  const plain = proxy.service({ key: 'test/plain', endpoints, http2: true });
  await proxy.apply([tls, plain]);
  const { wire } = await secureDial(t, placeOf(tls));
  const other = await proxy.call(plain);
  for (const each of [wire, other, wire]) {
    each.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.match(await each.head(), /^HTTP\/1.1 204/);
  }
  assert.deepEqual(heads, ['https https', 'http http', 'https https']);
  wire.socket.destroy();
});

test('without ALPN, HTTP/1.1 and the preface of HTTP/2 are told apart as on a plain port', async (t) => {
  const { at } = await secured(t);
  const { wire, seen } = await secureDial(t, at);
  assert.match(seen, / - TLSv1.3/);
  wire.write(GET);
  await wire.until('ok');
  const { tls } = await secureDial(t, at);
  const session = http2.connect('http://web', { createConnection: () => tls });
  assert.equal(await answerOf(session), '200 ok');
  session.close();
  await once(session, 'close');
});

test('what was not agreed on is not spoken', async (t) => {
  const { proxy, service, at } = await secured(t);
  const h2 = await secureDial(t, at, { ALPNProtocols: ['h2'] });
  h2.wire.write(GET);
  assert.equal(await h2.wire.rest(), '', 'no answer that would be read as frames');
  const h1 = await secureDial(t, at, { ALPNProtocols: ['http/1.1'] });
  h1.wire.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  assert.match(await h1.wire.head(), /^HTTP\/1.1 (400|505)/);
  assert.equal(proxy.requests(service, 4), 2);
  assert.equal(
    await refusedDial(t, at, { ALPNProtocols: ['spdy/3'] }),
    'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
  );
});

test('versions below 1.2 and weak ciphers are refused', async (t) => {
  const { proxy, service, at } = await secured(t);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const;
  assert.equal(await refusedDial(t, at, old), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  for (const ciphers of [
    'AES128-SHA',
    'ECDHE-ECDSA-AES128-SHA',
    'AES128-GCM-SHA256',
    'DHE-RSA-AES128-GCM-SHA256',
  ])
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal(
      // oxlint-disable-next-line no-await-in-loop -- as above
      await refusedDial(t, at, { maxVersion: 'TLSv1.2', ciphers }),
      'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
      ciphers,
    );
  assert.equal(
    (await secureDial(t, at, { maxVersion: 'TLSv1.2' })).seen,
    `${NAME} - TLSv1.2 whole`,
  );
  await eventually(() => proxy.failures(service, 'caller_tls_failed') === 5, 'the failures');
  assert.deepEqual(handshakes(proxy, service), { failed: 5, 'full 1.2': 1 });
  assert.equal(proxy.requests(service, 4), 5, 'they are the fault of callers');
});

test('certificates are chosen by name, exactly or by wildcard, and the first one otherwise', async (t) => {
  const { proxy, service, at } = await secured(t);
  const certificates = [
    await proxy.certify('shop/web', good, [NAME]),
    await proxy.certify('shop/wild', wild, ['*.wild.example']),
    await proxy.certify('shop/bare', bare, ['other.example', 'more.example']),
  ];
  await proxy.apply([
    { ...service, ports: service.ports.map((port) => ({ ...port, callerTls: { certificates } })) },
  ]);
  for (const [servername, expected] of [
    ['', NAME],
    [NAME, NAME],
    ['other.example', 'other.example'],
    ['MORE.example', 'other.example'],
    ['a.wild.example', '*.wild.example'],
    ['b.a.wild.example', NAME],
    ['wild.example', NAME],
    ['unknown.example', NAME],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { seen, wire } = await secureDial(t, at, servername === '' ? {} : { servername });
    assert.equal(seen.split(' ')[0], expected, servername);
    wire.socket.destroy();
  }
});

suite('sessions', () => {
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    test(`are resumed by ticket, until its secret is replaced (${maxVersion})`, async (t) => {
      const { proxy, service, at } = await secured(t);
      const first = await secureDial(t, at, { maxVersion });
      const session = await sessionOf(first);
      assert.ok(session !== undefined);
      const again = await secureDial(t, at, { maxVersion, session });
      assert.match(again.seen, /resumed$/);
      again.wire.write(GET);
      await again.wire.until('ok');
      renewTicketKeys(proxy.ticketKeys);
      const later = await secureDial(t, at, { maxVersion, session });
      assert.match(later.seen, /whole$/);
      const version = maxVersion.slice(4);
      await eventually(() => sum(handshakes(proxy, service)) === 3, 'the figures');
      assert.deepEqual(handshakes(proxy, service), {
        [`full ${version}`]: 2,
        [`resumed ${version}`]: 1,
      });
    });
  }

  test('of a certificate that was replaced are not resumed', async (t) => {
    const { proxy, at } = await secured(t);
    const first = await secureDial(t, at);
    const session = await sessionOf(first);
    await proxy.certify('shop/web', bare, ['other.example']);
    assert.equal(
      (await secureDial(t, at, { session: session! })).seen,
      'other.example - TLSv1.3 whole',
    );
  });

  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    test(`of a certificate that was chosen are of no other Service, and end with it (${maxVersion})`, async (t) => {
      const { proxy, endpoint, service, at } = await secured(t);
      const certificates = [
        await proxy.certify('shop/web', good, [NAME]),
        await proxy.certify('shop/bare', bare, ['other.example']),
      ];
      const callerTls = { certificates };
      const ports = service.ports.map((port) => ({ ...port, callerTls }));
      const others = [await proxy.certify('away/web', good, [NAME])];
      const away = proxy.service({
        key: 'away/web',
        endpoints: [endpoint],
        certificates: others,
      });
      await proxy.apply([{ ...service, ports }, away]);
      const chosen = { maxVersion, servername: 'other.example' } as const;
      const first = await secureDial(t, at, chosen);
      assert.match(first.seen, /^other.example .* whole$/);
      const session = (await sessionOf(first))!;
      assert.match((await secureDial(t, at, { ...chosen, session })).seen, /resumed$/);
      const elsewhere = await secureDial(t, placeOf(away), { ...chosen, session });
      assert.equal(elsewhere.seen, `${NAME} - ${maxVersion} whole`);
      await proxy.server.applyCredentials({ changed: [], removed: ['shop/bare'] });
      const after = await secureDial(t, at, { ...chosen, session });
      assert.equal(after.seen, `${NAME} - ${maxVersion} whole`);
    });
  }

  test('take no early data', async (t) => {
    const { at } = await secured(t);
    const { tls, wire } = await secureDial(t, at);
    const session = await sessionOf({ tls, wire });
    // The ticket of a server that takes some says how much, in an extension that has this number.
    assert.equal(session!.includes(Buffer.from('MaxEarlyData')), false);
    assert.ok(session !== undefined);
  });
});

async function sessionOf({
  tls,
  wire,
}: Pick<Awaited<ReturnType<typeof secureDial>>, 'tls' | 'wire'>): Promise<Buffer | undefined> {
  // Tickets of TLS 1.3 come behind the handshake.
  let session: Buffer | undefined;
  tls.on('session', (each: Buffer) => (session = each));
  wire.write(GET);
  await wire.until('ok');
  return session ?? tls.getSession();
}

test('a new certificate is for new connections, and those that stand go on', async (t) => {
  const { proxy, at, service } = await secured(t);
  const before = await secureDial(t, at);
  const certificate = await proxy.certify('shop/web', bare, ['other.example']);
  const callerTls = { certificates: [certificate] };
  await proxy.apply([{ ...service, ports: service.ports.map((port) => ({ ...port, callerTls })) }]);
  const after = await secureDial(t, at);
  assert.match(after.seen, /^other.example/);
  for (const { wire } of [before, after]) {
    wire.write(GET);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await wire.until('ok');
  }
});

test('a port whose certificate is gone refuses callers, and finishes what runs', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates });
  await proxy.apply([service]);
  const at = placeOf(service);
  const { wire } = await secureDial(t, at);
  wire.write(GET);
  const inner = await endpoint.next();
  await inner.head();
  await proxy.server.applyCredentials({ changed: [], removed: ['shop/web'] });
  assert.equal(await refusedDial(t, at), 'ECONNREFUSED');
  inner.write(OK);
  assert.match(await wire.until('ok'), /Connection: close/i);
  await wire.gone();
  await proxy.certify('shop/web', good, [NAME]);
  assert.match((await secureDial(t, at)).seen, / whole$/);
});

test('a caller that comes while the certificate goes is reset', async (t) => {
  const { proxy, service, at } = await secured(t);
  // The listener has not heard of it yet.
  proxy.context.credentials.apply({ changed: [], removed: ['shop/web'] });
  assert.equal(await refusedDial(t, at), 'ECONNRESET');
  assert.equal(proxy.failures(service, 'tls_no_certificate'), 1);
});

suite('who speaks no TLS', () => {
  test('is told so, if it may speak HTTP', async (t) => {
    const { proxy, service, at } = await secured(t);
    const wire = await dial(t, at);
    wire.write(GET);
    const [head = '', body = ''] = (await wire.rest()).split('\r\n\r\n');
    assert.match(head, /^HTTP\/1.1 400 /);
    assert.equal(/^content-length: (\d+)$/im.exec(head)?.[1], String(body.length));
    assert.equal(body, `maesh: tls_expected: ${FAILURES.tls_expected.cause}\n`);
    assert.equal(proxy.failures(service, 'tls_expected'), 1);
    assert.equal(proxy.requests(service, 4), 1);
  });

  test('is reset otherwise, at its first byte', async (t) => {
    const { proxy, service, at } = await secured(t);
    const wire = await dial(t, at);
    wire.write('\0');
    assert.equal(await wire.gone(), 'reset');
    assert.equal(proxy.failures(service, 'tls_expected'), 1);
  });

  test('and says nothing is let go of after the time for heads, uncounted', async (t) => {
    const { proxy, service, at } = await secured(t, {}, { manual: true });
    const wire = await dial(t, at);
    await eventually(() => proxy.context.callerConnections === 1, 'the caller');
    proxy.advance(proxy.context.settings.headTimeoutMs + 1_000);
    assert.equal(await wire.gone(), 'ended');
    assert.deepEqual(handshakes(proxy, service), {});
    const other = await dial(t, at);
    other.end();
    assert.equal(await other.gone(), 'ended');
    assert.deepEqual(handshakes(proxy, service), {});
  });
});

test('who speaks TLS to a plain port gets an answer that says so in the figures', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.answering(t, freshAddress(), () => OK);
  const service = proxy.service({ endpoints: [endpoint] });
  await proxy.apply([service]);
  assert.match(await refusedDial(t, placeOf(service)), /WRONG_VERSION_NUMBER|PACKET_LENGTH/);
  assert.equal(proxy.failures(service, 'tls_unexpected'), 1);
});

suite('slow handshakes', () => {
  const HELLO = Buffer.from('16030100050100001000', 'hex');

  test('that stay in the first message end with the time for heads', async (t) => {
    const { proxy, service, at } = await secured(t, {}, { manual: true });
    const wire = await dial(t, at);
    wire.write(HELLO);
    const held = (): number => proxy.context.room.bytes;
    await eventually(() => held() > 0 && proxy.context.callerConnections === 1, 'the caller');
    await new Promise((resolve) => setTimeout(resolve, 50));
    proxy.advance(proxy.context.settings.headTimeoutMs + 1_000);
    assert.equal(await wire.gone(), 'reset');
    assert.equal(proxy.failures(service, 'caller_tls_timeout'), 1);
    assert.deepEqual(handshakes(proxy, service), { timed_out: 1 });
  });

  test('that stop behind it, too', async (t) => {
    const { proxy, service, at } = await secured(t, {}, { manual: true });
    const wire = await dial(t, at);
    wire.write(await firstHello({ servername: NAME }));
    await wire.bytes(100);
    assert.equal(proxy.context.callerTls.gate.underWay, 1);
    proxy.advance(proxy.context.settings.headTimeoutMs + 1_000);
    assert.equal(await wire.gone(), 'reset');
    assert.equal(proxy.failures(service, 'caller_tls_timeout'), 1);
    assert.equal(proxy.context.callerTls.gate.underWay, 0);
  });

  test('that keep all places give way to a newcomer of the same source', async (t) => {
    const { proxy, service, at } = await secured(t, {}, { manual: true });
    const { gate } = proxy.context.callerTls;
    const hello = await firstHello({ servername: NAME });
    for (let i = 0; i < UNDER_WAY_MAX; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const wire = await dial(t, at);
      wire.write(hello);
    }
    await eventually(() => gate.underWay === UNDER_WAY_MAX, 'all places to be taken');
    const newcomer = secureDial(t, at);
    await eventually(() => gate.waiting === 1, 'the newcomer to wait');
    proxy.advance(PATIENCE_MS + 40);
    const { wire } = await newcomer;
    wire.write(GET);
    await wire.until('ok');
    assert.deepEqual(handshakes(proxy, service), { failed: 1, 'full 1.3': 1 });
    assert.equal(proxy.failures(service, 'caller_shed'), 1);
  });

  test('that break off are counted once', async (t) => {
    const { proxy, service, at } = await secured(t);
    const wire = await dial(t, at);
    wire.write(await firstHello({ servername: NAME }));
    await wire.bytes(100);
    wire.reset();
    await eventually(() => proxy.failures(service, 'caller_tls_failed') === 1, 'the failure');
    await eventually(() => proxy.context.callerConnections === 0, 'the caller to be gone');
    assert.deepEqual(handshakes(proxy, service), { failed: 1 });
  });

  test('whose first message comes byte by byte succeed', async (t) => {
    const { at } = await secured(t);
    const relay = net.createServer((caller) => {
      const proxy = net.connect(at.port, at.address);
      caller.on('data', (data) => {
        for (const byte of data as Buffer) proxy.write(Buffer.of(byte));
      });
      proxy.setNoDelay(true);
      proxy.on('data', (data) => caller.write(data));
      for (const each of [caller, proxy]) each.on('error', () => undefined);
      caller.on('close', () => proxy.destroy());
      t.after(() => caller.destroy());
    });
    const address = freshAddress();
    relay.listen(0, address);
    await once(relay, 'listening');
    t.after(() => relay.close());
    const { port } = relay.address() as net.AddressInfo;
    const { wire, seen } = await secureDial(
      t,
      { address, port },
      { ALPNProtocols: ['h2', 'http/1.1'] },
    );
    assert.match(seen, / h2 TLSv1.3/);
    wire.socket.destroy();
  });
});

test('long bodies pass both ways as they are, also while nobody reads them for a moment', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    const head = await wire.head();
    const length = Number(/content-length: (\d+)/i.exec(head)![1]);
    const body = await wire.bytes(length);
    wire.write(`HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: ${length}\r\n\r\n`);
    wire.write(body);
  });
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates });
  await proxy.apply([service]);
  const text = Array.from({ length: 500_000 }, (_, i) => (i * 2_654_435_761).toString(36)).join('');
  const { wire } = await secureDial(t, placeOf(service));
  wire.write(post(text));
  await wire.head();
  wire.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 50));
  wire.socket.resume();
  assert.ok((await wire.bytes(text.length)) === text, 'byte by byte');
});

test('requests that wait behind one that runs are all answered', async (t) => {
  const { endpoint, at } = await secured(t);
  const { wire } = await secureDial(t, at);
  const filler = 'x'.repeat(900);
  const count = 200;
  wire.write(GET.replace('\r\n\r\n', `\r\nA: ${filler}\r\n\r\n`).repeat(count));
  for (let i = 0; i < count; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await wire.until('\r\n\r\nok');
  }
  assert.equal(endpoint.heads.length, count);
  assert.ok(endpoint.heads.every((head) => head.includes(filler)));
});

test('a reader that is slow gets all of a response, and one that stops is cut', async (t) => {
  const proxy = new TestProxy(t);
  const size = 8_000_000;
  const endpoint = await RawEndpoint.listen(t, freshAddress(), async (wire) => {
    await wire.head();
    wire.write(`HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: ${size}\r\n\r\n`);
    wire.write(Buffer.alloc(size));
  });
  const certificates = [await proxy.certify('shop/web', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates });
  await proxy.apply([service]);
  const { wire } = await secureDial(t, placeOf(service));
  wire.write(GET);
  await wire.head();
  wire.discard();
  wire.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 100));
  const [guest] = proxy.context.room.guestsOf(service.key);
  assert.ok(guest!.heldBytes < 1_000_000, `${guest!.heldBytes} bytes are held`);
  wire.socket.resume();
  await wire.received(size);
});

test('a connection of TCP ends its TLS at the mesh', async (t) => {
  const proxy = new TestProxy(t);
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const certificates = [await proxy.certify('shop/db', good, [NAME])];
  const service = proxy.service({ endpoints: [endpoint], certificates, tcp: true });
  await proxy.apply([service]);
  const { wire, seen } = await secureDial(t, placeOf(service), { ALPNProtocols: ['postgresql'] });
  assert.match(seen, / - TLSv1.3/, 'what is inside is not known, so nothing is agreed on');
  const inner = await endpoint.next();
  inner.write('server first');
  await wire.until('server first');
  wire.write('caller');
  await inner.until('caller');
  wire.end();
  assert.equal(await inner.rest(), '');
  inner.write('still there');
  await wire.until('still there');
  inner.end();
  assert.equal(await wire.rest(), '');
  const other = await secureDial(t, placeOf(service));
  const otherInner = await endpoint.next();
  otherInner.write('x');
  await other.wire.until('x');
  otherInner.reset();
  assert.equal(await other.wire.gone(), 'reset');
});

test('a drain tells callers to go, and lets handshakes come to their end', async (t) => {
  const { proxy, service, at } = await secured(t);
  const session = http2.connect(`https://${at.address}:${at.port}`, { rejectUnauthorized: false });
  assert.equal(await answerOf(session), '200 ok');
  const silent = await dial(t, at);
  const shaking = await dial(t, at);
  shaking.write(await firstHello({ servername: NAME }));
  await shaking.bytes(100);
  const goaway = once(session, 'goaway');
  const over = proxy.server.drain(5_000);
  await goaway;
  await once(session, 'close');
  assert.equal(await silent.gone(), 'ended');
  assert.equal(proxy.failures(service, 'draining'), 0);
  shaking.reset();
  assert.equal(await over, 0);
});

test('a handshake that cannot even begin closes the connection, and keeps no place', async (t) => {
  const { proxy, service, at } = await secured(t, {}, { defects: true });
  const begin = t.mock.method(CallerSocket, 'begin', () => {
    throw new Error('not now');
  });
  assert.notEqual(await refusedDial(t, at, { servername: NAME }), 'secured');
  await eventually(() => proxy.context.callerConnections === 0, 'the end');
  assert.equal(proxy.context.callerTls.gate.underWay, 0);
  assert.equal(proxy.failures(service, 'internal'), 1);
  begin.mock.restore();
  const { wire } = await secureDial(t, at, { servername: NAME });
  wire.write(GET);
  await wire.until('ok');
});

for (const tcp of [false, true])
  test(`who asks and resets at once is not kept for longer than a moment (${tcp ? 'TCP' : 'HTTP'})`, async (t) => {
    // What is said to a caller that is gone.
    const ending = await RawEndpoint.listen(t, freshAddress(), (wire) => {
      setTimeout(() => {
        wire.write(OK);
        wire.end();
      }, 5);
    });
    const wanted = tcp ? { tcp, endpoints: [ending] } : {};
    const { proxy, service, at } = await secured(t, wanted, { manual: true });
    for (let i = 0; i < 10; i++) {
      const tls = connect({ host: at.address, port: at.port, rejectUnauthorized: false });
      tls.on('error', () => undefined);
      // By then it is sent: the proxy reads the end of the handshake, this and the reset in one go.
      tls.on('secureConnect', () => {
        tls.write(tcp ? GET : 'no request\r\n\r\n');
        setImmediate(() => resetBelow(tls));
      });
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await once(tls, 'close');
    }
    const { room } = proxy.context;
    await eventually(
      () => [...room.guestsOf(service.key)].every(({ standing }) => standing === LEAVING),
      'all to be parted from',
    );
    // The kernel has known of the resets for long.
    proxy.advance(6_000);
    await eventually(() => proxy.context.callerConnections === 0, 'the end', 5_000);
    assert.equal(proxy.figure(service, SERVICE_OWN.callerConnectionsActive), 0);
  });
