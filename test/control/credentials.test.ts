/** Secrets in a cluster: read where they may be, followed while calls run, in memory alone, and missed by an agent without a controller. */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { inspect } from 'node:util';
import { PATHS } from '../../src/admin/paths.ts';
import { parseCopy } from '../../src/discovery/copy.ts';
import { Pool } from '../../src/discovery/pool.ts';
import type { Problem } from '../../src/model/service.ts';
import { type ServerCertificate, TestCa } from '../support/certificates.ts';
import { KeyBytes } from '../support/key-bytes.ts';
import { tlsEndpoint, type TlsEndpoint } from '../support/tls-endpoint.ts';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';
import { namespace } from './support/objects.ts';

const [servers, clients] = [await TestCa.make('servers'), await TestCa.make('clients')];
const [first, second] = [
  await clients.issue({ names: ['first'] }),
  await clients.issue({ names: ['second'] }),
];
const keys = [first, second].map(({ key }) => new KeyBytes(key));
const WEB = 'web.shop.maesh';
const ANNOTATIONS = {
  'maesh.dev/scheme': 'https',
  'maesh.dev/upstream-ca': 'secret/web-client',
  'maesh.dev/upstream-client-secret': 'web-client',
};

let cluster: Cluster;
let controller: Controller;
let agent: Agent;
let app: TlsEndpoint;
const ends: (() => void)[] = [];

before(async () => {
  cluster = await Cluster.start({ secretNamespaces: ['shop'] });
  cluster.api.set('v1/namespaces', namespace('bank'));
  const t = { after: (end: () => void) => void ends.push(end) };
  app = await tlsEndpoint(t as never, '127.1.92.1', {
    ...(await servers.issue({ names: ['web.shop.svc', 'web.bank.svc'] })),
    requestCert: true,
    rejectUnauthorized: true,
    ca: clients.pem,
  });
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  await Promise.all([controller.part.ready(), agent.part.ready()]);
  cluster.expose('shop/web', app, ANNOTATIONS);
  cluster.expose('bank/web', app, ANNOTATIONS);
  await cluster.deploy('shop/callers', { 'maesh.dev/tls-secret': 'web-client' });
  await cluster.deploy('shop/plain');
  for (const name of [WEB, 'plain.shop.maesh'])
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await cluster.until(`${name} has an address`, async () => (await agent.lookup(name))[0]);
});

after(async () => {
  await cluster.stop();
  for (const end of ends) end();
});

function setSecret(
  { cert, key }: ServerCertificate,
  space = 'shop',
  type = 'kubernetes.io/tls',
): void {
  const data = Object.fromEntries(
    Object.entries({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': servers.pem }).map(
      ([name, text]) => [name, Buffer.from(text).toString('base64')],
    ),
  );
  const applied = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ data }) };
  const metadata = { name: 'web-client', namespace: space, annotations: applied };
  cluster.api.set('v1/secrets', { metadata, type, data });
}

async function status(host = WEB): Promise<number> {
  return (await cluster.call(agent, host)).status;
}

async function problems(of: Controller | Agent = controller): Promise<readonly Problem[]> {
  return (await of.part.json<{ problems: Problem[] }>('/api/problems')).problems;
}

test('without its Secret nothing is dialled; one that comes is used at once', async () => {
  assert.equal(await status(), 502);
  assert.equal(app.accepted(), 0);
  setSecret(first);
  await cluster.until('the Secret is used', async () => (await status()) === 200);
  assert.deepEqual(
    (await problems()).filter(({ object }) => object === 'Service shop/web'),
    [],
  );
});

/** The code of what ends a handshake with the port of `shop/callers`, or '' when it came about. */
async function shake(): Promise<string> {
  const port = cluster.shadow('shop/callers')?.proxyPort ?? 0;
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once('secureConnect', () => resolve(''));
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  const code = await promise;
  socket.destroy();
  return code;
}

test('its certificate is shown to callers of a Service that names it for them', async () => {
  await cluster.until('callers can connect', async () => (await shake()) === '');
});

test('a rotation loses no call', async () => {
  const over = new AbortController();
  const seen: number[] = [];
  const calls = (async (): Promise<void> => {
    while (!over.signal.aborted) seen.push(await status());
  })();
  const accepted = app.accepted();
  setSecret(second);
  await cluster.until('the new certificate is shown', () => app.accepted() > accepted);
  const count = seen.length;
  await cluster.until('calls go on', () => seen.length > count + 5);
  over.abort();
  await calls;
  assert.deepEqual([...new Set(seen)], [200]);
});

test('where there is no right, the Role is told, and the Secret is not even asked for', async () => {
  setSecret(first, 'bank');
  const told = await cluster.until('it is a problem', async () =>
    (await problems()).find(
      ({ object, field }) => object === 'Service bank/web' && field.includes('client-secret'),
    ),
  );
  assert.match(told.message, /no right to read Secrets of namespace bank$/);
  assert.match(told.remedy, /Role maesh-controller-secrets there: add bank to/);
  assert.equal(await status('web.bank.maesh'), 502);
});

test('no key is in what is logged, answered, written to the API server or to the disk', async () => {
  const told: Record<string, string | Buffer> = {};
  for (const part of [controller.part, agent.part]) {
    for (const path of PATHS.keys())
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      told[`${part.name} ${path}`] = await part.text(path);
    told[`log of ${part.name}`] = part.log;
  }
  const collections = [
    'v1/services',
    'v1/configmaps',
    'coordination.k8s.io/v1/leases',
    'events.k8s.io/v1/events',
  ];
  for (const each of collections) told[each] = JSON.stringify(cluster.api.objects(each));
  await agent.part.end();
  const files = globSync('**/*', { cwd: cluster.folder, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  for (const { parentPath, name } of files) told[name] = readFileSync(join(parentPath, name));
  const copy = Object.keys(told).find((name) => name.endsWith('.copy')) ?? '';
  assert.notEqual(copy, '', Object.keys(told).join());
  // It is compressed: what is in it must be looked at, too.
  const { parts } = await parseCopy(Buffer.from(told[copy] ?? ''), new Pool());
  const all = { depth: Infinity, maxStringLength: null, maxArrayLength: null };
  told['what is in the copy'] = inspect(parts, all);
  const [, line = ''] = servers.pem.split('\n');
  assert.ok(told['what is in the copy'].includes(line), 'CAs are in it');
  for (const key of keys) key.assertInNone(told);
});

test('an agent that starts without a controller has no key: all else is served, and it says so', async () => {
  await controller.end();
  agent = await cluster.agent('a2', { state: 'a1' });
  await agent.part.ready();
  await cluster.until('plain calls pass', async () => (await status('plain.shop.maesh')) === 200);
  const accepted = app.accepted();
  const answer = await cluster.call(agent, WEB);
  assert.equal(answer.status, 502);
  assert.match(answer.body, /tls_no_client_certificate/);
  assert.equal(app.accepted(), accepted);
  assert.equal(await shake(), 'ECONNREFUSED');
  const [missing] = (await problems(agent)).filter(
    ({ object }) => object === 'Service shop/callers',
  );
  assert.match(missing!.message, /the certificate of its Secret is not here$/);
  controller = await cluster.controller('c2');
  await cluster.until('the key is there again', async () => (await status()) === 200);
  await cluster.until('callers can connect again', async () => (await shake()) === '');
});

test('a Secret that goes takes its key away; a type that is not for TLS counts as none', async () => {
  setSecret(first, 'shop', 'Opaque');
  await cluster.until('nothing is dialled', async () => (await status()) === 502);
  setSecret(first);
  await cluster.until('it is used', async () => (await status()) === 200);
  cluster.api.remove('v1/secrets', 'shop', 'web-client');
  await cluster.until('nothing is dialled again', async () => (await status()) === 502);
});
