/** `--dns` and `--admin`, each through a client of its protocol. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answersOf, codeOf, type DnsQuestion, queryDns } from '../support/dns-query.ts';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { call } from './support/call.ts';
import { until } from './support/until.ts';
import { ownRange } from '../support/ranges.ts';

const folder = new Folder();
let mesh: Mesh;
let server: EndpointServer;
let address = '';

before(async () => {
  server = await EndpointServer.start('web', '127.1.82.1');
  folder.put('all.yaml', service('shop/web', 20_080), endpoints('shop/web', [server]));
  const flags = ['--domain', 'maesh', '--domain', 'corp.example', '--dns-ttl', '7s'];
  mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, flags });
  address = await mesh.addressOf('shop/web');
});

after(async () => {
  await mesh.stop();
  server.stop();
  folder.remove();
});

const ask = (name: string, more: Partial<DnsQuestion> = {}) =>
  queryDns({ port: mesh.dnsPort, name, ...more });
const answers = (name: string, more: Partial<DnsQuestion> = {}) =>
  answersOf({ port: mesh.dnsPort, name, ...more });

test('A, SRV and PTR are found in every domain and in any case, over UDP and TCP', async () => {
  assert.deepEqual(await answers('web.shop.maesh'), [address]);
  assert.deepEqual(await answers('WEB.Shop.corp.EXAMPLE'), [address]);
  assert.deepEqual(await answers('web.shop.maesh', { isTcp: true }), [address]);
  assert.deepEqual(await answers('_http._tcp.web.shop.maesh', { type: 'SRV' }), [
    { priority: 0, weight: 100, port: 20_080, target: 'web.shop.maesh' },
  ]);
  const reverse = `${address.split('.').toReversed().join('.')}.in-addr.arpa`;
  assert.deepEqual(await answers(reverse, { type: 'PTR' }), ['web.shop.maesh']);
  const full = await ask('web.shop.maesh');
  assert.equal(codeOf(full), 'NOERROR');
  assert.ok(full.flag_aa);
  assert.partialDeepStrictEqual(full.answers, [{ name: 'web.shop.maesh', type: 'A', ttl: 7 }]);
});

test('NXDOMAIN, NODATA and names that are not ours are told apart', async () => {
  const missing = await ask('nothing.shop.maesh');
  assert.equal(codeOf(missing), 'NXDOMAIN');
  assert.equal(missing.authorities?.length, 1);
  const noData = await ask('web.shop.maesh', { type: 'AAAA' });
  assert.equal(codeOf(noData), 'NOERROR');
  assert.equal(noData.answers?.length, 0);
  assert.equal(noData.authorities?.length, 1);
  assert.equal(codeOf(await ask('example.org')), 'REFUSED');
});

test('a Service appears and goes', async () => {
  folder.put('new.yaml', service('shop/new', 20_081));
  await until('the name is there', async () => (await answers('new.shop.maesh')).length === 1);
  folder.delete('new.yaml');
  await until('the name is gone', async () => (await answers('new.shop.maesh')).length === 0);
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
    cidr: ownRange().cidr,
    bare: true,
    flags: ['--admin', '0.0.0.0:0', '--dns', 'off', '--threads', '1'],
  });
  assert.equal(await refused.exit, 2);
  assert.match(refused.stderr, /^maesh: Cannot serve the admin API on "0\.0\.0\.0"/);
});
