/** Calls of gRPC through `maesh up`, counted by their methods. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { ownRange } from '../support/ranges.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const PORT = 20_091;
/** A message of no bytes. */
const MESSAGE = Buffer.alloc(5);
const folder = new Folder();
const sessions = new Set<http2.ServerHttp2Session>();
const server = http2.createServer();
let mesh: Mesh;
let origin = '';

/** Has the methods of `shop.Cart` but `Missing…`; `Fail` never succeeds, and `Watch` never ends. */
server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
  stream.on('error', () => {});
  const path = String(headers[':path']);
  const only = (status: number): void =>
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status },
      { endStream: true },
    );
  if (path === '/shop.Cart/Fail') return only(13);
  if (!path.startsWith('/shop.Cart/') || path.includes('Missing')) return only(12);
  stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': 0 }));
  if (path === '/shop.Cart/Watch') stream.write(MESSAGE);
  else stream.end(MESSAGE);
});
server.on('session', (session) => sessions.add(session));

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  put([{ address: '127.0.0.1', port }]);
  mesh = await Mesh.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    flags: ['--grpc-methods-max', '3'],
  });
  origin = `http://${await mesh.addressOf('shop/cart')}:${PORT}`;
});

after(async () => {
  await mesh.stop();
  for (const session of sessions) session.destroy();
  server.close();
  folder.remove();
});

function put(all: readonly { address: string; port: number }[]): void {
  const spec = { ports: [{ name: 'http', port: PORT, targetPort: 1, appProtocol: 'grpc' }] };
  folder.put('cart.yaml', service('shop/cart', PORT, { spec }), endpoints('shop/cart', all));
}

function begin(client: http2.ClientHttp2Session, path: string): http2.ClientHttp2Stream {
  const head = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc' };
  return client.request({ ...head, te: 'trailers' }).end(MESSAGE);
}

async function call(client: http2.ClientHttp2Session, path: string): Promise<void> {
  await once(begin(client, path).resume(), 'close');
}

const calls = (method: string, status: string): Promise<number> =>
  mesh.metric(`maesh_grpc_calls_total{service="shop/cart",method="${method}",status="${status}"}`);

test('methods are counted by status; those that are made up, and those that are too many, share a series', async (t) => {
  // Connections enough for both threads to have some.
  const clients = Array.from({ length: 8 }, () => http2.connect(origin));
  t.after(() => {
    for (const client of clients) client.destroy();
  });
  const onEach = (path: (i: number) => string): Promise<unknown> =>
    Promise.all(clients.map((client, i) => call(client, path(i))));
  for (let round = 0; round < 20; round++) {
    // oxlint-disable-next-line no-await-in-loop -- few at a time
    await onEach((i) => `/shop.Cart/Missing${round * clients.length + i}`);
  }
  await onEach(() => '/shop.Cart/Get');
  await onEach(() => '/shop.Cart/Put');
  await onEach(() => '/shop.Cart/Fail');
  const watch = begin(clients[0] ?? assert.fail(), '/shop.Cart/Watch');
  watch.on('error', () => {});
  await once(watch, 'data');
  watch.close(http2.constants.NGHTTP2_CANCEL);
  await until('all are counted', async () => (await calls('shop.Cart/Watch', 'CANCELLED')) === 1);
  await onEach(() => '/shop.Cart/Late');
  // Not one of gRPC.
  await once(clients[0]?.request({ ':path': '/shop.Cart/Get' }).resume() ?? assert.fail(), 'close');

  assert.equal(await calls('shop.Cart/Get', 'OK'), 8);
  assert.equal(await calls('shop.Cart/Put', 'OK'), 8);
  assert.equal(await calls('other', 'UNIMPLEMENTED'), 160);
  assert.equal(await calls('other', 'INTERNAL'), 8);
  assert.equal(await calls('other', 'OK'), 8);
  const count =
    'maesh_grpc_call_duration_seconds_count{service="shop/cart",method="shop.Cart/Get"}';
  assert.equal(await mesh.metric(count), 8);
  const text = await (await fetch(`${mesh.admin}/metrics`)).text();
  const methods = new Set([...text.matchAll(/,method="([^"]+)"/g)].map(([, name = '']) => name));
  const wanted = ['other', 'shop.Cart/Get', 'shop.Cart/Put', 'shop.Cart/Watch'];
  assert.deepEqual(methods, new Set(wanted));
});

test('the proxy itself answers, and that counts as what the caller is told', async (t) => {
  const client = http2.connect(origin);
  t.after(() => client.destroy());
  put([]);
  await until('there is no endpoint', async () => {
    await call(client, '/shop.Cart/Get');
    return (await calls('shop.Cart/Get', 'UNAVAILABLE')) > 0;
  });
});
