import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { nobodys } from '../../http/nobodys.ts';
import { RuntimeSocket } from './runtime-socket.ts';

test('a peer that does not read cannot put off a reset', async (t) => {
  const { ours, peer } = await pair(t);
  ours.write(Buffer.alloc(64 << 20));
  ours.end();
  const seen = once(peer, 'error') as Promise<[NodeJS.ErrnoException]>;
  reset(ours);
  await once(ours, 'close');
  peer.resume();
  assert.equal((await seen)[0].code, 'ECONNRESET');
});

test('a reset while our half is being closed still ends the connection', async (t) => {
  const { ours, peer } = await pair(t);
  peer.resume();
  const left = once(peer, 'close');
  ours.end('all there is');
  reset(ours);
  await Promise.all([once(ours, 'close'), left]);
});

test('a connection that is gone or not there yet is ended as well', async (t) => {
  const { ours } = await pair(t);
  reset(ours);
  await once(ours, 'close');
  reset(ours);
  const connecting = net.connect(1, '127.0.0.1');
  reset(connecting);
  await once(connecting, 'close');
});

/** Both ends of a connection; the peer does not read until told to. */
async function pair(t: TestContext): Promise<{ ours: net.Socket; peer: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const peer = net.connect(port, '127.0.0.1').on('error', () => undefined);
  const [ours] = (await once(server, 'connection')) as [net.Socket];
  ours.on('error', () => undefined);
  t.after(() => {
    peer.destroy();
    ours.destroy();
    server.close();
  });
  return { ours, peer };
}

function reset(socket: net.Socket): void {
  new RuntimeSocket(socket, null, nobodys('a socket without an owner')).reset();
}
