/** TLS of callers behind a header of the PROXY protocol; and connections that cannot be taken in, which cost nobody else anything. */

import assert from 'node:assert/strict';
import { suite, test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import type { ProxyProtocolPolicy } from '../../src/model/policy.ts';
import type { Expiring } from '../../src/proxy/net/deadline-wheel.ts';
import { headerOf } from '../../src/proxy/net/proxy-protocol/header.ts';
import {
  PATIENCE_MS,
  SHORT_PATIENCE_MS,
  UNDER_WAY_MAX,
} from '../../src/proxy/net/tls/handshake-gate.ts';
import { accessLogOf } from '../support/access-log.ts';
import { firstHello, refusedDial, relayTo, secureDial } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { freshAddress, GET, OK, type ProxyOptions, TestProxy } from '../support/proxy.ts';
import { dial, eventually, RawEndpoint, type Wire } from '../support/wire.ts';

/** From there callers are believed … */
const GATEWAY = '127.77.0.1';
/** … and from there not. */
const STRANGER = '127.78.0.1';
const NAME = 'web.shop.example';
const good = await (await TestCa.make()).issue({ names: [NAME] });

/** What the gateway says of a client. */
function header(address = '203.0.113.9', version: 'v1' | 'v2' = 'v2'): Buffer {
  const client = { address, port: 40_000, toAddress: '198.51.100.1', toPort: 443 };
  return Buffer.from(headerOf(version, client));
}

interface Wanted extends ProxyOptions {
  readonly tcp?: boolean;
  readonly isSecured?: boolean;
  readonly proxyProtocol?: Partial<ProxyProtocolPolicy>;
}

/** A port that takes headers from the gateway, in front of TLS. */
async function accepting(t: TestContext, wanted: Wanted = {}) {
  const { tcp = false, isSecured = true, proxyProtocol = { accept: true }, ...options } = wanted;
  const endpoint = tcp
    ? await RawEndpoint.listen(t, freshAddress())
    : await RawEndpoint.answering(t, freshAddress(), () => OK);
  const proxy = new TestProxy(t, {
    ...options,
    settings: { trustedSources: ['127.77.0.0/16'] },
  });
  const service = proxy.service({
    endpoints: [endpoint],
    tcp,
    policies: { proxyProtocol: { ...DEFAULT_POLICIES.proxyProtocol, ...proxyProtocol } },
    ...(isSecured ? { certificates: [await proxy.certify('shop/web', good, [NAME])] } : {}),
  });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port };
  return { proxy, endpoint, service, at };
}

for (const [protocol, version] of [
  ['http/1.1', 'v1'],
  ['http/1.1', 'v2'],
] as const)
  test(`TLS behind a header (${version}) is served, and its endpoint is told the client and https`, async (t) => {
    const { proxy, endpoint, at } = await accepting(t);
    const written = accessLogOf(t, proxy);
    const relay = await relayTo(t, at, { from: GATEWAY, first: header('203.0.113.9', version) });
    const { wire, seen } = await secureDial(t, relay, { ALPNProtocols: [protocol] });
    assert.equal(seen, `${NAME} ${protocol} TLSv1.3 whole`);
    wire.write(GET);
    await wire.until('ok');
    assert.match(endpoint.heads[0]!, /\r\nX-Forwarded-For: 203\.0\.113\.9\r\n/);
    assert.match(endpoint.heads[0]!, /\r\nX-Forwarded-Proto: https\r\n/);
    await eventually(() => written.text.includes('\n'), 'the log');
    assert.match(written.text, /"callerAddress":"127\.77\.0\.1","originAddress":"203\.0\.113\.9"/);
  });

test('what a connection of TCP has said in front of its TLS is told on in front of what was inside', async (t) => {
  const { endpoint, at } = await accepting(t, {
    tcp: true,
    proxyProtocol: { accept: true, send: 'v1' },
  });
  const relay = await relayTo(t, at, { from: GATEWAY, first: header() });
  const { wire } = await secureDial(t, relay);
  wire.dropsByReset = true;
  wire.write('hello');
  const inner = await endpoint.next();
  const told = header('203.0.113.9', 'v1').toString('latin1');
  assert.equal(await inner.bytes(told.length + 5), `${told}hello`);
  inner.write('hi');
  assert.equal(await wire.bytes(2), 'hi');
});

test('a header must come from the gateway, and nobody else may send one', async (t) => {
  const { proxy, service, at } = await accepting(t);
  assert.equal(await refusedDial(t, at, { from: GATEWAY }), 'ECONNRESET');
  assert.equal(proxy.failures(service, 'bad_proxy_header'), 1);
  assert.match((await secureDial(t, at, { from: STRANGER })).seen, / whole$/);
  for (const version of ['v1', 'v2'] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const wire = await dial(t, at, STRANGER);
    wire.write(header('203.0.113.9', version));
    // A line of text may be that of HTTP.
    // oxlint-disable-next-line no-await-in-loop -- likewise
    if (version === 'v1') assert.match(await wire.rest(), /tls_expected/);
    // oxlint-disable-next-line no-await-in-loop -- likewise
    else assert.equal(await wire.gone(), 'reset');
  }
  assert.equal(proxy.failures(service, 'tls_expected'), 2);
});

test('behind a gateway its clients take turns with handshakes, and not all that it has', async (t) => {
  const { proxy, at } = await accepting(t, { manual: true });
  const { gate } = proxy.context.callerTls;
  const hello = await firstHello({ servername: NAME });
  /** Says no more than its first message. */
  const stall = async (client: string): Promise<Wire> => {
    const wire = await dial(t, at, GATEWAY);
    wire.write(Buffer.concat([header(client), hello]));
    return wire;
  };
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  for (let i = 0; i <= UNDER_WAY_MAX; i++) await stall('203.0.113.66');
  await eventually(() => gate.underWay === UNDER_WAY_MAX && gate.waiting === 1, 'all places');
  const other = await stall('203.0.113.7');
  await eventually(() => gate.waiting === 2, 'the other client to wait');
  assert.ok(SHORT_PATIENCE_MS + 40 < PATIENCE_MS);
  proxy.advance(SHORT_PATIENCE_MS + 40);
  // An answer.
  assert.equal((await other.bytes(1)).charCodeAt(0), 22);
  assert.equal(gate.waiting, 1, 'the client that has all the others waits for them');
});

/** How a caller comes to a port. */
const WAYS = [
  { way: 'plain', isSecured: false, hasHeader: false },
  { way: 'a header', isSecured: false, hasHeader: true },
  { way: 'TLS', isSecured: true, hasHeader: false },
  { way: 'TLS behind a header', isSecured: true, hasHeader: true },
] as const;

suite('what cannot be taken in ends alone', () => {
  for (const { way, isSecured, hasHeader } of WAYS) {
    const proxyProtocol = { accept: hasHeader };
    const placeFor = async (t: TestContext, at: { address: string; port: number }) =>
      hasHeader ? await relayTo(t, at, { from: GATEWAY, first: header() }) : at;

    for (const broken of ['CallerConnection', ...(isSecured ? ['Handshake'] : [])])
      test(`${way}: half of it is made (${broken})`, async (t) => {
        const { proxy, at } = await accepting(t, { isSecured, proxyProtocol, defects: true });
        const { wheel } = proxy.context;
        const arm = wheel.arm.bind(wheel);
        let broke = 0;
        t.mock.method(wheel, 'arm', (what: Expiring) => {
          if (broke === 0 && what.constructor.name === broken) {
            broke++;
            throw new Error('not now');
          }
          arm(what);
        });
        await refused(t, await placeFor(t, at), isSecured);
        assert.equal(broke, 1);
        await eventually(() => proxy.context.callerConnections === 0, 'the end');
        await served(t, await placeFor(t, at), isSecured);
        assert.equal(proxy.context.callerConnections, 1);
      });

    test(`${way}: it throws when it begins`, async (t) => {
      const { proxy, at, endpoint } = await accepting(t, {
        isSecured,
        proxyProtocol,
        tcp: true,
        defects: true,
      });
      const { ownDials } = proxy.context;
      const broken = t.mock.method(ownDials, 'has', () => {
        throw new Error('not now');
      });
      await refused(t, await placeFor(t, at), isSecured);
      assert.equal(broken.mock.callCount(), 1);
      broken.mock.restore();
      await eventually(() => proxy.context.callerConnections === 0, 'the end');
      const place = await placeFor(t, at);
      const wire = isSecured ? (await secureDial(t, place)).wire : await dial(t, place);
      wire.dropsByReset = true;
      wire.write('hello');
      await (await endpoint.next()).until('hello');
    });
  }
});

async function refused(
  t: TestContext,
  at: { address: string; port: number },
  isSecured: boolean,
): Promise<void> {
  const dialled = isSecured
    ? secureDial(t, at).then(({ wire }) => wire)
    : dial(t, at).then((wire) => wire);
  // In TLS 1.3 a client may be done before it is refused.
  const wire = await dialled.catch(() => null);
  wire?.write(GET);
  if (wire !== null) assert.match(await wire.gone(), /ended|reset/);
  assert.equal(wire?.pending ?? '', '');
}

async function served(
  t: TestContext,
  at: { address: string; port: number },
  isSecured: boolean,
): Promise<void> {
  const wire = isSecured ? (await secureDial(t, at)).wire : await dial(t, at);
  wire.write(GET);
  await wire.until('ok');
}
