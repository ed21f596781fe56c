/** Ports of TCP that go: what stands stays, what has only begun comes to an end, and nobody new gets in. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../src/model/defaults.ts';
import { clientHello } from '../support/client-hello.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { sni, sniRouted } from '../support/sni.ts';
import { piped, tcpFor } from '../support/tcp.ts';
import { blackHole, eventually, RawEndpoint } from '../support/wire.ts';

/** Why a connection to it fails. */
function refusal(at: { readonly address: string; readonly port: number }): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: at.address, port: at.port });
    socket.on('connect', () => {
      socket.destroy();
      resolve('accepted');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

test('a Service that goes takes nobody new, and leaves alone what stands, to its end', async (t) => {
  const { proxy, service, caller, wire, endpoint } = await piped(t);
  const at = { address: service.address, port: service.ports[0]?.port ?? 0 };
  await proxy.apply([], { removed: [service.key] });
  await eventually(() => proxy.server.listeners === 0, 'its listener to close');
  assert.equal(await refusal(at), 'ECONNREFUSED');
  wire.write('still');
  assert.equal(await caller.bytes(5), 'still');
  caller.write('the end');
  caller.end();
  assert.equal(await wire.rest(), 'the end');
  wire.end();
  assert.equal(await caller.rest(), '');
  await eventually(() => proxy.context.callerConnections === 0, 'its end');
  assert.equal(endpoint.wires.length, 1);
  assert.equal(proxy.context.room.endpointConnections, 0);
  // It comes back, as a new one.
  await proxy.apply([service]);
  await proxy.call(service);
  await endpoint.next();
});

test('a caller whose endpoint is being dialled when the Service goes ends with the dial', async (t) => {
  const silent = await blackHole(t, freshAddress());
  const policies = { timeouts: { ...DEFAULT_POLICIES.timeouts, connectMs: 1_000 } };
  const { proxy, service } = await tcpFor(t, [silent], { manual: true, policies });
  const caller = await proxy.call(service);
  caller.write('early');
  await eventually(() => proxy.context.room.endpointConnections === 1, 'the dial');
  await proxy.apply([], { removed: [service.key] });
  await proxy.advanceUntil(() => caller.ending === 'reset', 'the end');
  await eventually(() => proxy.context.callerConnections === 0, 'nobody to be left');
  assert.equal(proxy.context.room.endpointConnections, 0);
  assert.equal(proxy.context.wheel.size, 0);
});

test('a caller in the middle of its hello when the Services go is served as it came, to its end', async (t) => {
  const endpoint = await RawEndpoint.listen(t, freshAddress());
  const proxy = new TestProxy(t);
  const one = proxy.service({ key: 'test/a', endpoints: [endpoint], tcp: true });
  const called = sniRouted(proxy.service({ key: 'test/web', tcp: true }), [
    [sni('a.example'), one],
  ]);
  await proxy.apply([one, called]);
  const hello = clientHello().toString('latin1');
  const caller = await proxy.call(called);
  caller.write(hello.slice(0, 30));
  const guests = () => [...proxy.context.room.guestsOf(called.key)];
  await eventually(() => guests().some(({ heldBytes }) => heldBytes === 30), 'it to be read');
  await proxy.apply([], { removed: [called.key, one.key] });
  await eventually(() => proxy.server.listeners === 0, 'the listeners to close');
  caller.write(hello.slice(30));
  const wire = await endpoint.next();
  assert.equal(await wire.bytes(hello.length), hello);
  caller.end();
  assert.equal(await wire.rest(), '');
  wire.end();
  assert.equal(await caller.rest(), '');
  await eventually(() => proxy.context.callerConnections === 0, 'nobody to be left');
  assert.equal(proxy.context.room.endpointConnections, 0);
});
