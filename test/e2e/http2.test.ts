/** HTTP/2 through `maesh up`, as the manifests ask for it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { ownRange } from '../support/ranges.ts';

const folder = new Folder();
const sessions = new Set<http2.ServerHttp2Session>();
const server = http2.createServer((request, response) => {
  response.end(
    `${request.httpVersion} ${request.url} ${String(request.headers['x-forwarded-for'])}`,
  );
});
server.on('session', (session) => sessions.add(session));
let mesh: Mesh;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ports = [
    { name: 'http', port: 20_071, targetPort: port, appProtocol: 'kubernetes.io/h2c' },
  ];
  folder.put(
    'web.yaml',
    service('s/web', 20_071, { spec: { ports } }),
    endpoints('s/web', [{ address: '127.0.0.1', port }]),
  );
  mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr });
});

after(async () => {
  await mesh.stop();
  for (const session of sessions) session.destroy();
  server.close();
  folder.remove();
});

test('appProtocol kubernetes.io/h2c: callers of HTTP/2 and of HTTP/1.1 reach the endpoint', async (t) => {
  const origin = `http://${await mesh.addressOf('s/web')}:20071`;
  const client = http2.connect(origin);
  t.after(() => client.destroy());
  const stream = client.request({ ':path': '/two' });
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += String(chunk);
  assert.match(text, /^2\.0 \/two 127\./);
  const response = await fetch(`${origin}/one`);
  assert.match(await response.text(), /^2\.0 \/one 127\./);
  assert.deepEqual(await mesh.problems(), []);
});
