/** What stands behind a header of the PROXY protocol in the same read, and is not whole: no other caller may change or get it. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { PREFACE } from '../../src/proxy/http2/codec/frame.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { headerOf } from '../../src/proxy/net/proxy-protocol/header.ts';
import { firstHello } from '../support/caller-tls.ts';
import { TestCa } from '../support/certificates.ts';
import { frame } from '../support/http2-peer.ts';
import { freshAddress, OK, TestProxy } from '../support/proxy.ts';
import { eventually, RawEndpoint, type Wire } from '../support/wire.ts';

const GATEWAY = '127.77.0.1';
const NAME = 'web.shop.example';
const good = await (await TestCa.make()).issue({ names: [NAME] });
const HEADER = Buffer.from(
  headerOf('v2', { address: '203.0.113.9', port: 40_000, toAddress: '198.51.100.1', toPort: 443 }),
);
const SECRET = 'GET /account HTTP/1.1\r\nHost: a\r\nCookie: session=VICTIM\r\n\r\n';

async function accepting(t: TestContext, secured = false) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t, { settings: { trustedSources: ['127.77.0.0/16'] } });
  const certificates = secured ? [await proxy.certify('shop/web', good, [NAME])] : [];
  const service = proxy.service({
    endpoints: [endpoint],
    policies: { proxyProtocol: { ...DEFAULT_POLICIES.proxyProtocol, accept: true } },
    ...(secured ? { certificates } : {}),
  });
  await proxy.apply([service]);
  const behindHeader = async (...rest: readonly (string | Uint8Array)[]): Promise<Wire> => {
    const caller = await proxy.call(service, GATEWAY);
    const parts = rest.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
    caller.write(Buffer.concat([HEADER, ...parts]));
    return caller;
  };
  /** A whole exchange of somebody else. */
  const another = async (): Promise<void> => {
    const caller = await behindHeader(
      SECRET.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(900)}\r\n\r\n`),
    );
    const wire = await endpoint.next();
    assert.match(await wire.head(), /session=VICTIM/);
    wire.write(OK);
    assert.equal(await caller.bytes(OK.length), OK);
  };
  /** The next head that ends, on whichever connection it comes. */
  const nextHead = async (): Promise<string> => {
    const whole = () => endpoint.wires.find(({ pending }) => pending.includes('\r\n\r\n'));
    await eventually(() => whole() !== undefined, 'a head');
    return whole()?.head() ?? '';
  };
  const taken = () => proxy.figure(service, SERVICE_OWN.callerConnectionsOpened);
  return { proxy, endpoint, behindHeader, another, nextHead, taken };
}

test('half a head behind a header stays the one of its caller', async (t) => {
  const { behindHeader, another, nextHead, taken } = await accepting(t);
  const caller = await behindHeader(`GET /mine HTTP/1.1\r\nHost: a\r\nX-Mine: ${'a'.repeat(200)}`);
  await eventually(() => taken() === 1, 'the first half to be read');
  await another();
  caller.write('\r\n\r\n');
  const head = await nextHead();
  assert.match(head, /^GET \/mine HTTP\/1\.1\r\n/);
  assert.match(head, /X-Mine: a{200}\r\n/);
  assert.doesNotMatch(head, /VICTIM|account/);
});

test('a request behind one that runs, behind a header, stays the one of its caller', async (t) => {
  const { endpoint, behindHeader, another, nextHead } = await accepting(t);
  const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const caller = await behindHeader(request('/first'), request(`/second${'b'.repeat(300)}`));
  const wire = await endpoint.next();
  assert.match(await wire.head(), /^GET \/first /);
  await another();
  wire.write(OK);
  assert.equal(await caller.bytes(OK.length), OK);
  assert.match(await nextHead(), /^GET \/secondb{300} HTTP/);
});

for (const cut of [1, 9, 20]) {
  test(`a preface of HTTP/2 that is cut at ${cut} behind a header is one`, async (t) => {
    const { behindHeader, another, taken } = await accepting(t);
    const caller = await behindHeader(PREFACE.subarray(0, cut));
    await eventually(() => taken() === 1, 'the first part to be read');
    await another();
    caller.write(Buffer.concat([PREFACE.subarray(cut), frame(4, 0, 0)]));
    // SETTINGS of the mesh.
    assert.equal((await caller.bytes(9)).charCodeAt(3), 4);
  });
}

test('a frame of HTTP/2 that is cut behind a header is read', async (t) => {
  const { behindHeader, another, taken } = await accepting(t);
  const ping = frame(6, 0, 0, Buffer.from('12345678'));
  const caller = await behindHeader(PREFACE, frame(4, 0, 0), ping.subarray(0, 12));
  await eventually(() => taken() === 1, 'the first part to be read');
  await another();
  caller.write(ping.subarray(12));
  await caller.until('12345678');
});

test('a hello of TLS that is cut behind a header is answered', async (t) => {
  const { proxy, behindHeader } = await accepting(t, true);
  const hello = await firstHello();
  const caller = await behindHeader(hello.subarray(0, 40));
  await eventually(() => proxy.context.callerConnections === 1, 'the first part to be read');
  const second = await behindHeader(hello.subarray(0, 90));
  await eventually(() => proxy.context.callerConnections === 2, 'the first part of another one');
  for (const [each, at] of [
    [caller, 40],
    [second, 90],
  ] as const) {
    each.write(hello.subarray(at));
    // A ServerHello, and no alert.
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    assert.equal((await each.bytes(6)).charCodeAt(0), 22);
  }
});
