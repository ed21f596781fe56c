/** The PROXY protocol: what endpoints of TCP are told of callers, and what trusted callers say of theirs. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { Policies, ProxyProtocolPolicy } from '../../src/model/policy.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../../src/proxy/ledger/layout.ts';
import { headerOf, type Origin, ownHeader } from '../../src/proxy/net/proxy-protocol/header.ts';
import { accessLogOf } from '../support/access-log.ts';
import { freshAddress, GET, OK, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import { deaf, tcpFor } from '../support/tcp.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

/** From there callers are trusted … */
const GATEWAY = '127.77.0.1';
/** … and from there not. */
const STRANGER = '127.78.0.1';
const SETTINGS = { trustedSources: ['127.77.0.0/16'] };
const CLIENT: Origin = {
  address: '203.0.113.9',
  port: 40_000,
  toAddress: '198.51.100.1',
  toPort: 443,
};

const says = (policy: Partial<ProxyProtocolPolicy>): Partial<Policies> => ({
  proxyProtocol: { ...DEFAULT_POLICIES.proxyProtocol, ...policy },
});
const textOf = (header: Uint8Array) => Buffer.from(header).toString('latin1');

/** A header of version 2 whose block says nothing. */
function v2(command: number, family: number, length = 0): string {
  const signature = '\r\n\r\n\0\r\nQUIT\n';
  return signature + String.fromCharCode(command, family, 0, length) + '\0'.repeat(length);
}

const FORGED = GET.replace(
  '\r\n\r\n',
  '\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 10.1.2.3\r\n\r\n',
);

/** The gateway on a port of HTTP. */
async function overHttp(t: TestContext, accept = true) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t, { settings: SETTINGS });
  const service = proxy.service({ endpoints: [endpoint], policies: says({ accept }) });
  await proxy.apply([service]);
  return { proxy, service, endpoint, caller: await proxy.call(service, GATEWAY) };
}

/** The head of the request that comes of what the caller writes. */
async function toldOf(
  endpoint: RawEndpoint,
  [caller, ...parts]: readonly [Wire, ...(readonly string[])],
): Promise<string> {
  caller.write(parts.join(''));
  return (await endpoint.next()).head();
}

async function accepting(t: TestContext, policies: Partial<Policies>, options: ProxyOptions = {}) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const made = await tcpFor(t, [endpoint], { ...options, settings: SETTINGS, policies });
  return { ...made, endpoint };
}

for (const send of ['v1', 'v2'] as const) {
  test(`an endpoint is told the caller before any byte, also one that is tried second (${send})`, async (t) => {
    const [dead, alive] = [await deaf(t), await RawEndpoint.listen(t, freshAddress())];
    const { proxy, service } = await tcpFor(t, [dead, alive], { policies: says({ send }) });
    for (let i = 0; i < 4; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const caller = await proxy.call(service, STRANGER);
      caller.write('hello');
      // oxlint-disable-next-line no-await-in-loop -- likewise
      const wire = await alive.next();
      const { localPort = 0 } = caller.socket;
      const header = textOf(
        headerOf(send, {
          address: STRANGER,
          port: localPort,
          toAddress: service.address,
          toPort: service.ports[0]!.port,
        }),
      );
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.equal(await wire.bytes(header.length + 5), `${header}hello`);
      wire.write('hi');
      // oxlint-disable-next-line no-await-in-loop -- likewise
      assert.equal(await caller.bytes(2), 'hi');
      caller.end();
      wire.end();
    }
    await eventually(() => proxy.word(service, SERVICE_WORD.inFlight) === 0, 'the ends');
    assert.equal(
      proxy.figure(service, SERVICE_OWN.requestBytes),
      20,
      'headers are no bytes of callers',
    );
  });

  test(`what a trusted caller says is told on (${send}), and no more than that`, async (t) => {
    const policies = says({ send, accept: true });
    const { proxy, service, endpoint } = await accepting(t, policies);
    const caller = await proxy.call(service, GATEWAY);
    caller.write(textOf(headerOf('v2', CLIENT)) + 'first');
    const wire = await endpoint.next();
    const header = textOf(headerOf(send, CLIENT));
    assert.equal(await wire.bytes(header.length + 5), `${header}first`);
    caller.write('second');
    assert.equal(await wire.bytes(6), 'second');
  });
}

test('who is not trusted says nothing: its bytes are bytes', async (t) => {
  const { proxy, service, endpoint } = await accepting(t, says({ accept: true }));
  const caller = await proxy.call(service, STRANGER);
  const header = textOf(headerOf('v1', CLIENT));
  caller.write(header);
  assert.equal(await (await endpoint.next()).bytes(header.length), header);
});

test('where it is not asked for, a header of a trusted caller is bytes, too', async (t) => {
  const { proxy, service, endpoint } = await accepting(t, {});
  const caller = await proxy.call(service, GATEWAY);
  const header = textOf(headerOf('v2', CLIENT));
  caller.write(header);
  assert.equal(await (await endpoint.next()).bytes(header.length), header);
});

test('a header may come byte by byte, and what follows is not lost', async (t) => {
  const { proxy, service, endpoint } = await accepting(t, says({ accept: true }));
  for (const version of ['v1', 'v2'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(service, GATEWAY);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    await caller.trickle(`${textOf(headerOf(version, CLIENT))}first`);
    caller.end();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    const wire = await endpoint.next();
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await wire.rest(), 'first');
    wire.end();
  }
});

test('much behind a header arrives whole, and a server may speak first behind one', async (t) => {
  const { proxy, service, endpoint } = await accepting(t, says({ accept: true }));
  const caller = await proxy.call(service, GATEWAY);
  const body = 'x'.repeat(300_000);
  caller.write(textOf(headerOf('v1', CLIENT)) + body);
  const wire = await endpoint.next();
  assert.equal(await wire.bytes(body.length), body);
  const silent = await proxy.call(service, GATEWAY);
  silent.write(textOf(ownHeader('v2')));
  (await endpoint.next()).write('220 ready');
  assert.equal(await silent.bytes(9), '220 ready');
});

test('a trusted caller without a header is reset, counted, and reaches nobody', async (t) => {
  const { proxy, service, endpoint } = await accepting(t, says({ accept: true }), { manual: true });
  const written = accessLogOf(t, proxy);
  for (const [i, bad] of ['GET / HTTP/1.1\r\n\r\n', 'PROXY TCP4 a b 1 2\r\n', '\x00'].entries()) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const caller = await proxy.call(service, GATEWAY);
    caller.write(bad);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(service, 'bad_proxy_header'), i + 1);
  }
  const half = await proxy.call(service, GATEWAY);
  half.write('PROXY ');
  half.end();
  assert.equal(await half.gone(), 'reset');
  const slow = await proxy.call(service, GATEWAY);
  slow.write('PROXY ');
  await proxy.advanceUntil(() => slow.ending === 'reset', 'the time limit');
  assert.equal(proxy.failures(service, 'bad_proxy_header'), 5);
  assert.equal(proxy.requests(service, 4), 5);
  assert.equal(proxy.word(service, SERVICE_WORD.inFlight), 0);
  assert.equal(endpoint.wires.length, 0);
  await eventually(
    () => written.text.split('"failure":"bad_proxy_header"').length === 6,
    'the log',
  );
  await eventually(() => proxy.context.callerConnections === 0, 'the ends');
});

test('who only looks whether somebody listens is no failure', async (t) => {
  const { proxy, service } = await accepting(t, says({ accept: true }));
  const caller = await proxy.call(service, GATEWAY);
  caller.end();
  assert.equal(await caller.rest(), '');
  await eventually(() => proxy.context.callerConnections === 0, 'the end');
  assert.equal(proxy.failures(service, 'bad_proxy_header'), 0);
  assert.equal(proxy.requests(service, 4), 0);
});

test('what is said changes the log, and not who the caller is for limits', async (t) => {
  const rateLimit = {
    average: 1,
    periodMs: 60_000,
    burst: 1,
    per: 'caller' as const,
    callersMax: 10,
  };
  const { proxy, service, endpoint } = await accepting(t, { ...says({ accept: true }), rateLimit });
  const written = accessLogOf(t, proxy);
  const first = await proxy.call(service, GATEWAY);
  first.write(textOf(headerOf('v1', CLIENT)));
  first.end();
  const wire = await endpoint.next();
  wire.end();
  const other = await proxy.call(service, GATEWAY);
  other.write(textOf(headerOf('v1', { ...CLIENT, address: '203.0.113.10' })));
  assert.equal(await other.gone(), 'reset');
  assert.equal(proxy.failures(service, 'rate_limited'), 1);
  await eventually(() => written.text.split('\n').length === 3, 'two lines');
  assert.match(written.text, /"callerAddress":"127\.77\.0\.1","originAddress":"203\.0\.113\.9"/);
});

test('on a port of HTTP it changes X-Forwarded-For, whatever the client says itself', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t, { settings: SETTINGS });
  const service = proxy.service({ endpoints: [endpoint], policies: says({ accept: true }) });
  await proxy.apply([service]);
  const caller = await proxy.call(service, GATEWAY);
  const forged = GET.replace('\r\n\r\n', '\r\nX-Forwarded-For: 10.1.2.3\r\n\r\n');
  caller.write(textOf(headerOf('v2', CLIENT)) + forged);
  const wire = await endpoint.next();
  const head = await wire.head();
  assert.match(head, /X-Forwarded-For: 203\.0\.113\.9\r\n/);
  assert.doesNotMatch(head, /10\.1\.2\.3/);
  wire.write(OK);
  assert.equal(await caller.bytes(OK.length), OK);
  caller.write(GET);
  assert.match(await wire.head(), /X-Forwarded-For: 203\.0\.113\.9\r\n/);
  const direct = await proxy.call(service, STRANGER);
  direct.write(GET);
  assert.match(await (await endpoint.next()).head(), /X-Forwarded-For: 127\.78\.0\.1\r\n/);
});

for (const [what, header] of [
  ['UNKNOWN', 'PROXY UNKNOWN\r\n'],
  ['UNKNOWN with more', 'PROXY UNKNOWN 10.1.2.3 10.9.0.1 1 2\r\n'],
  ['no family', v2(0x21, 0x00)],
  ['no family that is a stream', v2(0x21, 0x01)],
  ['IPv4 of no transport', v2(0x21, 0x10, 12)],
  ['datagrams of IPv4', v2(0x21, 0x12, 12)],
  ['datagrams of IPv6', v2(0x21, 0x22, 36)],
  ['names of files', v2(0x21, 0x31, 216)],
] as const) {
  test(`somebody who is not named is not believed (${what})`, async (t) => {
    const { caller, endpoint } = await overHttp(t);
    const head = await toldOf(endpoint, [caller, header, FORGED]);
    assert.match(head, /X-Forwarded-For: 127\.77\.0\.1\r\n/);
    assert.match(head, /X-Forwarded-Proto: http\r\n/);
    assert.doesNotMatch(head, /10\.1\.2\.3|X-Real-IP|https/i);
  });
}

test('a gateway that speaks for itself is believed, with a header or where none is asked for', async (t) => {
  for (const [accept, header] of [
    [true, v2(0x20, 0x00)],
    [true, v2(0x20, 0x11, 12)],
    [false, ''],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { caller, endpoint } = await overHttp(t, accept);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    const head = await toldOf(endpoint, [caller, header, FORGED]);
    assert.match(head, /X-Forwarded-For: 10\.1\.2\.3, 127\.77\.0\.1\r\n/);
    assert.match(head, /X-Forwarded-Proto: https\r\n/);
    assert.match(head, /X-Real-IP: 10\.1\.2\.3\r\n/);
  }
});

test('of somebody who is not named an endpoint of TCP is told the connection', async (t) => {
  const policies = says({ send: 'v1', accept: true });
  const { proxy, service, endpoint } = await accepting(t, policies);
  const caller = await proxy.call(service, GATEWAY);
  caller.write(v2(0x21, 0x00));
  assert.match(await (await endpoint.next()).until('\r\n'), /^PROXY TCP4 127\.77\.0\.1 /);
});

test('a port that left tells who comes late with a header', async (t) => {
  const proxy = new TestProxy(t, { settings: SETTINGS, manual: true });
  const service = proxy.service({ policies: says({ accept: true }) });
  await proxy.apply([service]);
  const caller = await proxy.call(service, GATEWAY);
  await eventually(() => proxy.context.callerConnections === 1, 'the caller');
  await proxy.apply([], { removed: [service.key] });
  caller.write(textOf(headerOf('v1', CLIENT)));
  await proxy.advanceUntil(() => proxy.context.callerConnections === 0, 'its end');
  assert.equal(await caller.rest(), '');
  assert.equal(proxy.failures(service, 'bad_proxy_header'), 0);
});

test('a health check speaks for itself', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const healthCheck = { ...DEFAULT_HEALTH_CHECK, kind: 'tcp' as const, intervalMs: 1_000 };
  const policies = { ...says({ send: 'v2' }), healthCheck };
  const { proxy, service } = await tcpFor(t, [endpoint], { manual: true, policies });
  // Only what somebody asks for is checked.
  await proxy.call(service);
  const first = await endpoint.next();
  await proxy.advanceUntil(() => endpoint.wires.length === 2, 'a check');
  const check = await endpoint.next();
  const header = textOf(ownHeader('v2'));
  assert.equal(await check.bytes(header.length), header);
  assert.notEqual((await first.bytes(28)).slice(12, 14), header.slice(12, 14));
});
