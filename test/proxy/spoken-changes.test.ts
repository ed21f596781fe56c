/** What is spoken to endpoints changes while callers ask: a `scheme` that comes and goes, a port that gets another name. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, GET, TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wire.ts';

interface Both {
  readonly address: string;
  readonly port: number;
  /** Requests that it got in each version. */
  readonly counts: { one: number; two: number };
}

/** An endpoint that speaks HTTP/1.1 and HTTP/2, as the client begins. */
async function listen(t: TestContext): Promise<Both> {
  const counts = { one: 0, two: 0 };
  const one = http.createServer((_, response) => {
    counts.one++;
    response.setHeader('content-length', 2).end('ok');
  });
  const two = http2.createServer((_, response) => {
    counts.two++;
    response.setHeader('content-length', 2);
    response.end('ok');
  });
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return;
      socket.unshift(first);
      (first.toString('latin1').startsWith('PRI') ? two : one).emit('connection', socket);
    });
  });
  const address = freshAddress();
  server.listen(0, address);
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { address, port: (server.address() as net.AddressInfo).port, counts };
}

function speaking(service: Service, protocol: 'http/1.1' | 'http/2'): Service {
  const ports = service.ports.map((port) => ({ ...port, backend: { ...port.backend, protocol } }));
  return { ...service, ports };
}

test('callers stay connected, and no request fails, when the mesh speaks another version to endpoints', async (t) => {
  const endpoint = await listen(t);
  const proxy = new TestProxy(t);
  const service = proxy.service({ endpoints: [endpoint] });
  await proxy.apply([service]);
  const callers = await Promise.all(Array.from({ length: 8 }, () => proxy.call(service)));
  const traffic = { isOver: false };
  const asked = Promise.all(
    callers.map(async (caller) => {
      while (!traffic.isOver) {
        caller.write(GET);
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        assert.match(await caller.until('ok'), /^HTTP\/1\.1 200 /);
      }
    }),
  );
  const { counts } = endpoint;
  for (let round = 0; round < 20; round++) {
    const isTwo = round % 2 === 0;
    // oxlint-disable-next-line no-await-in-loop -- one change after the other
    await proxy.apply([speaking(service, isTwo ? 'http/2' : 'http/1.1')]);
    const before = { ...counts };
    // oxlint-disable-next-line no-await-in-loop -- until requests go the new way
    await eventually(
      () => (isTwo ? counts.two >= before.two + 20 : counts.one >= before.one + 20),
      'requests the new way',
    );
  }
  traffic.isOver = true;
  await asked;
  assert.equal(proxy.figure(service, SERVICE_OWN.callerConnectionsOpened), callers.length);
  assert.equal(proxy.server.listeners, 1);
});
