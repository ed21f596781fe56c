/** Filters of routes where callers and endpoints speak HTTP/2: the same changes as in HTTP/1.1. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import type { RouteFilters } from '../../src/model/filter.ts';
import type { Service } from '../../src/model/service.ts';
import { SERVICE_OWN } from '../../src/proxy/ledger/layout.ts';
import { freshAddress, TestProxy } from '../support/proxy.ts';
import { NO_FILTERS, prefix, routed } from '../support/routes.ts';
import { atEnd } from '../support/wire.ts';

type Fields = Record<string, unknown>;

/** Keeps the fields of the last request, and answers with some of its own. */
async function listening(
  t: TestContext,
  version: 1 | 2,
): Promise<{ address: string; port: number; last: () => Fields }> {
  let last: Fields = {};
  const answer = (request: http.IncomingMessage | http2.Http2ServerRequest): Fields => {
    last = { ...request.headers, path: request.url };
    request.resume();
    return { 'x-one': '1', 'x-two': '2', server: 'old' };
  };
  const server =
    version === 2
      ? http2.createServer((request, response) => {
          response.writeHead(200, answer(request) as http2.OutgoingHttpHeaders);
          response.end('ok');
        })
      : http.createServer((request, response) => {
          response.writeHead(200, answer(request) as http.OutgoingHttpHeaders);
          response.end('ok');
        });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  server.on('connection', (socket) => sessions.add(socket));
  const address = freshAddress();
  server.listen(0, address);
  await once(server, 'listening');
  atEnd(t, () => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { address, port: (server.address() as AddressInfo).port, last: () => last };
}

async function call(t: TestContext, service: Service, headers: Fields): Promise<Fields> {
  const client = http2.connect(`http://${service.address}:${service.ports[0]?.port}`);
  client.on('error', () => {});
  atEnd(t, () => client.destroy());
  const stream = client.request(headers as http2.OutgoingHttpHeaders);
  stream.resume();
  const [fields] = (await once(stream, 'response')) as [Fields];
  await once(stream, 'close');
  return fields;
}

const FILTERS: RouteFilters = {
  ...NO_FILTERS,
  request: [
    { action: 'set', name: 'x-one', value: 'new' },
    { action: 'add', name: 'x-two', value: 'é' },
    { action: 'remove', name: 'x-three', value: '' },
  ],
  response: [
    { action: 'set', name: 'x-one', value: 'new' },
    { action: 'add', name: 'x-two', value: '3' },
    { action: 'remove', name: 'server', value: '' },
  ],
  rewrite: { host: 'b.example', path: { kind: 'prefix', value: '/new' } },
};
const ASKED = {
  ':path': '/old/a?b="c',
  ':authority': 'web.shop:8080',
  'x-one': '1',
  'x-two': '2',
  'x-three': '3',
};

for (const version of [1, 2] as const) {
  test(`requests of HTTP/2 to endpoints of HTTP/${version} are changed, and their responses`, async (t) => {
    const endpoint = await listening(t, version);
    const proxy = new TestProxy(t);
    const plain = proxy.service({ endpoints: [endpoint], http2: version === 2 });
    const service = routed(plain, [{ matches: [prefix('/old')], filters: FILTERS }]);
    await proxy.apply([service]);
    for (let i = 0; i < 2; i++) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const got = await call(t, service, ASKED);
      assert.equal(got[':status'], 200);
      assert.deepEqual([got['x-one'], got['x-two'], got['server']], ['new', '2, 3', undefined]);
      const sent = endpoint.last();
      assert.equal(sent['path'], '/new/a?b=%22c');
      assert.equal(sent[':authority'] ?? sent['host'], 'b.example');
      const value = Buffer.from(String(sent['x-two']), 'latin1').toString();
      assert.deepEqual([sent['x-one'], value, sent['x-three']], ['new', '2, é', undefined]);
      assert.equal(sent['x-forwarded-host'], 'web.shop:8080');
    }
  });
}

test('a caller of HTTP/2 is redirected', async (t) => {
  const proxy = new TestProxy(t);
  const path = { kind: 'prefix', value: '/new' } as const;
  const redirect = { scheme: '', host: '', port: 0, path, status: 307 } as const;
  const filters = { ...FILTERS, redirect };
  const service = routed(proxy.service(), [{ matches: [prefix('/old')], filters }]);
  await proxy.apply([service]);
  const got = await call(t, service, ASKED);
  assert.equal(got[':status'], 307);
  assert.equal(got['location'], 'http://web.shop:8080/new/a?b=%22c');
  assert.deepEqual([got['x-one'], got['content-length']], ['new', '0']);
  assert.equal(proxy.figure(service, SERVICE_OWN.redirects), 1);
});
