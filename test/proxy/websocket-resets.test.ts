/** How the streams of tunnels end in HTTP/2: resets behind an end, resets in great number, and what is no content. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { CANCEL, NO_ERROR } from '../../src/proxy/http2/codec/error-code.ts';
import { frame, headers, Http2Peer, number32, setting } from '../support/http2-peer.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import {
  connect2,
  type At,
  open2,
  openWebSocket,
  webSocketEndpoint,
} from '../support/websocket.ts';
import { eventually, RawEndpoint } from '../support/wire.ts';
import { ASK, EXTENDED_CONNECT, switchFor } from '../support/websocket-heads.ts';

type Context = ConstructorParameters<typeof TestProxy>[0];

const OFFERS = setting(8, 1);
const END_STREAM = 1;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const LAST = Buffer.from('8a00880203e8', 'hex');

/** Callers that the test writes for, in front of these endpoints. */
async function inFrontOf(t: Context, endpoint: At, http2: boolean) {
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint], http2 });
  await proxy.apply([service]);
  const at = { address: service.address, port: service.ports[0]!.port };
  return { proxy, service, at };
}

/** An endpoint of HTTP/2 with a tunnel that a caller of HTTP/1.1 has opened. */
async function toPeer(t: Context) {
  const endpoint = await Http2Peer.listen(t, freshAddress(), OFFERS);
  const { proxy, service } = await inFrontOf(t, endpoint, true);
  const caller = await proxy.call(service);
  caller.write(ASK);
  const peer = await endpoint.next();
  const { stream } = await peer.next(HEADERS);
  peer.write(headers(stream, [[':status', '200']]));
  await caller.head();
  return { proxy, service, caller, peer, stream };
}

/** A caller of HTTP/2 with a tunnel to an endpoint of HTTP/1.1. */
async function fromPeer(t: Context) {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const { proxy, service, at } = await inFrontOf(t, endpoint, false);
  const peer = await Http2Peer.connect(t, at);
  peer.write(headers(1, EXTENDED_CONNECT));
  const wire = await endpoint.next();
  wire.write(switchFor(await wire.head()));
  await peer.next(HEADERS, 1);
  return { proxy, service, wire, peer };
}

test('an endpoint that ends a tunnel, and wants nothing more, does not cut it', async (t) => {
  const { proxy, service, caller, peer, stream } = await toPeer(t);
  peer.write(
    frame(DATA, END_STREAM, stream, LAST),
    frame(RST_STREAM, 0, stream, number32(NO_ERROR)),
  );
  assert.equal(await caller.rest(), LAST.toString('latin1'));
  caller.end();
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 0);
});

test('a caller that ends a tunnel, and wants nothing more, does not cut it', async (t) => {
  const { proxy, service, wire, peer } = await fromPeer(t);
  peer.write(frame(DATA, END_STREAM, 1, LAST), frame(RST_STREAM, 0, 1, number32(NO_ERROR)));
  assert.equal(await wire.rest(), LAST.toString('latin1'));
  wire.end();
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
  assert.equal(proxy.failures(service, 'caller_gone'), 0);
});

test('what came before the end of such a tunnel arrives, however slow its reader is', async (t) => {
  const { proxy, service, caller, peer, stream } = await toPeer(t);
  caller.socket.pause();
  caller.discard();
  const before = caller.bytesReceived;
  const piece = Buffer.alloc(16_000, 1);
  let sent = 0;
  let window = 65_535;
  const grant = (): void => {
    for (let at = peer.seen.length - 1; at >= 0; at--) {
      const one = peer.seen[at]!;
      if (one.type !== 8 || one.stream !== stream) continue;
      window += one.payload.readUInt32BE(0);
      peer.seen.splice(at, 1);
    }
  };
  // Until the proxy holds as much as the window lets it: its caller takes nothing.
  for (let still = 0; still < 20;) {
    grant();
    if (window >= piece.length) {
      still = 0;
      window -= piece.length;
      sent += piece.length;
      peer.write(frame(DATA, 0, stream, piece));
    } else still++;
    // oxlint-disable-next-line no-await-in-loop -- the windows come meanwhile
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  peer.write(frame(DATA, END_STREAM, stream), frame(RST_STREAM, 0, stream, number32(NO_ERROR)));
  caller.socket.resume();
  await caller.received(before + sent);
  assert.equal(await caller.gone(), 'ended');
  await eventually(() => proxy.requests(service, 1) === 1, 'the account');
  assert.equal(proxy.failures(service, 'endpoint_reset_body'), 0);
});

for (const code of [NO_ERROR, CANCEL])
  test(`a tunnel that its endpoint has not ended is cut by a reset with code ${code}`, async (t) => {
    const { proxy, service, caller, peer, stream } = await toPeer(t);
    peer.write(frame(RST_STREAM, 0, stream, number32(code)));
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
  });

test('callers that reset many tunnels keep their connection, and those beside', async (t) => {
  const endpoint = await webSocketEndpoint(t, 1, freshAddress());
  const { proxy, service, at } = await inFrontOf(t, endpoint, false);
  const session = connect2(t, at);
  const steady = await open2(session, '/steady');
  const server = await endpoint.next();
  for (let i = 0; i < 300; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { stream } = await open2(session, '/short');
    stream.on('error', () => undefined);
    stream.destroy(new Error('enough'));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await endpoint.next();
  }
  steady.stream.write(Buffer.from('8100', 'hex'));
  assert.equal(await server.bytes(2), '8100');
  await eventually(() => proxy.figure(service, SERVICE_OWN.upgradesActive) === 1, 'the others');
});

test('an endpoint that resets many tunnels keeps its connection, and those beside', async (t) => {
  const endpoint = await webSocketEndpoint(t, 2, freshAddress());
  const { proxy, service, at } = await inFrontOf(t, endpoint, true);
  const steady = await openWebSocket(t, 1, at);
  const server = await endpoint.next();
  for (let i = 0; i < 300; i++) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const short = await openWebSocket(t, 1, at);
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { stream } = await endpoint.next();
    stream.destroy(new Error('enough'));
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await eventually(() => short.closed, 'the reset');
  }
  server.stream.write(Buffer.from('8100', 'hex'));
  assert.equal(await steady.bytes(2), '8100');
  await eventually(() => proxy.figure(service, SERVICE_OWN.upgradesActive) === 1, 'the others');
  server.stream.end();
});

for (const flags of [0, END_STREAM]) {
  const what = flags === 0 ? 'a head' : 'trailers';
  test(`${what} in a tunnel cut it, from an endpoint`, async (t) => {
    const { proxy, service, caller, peer, stream } = await toPeer(t);
    peer.write(frame(DATA, 0, stream, LAST), headers(stream, [['x', 'y']], flags));
    assert.equal(await caller.gone(), 'reset');
    assert.equal(proxy.failures(service, 'endpoint_reset_body'), 1);
  });

  test(`${what} in a tunnel cut it, from a caller`, async (t) => {
    const { proxy, service, wire, peer } = await fromPeer(t);
    peer.write(frame(DATA, 0, 1, LAST), headers(1, [['x', 'y']], flags));
    assert.equal(await wire.gone(), 'reset');
    assert.equal(await peer.resetOf(1), 1);
    assert.equal(proxy.failures(service, 'caller_gone'), 1);
  });
}
