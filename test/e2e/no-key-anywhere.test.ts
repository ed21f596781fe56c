/** `maesh up` with keys in its manifests: calls use them, and whatever it and the other commands say has none of their bytes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATHS } from '../../src/admin/paths.ts';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { TestCa } from '../support/certificates.ts';
import { KeyBytes } from '../support/key-bytes.ts';
import { ownRange } from '../support/ranges.ts';
import { tlsEndpoint } from '../support/tls-endpoint.ts';
import { call } from './support/call.ts';
import { endpoints, Folder, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';

const PORT = 20_001;

function secret(name: string, data: Readonly<Record<string, string>>, type = 'kubernetes.io/tls') {
  const coded = Object.entries(data).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  const applied = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ data }) };
  const metadata = { name, namespace: 's', annotations: applied };
  return { apiVersion: 'v1', kind: 'Secret', metadata, type, data: Object.fromEntries(coded) };
}

test('KeyBytes finds a key in all its forms', async () => {
  const { key, cert } = await TestCa.selfSigned(['a']);
  const bytes = new KeyBytes(key);
  const forms = [
    key,
    Buffer.from(key).toString('base64'),
    JSON.stringify({ key }),
    key.replaceAll('\n', '\r\n'),
  ];
  for (const form of forms) assert.notEqual(bytes.in(`before ${form} behind`), '');
  assert.equal(bytes.in(cert), '');
});

test('no answer, log line, output or error of a real run has a byte of a key', async (t) => {
  const [servers, clients] = [await TestCa.make('servers'), await TestCa.make('clients')];
  const range = ownRange();
  const app = await tlsEndpoint(t, range.host(1), {
    ...(await servers.issue({ names: ['web.s.svc'] })),
    requestCert: true,
    rejectUnauthorized: true,
    ca: clients.pem,
  });
  const client = await clients.issue({ names: ['proxy'] });
  const caller = await servers.issue({ names: ['web.s.maesh'], lastsMs: 3_600_000 });
  const keys = [new KeyBytes(client.key), new KeyBytes(caller.key)];
  const folder = new Folder();
  t.after(() => folder.remove());
  const secured = {
    'maesh.dev/scheme': 'https',
    'maesh.dev/upstream-ca': 'secret/web-ca',
    'maesh.dev/upstream-client-secret': 'web-client',
  };
  folder.put(
    'web.yaml',
    service('s/web', PORT, { annotations: secured }),
    endpoints('s/web', [app]),
  );
  folder.put(
    'callers.yaml',
    service('s/callers', PORT, { annotations: { ...secured, 'maesh.dev/tls-secret': 'web-tls' } }),
    endpoints('s/callers', [app]),
  );
  const pair = ({ cert, key }: { cert: string; key: string }) => ({
    'tls.crt': cert,
    'tls.key': key,
  });
  folder.put(
    'secrets.yaml',
    secret('web-ca', { ...pair(caller), 'ca.crt': servers.pem }),
    secret('web-client', pair(client)),
    secret('web-tls', pair(caller)),
    // All that is wrong with Secrets, with keys in it.
    secret('opaque', pair(client), 'Opaque'),
    secret('misfit', { 'tls.crt': caller.cert, 'tls.key': client.key }),
    secret('swapped', { 'tls.crt': client.key, 'tls.key': client.cert }),
    {
      ...secret('texts', {}),
      stringData: { 'tls.key': [client.key], 'tls.crt': { a: client.key } },
    },
    { ...secret('odd', {}), data: client.key, datas: { 'tls.key': client.key } },
  );
  for (const name of ['opaque', 'misfit', 'swapped', 'texts', 'odd'])
    folder.put(
      `${name}.yaml`,
      service(`s/${name}`, PORT, {
        annotations: {
          ...secured,
          'maesh.dev/upstream-client-secret': name,
          'maesh.dev/tls-secret': name,
          'maesh.dev/upstream-ca': `secret/${name}`,
        },
      }),
    );
  const { cidr } = ownRange();
  const mesh = await Mesh.start({
    paths: [folder.path],
    cidr,
    threads: 2,
    flags: ['--log-level', 'debug'],
  });
  t.after(() => mesh.stop('SIGKILL'));
  const ask = async (): Promise<number> =>
    (await call({ address: await mesh.addressOf('s/web'), port: PORT })).status;
  assert.equal(await ask(), 200);

  const told: Record<string, string> = {};
  const look = async (): Promise<void> => {
    for (const path of PATHS.keys())
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      told[`${path} ${Object.keys(told).length}`] = await (
        await fetch(`${mesh.admin}${path}`)
      ).text();
  };
  await look();
  const problems = JSON.stringify(await mesh.problems());
  assert.ok(problems.includes('its tls.key does not belong to its tls.crt'), problems);

  // A rotation, then a key that is broken.
  const next = await clients.issue({ names: ['next'] });
  keys.push(new KeyBytes(next.key));
  const seen = app.accepted();
  folder.put('client.yaml', secret('web-client', pair(next)));
  folder.put(
    'secrets.yaml',
    secret('web-ca', { ...pair(caller), 'ca.crt': servers.pem }),
    secret('web-tls', pair(caller)),
  );
  await until(
    'another certificate is shown',
    async () => (await ask()) === 200 && app.accepted() > seen,
  );
  folder.put(
    'client.yaml',
    secret('web-client', { ...pair(next), 'tls.key': next.key.slice(0, 150) }),
  );
  await until('nothing is dialled', async () => (await ask()) === 502);
  await look();

  const files = ['-f', folder.path, '--service-cidr', cidr];
  for (const args of [
    ['check', ...files],
    ['check', '-o', 'json', ...files],
    ['hosts', ...files],
    ['explain', `http://web.s.maesh:${PORT}/`, ...files],
    ['explain', '-o', 'json', `http://callers.s.maesh:${PORT}/`, ...files],
  ]) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { out, err } = await maesh(args, {});
    told[args.join(' ')] = out + err;
  }
  await mesh.stop();
  told['stdout'] = mesh.stdout;
  told['stderr'] = mesh.stderr;
  const explained =
    Object.entries(told).find(([name]) => name.startsWith('explain http'))?.[1] ?? '';
  assert.match(
    explained,
    /by the certificate of Secret s\/web-client|the Secret of upstream-client-secret/,
  );
  assert.match(
    Object.values(told).join('\n'),
    /maesh_certificate_expiry_timestamp_seconds\{service="s\/web",secret="s\/web-client"\} 1\d{9}/,
  );
  assert.match(
    Object.values(told).join('\n'),
    /in TLS of its callers by the certificate of Secret s\/web-tls \(until 20\d\d-/,
  );
  for (const key of keys) key.assertInNone(told);
});
