/** `--dns` through a real dig, `--admin` through a real client. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh, run } from './support/mesh.ts';
import { call } from './support/call.ts';

const folder = new Folder();
let mesh: Mesh;
let server: EndpointServer;
let address = '';

before(async () => {
  server = await EndpointServer.start('web', '127.1.82.1');
  folder.put('all.yaml', service('shop/web', 20_080), endpoints('shop/web', [server]));
  const flags = ['--domain', 'maesh', '--domain', 'corp.example', '--dns-ttl', '7s'];
  mesh = await Mesh.start({ paths: [folder.path], cidr: '127.82.0.0/24', flags });
  address = await mesh.addressOf('shop/web');
});

after(async () => {
  await mesh.stop();
  server.stop();
  folder.remove();
});

async function dig(...words: readonly string[]): Promise<string> {
  const fixed = ['@127.0.0.1', '-p', String(mesh.dnsPort), '+tries=1', '+time=2'];
  const { stdout, code } = await run('dig', [...fixed, ...words]);
  assert.equal(code, 0, stdout);
  return stdout;
}

test('dig finds A, SRV and PTR in every domain and in any case, over UDP and TCP', async () => {
  assert.equal((await dig('+short', 'web.shop.maesh')).trim(), address);
  assert.equal((await dig('+short', 'WEB.Shop.corp.EXAMPLE')).trim(), address);
  assert.equal((await dig('+short', '+tcp', 'web.shop.maesh')).trim(), address);
  assert.equal(
    (await dig('+short', '_http._tcp.web.shop.maesh', 'SRV')).trim(),
    '0 100 20080 web.shop.maesh.',
  );
  assert.equal((await dig('+short', '-x', address)).trim(), 'web.shop.maesh.');
  const full = await dig('web.shop.maesh');
  assert.match(full, /status: NOERROR/);
  assert.match(full, /flags: qr aa/);
  assert.match(full, /web\.shop\.maesh\.\s+7\s+IN\s+A\s/);
});

test('dig tells NXDOMAIN, NODATA and names that are not ours apart', async () => {
  const missing = await dig('nothing.shop.maesh');
  assert.match(missing, /status: NXDOMAIN/);
  assert.match(missing, /AUTHORITY: 1/);
  const noData = await dig('web.shop.maesh', 'AAAA');
  assert.match(noData, /status: NOERROR/);
  assert.match(noData, /ANSWER: 0, AUTHORITY: 1/);
  assert.match(await dig('example.org'), /status: REFUSED/);
});

test('dig sees a Service appear and go', async () => {
  folder.put('new.yaml', service('shop/new', 20_081));
  const deadline = performance.now() + 5_000;
  while ((await dig('+short', 'new.shop.maesh')).trim() === '')
    assert.ok(performance.now() < deadline);
  folder.delete('new.yaml');
  while ((await dig('+short', 'new.shop.maesh')).trim() !== '')
    assert.ok(performance.now() < deadline);
});

test('the admin server answers every path that it documents', async () => {
  await call({ address, port: 20_080 });
  for (const path of ['healthz', 'readyz', 'metrics']) {
    assert.equal(await mesh.status(`/${path}`), 200, path);
  }
  for (const path of ['snapshot', 'services', 'endpoints', 'problems', 'stats', 'threads']) {
    const body = await mesh.json<Record<string, unknown>>(`/api/${path}`);
    assert.equal(typeof body, 'object', path);
  }
  assert.equal(await mesh.status('/nothing'), 404);
  const requests = 'maesh_requests_total{service="shop/web",code_class="2xx"}';
  assert.equal(await mesh.metric(requests), 1);
});

test('the admin server listens on loopback only unless told otherwise', async () => {
  const refused = new Mesh({
    paths: [folder.path],
    cidr: '127.82.1.0/24',
    bare: true,
    flags: ['--admin', '0.0.0.0:0', '--dns', 'off', '--threads', '1'],
  });
  assert.equal(await refused.exit, 2);
  assert.match(refused.stderr, /^maesh: Cannot serve the admin API on "0\.0\.0\.0"/);
});
