import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Bundle } from './bundle.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';

class Cluster {
  answer: () => unknown = () => ({ data: { 'ca.crt': PEM } });
  readonly paths: string[] = [];

  request({ path }: { readonly path: string }): Promise<unknown> {
    this.paths.push(path);
    return Promise.resolve().then(() => this.answer());
  }
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'maesh-bundle-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function down(): never {
  throw new Error('the API server is away');
}

test('the bundle comes from the ConfigMap of the mesh, as it is now', async (t) => {
  const client = new Cluster();
  const bundle = new Bundle({ client, namespace: 'mesh', stateDir: join(folder(t), 'new') });
  assert.equal(await bundle.read(), PEM);
  client.answer = () => ({ data: { 'ca.crt': `${PEM}${PEM}` } });
  assert.equal(await bundle.read(), `${PEM}${PEM}`);
  assert.deepEqual(new Set(client.paths), new Set(['/api/v1/namespaces/mesh/configmaps/maesh-ca']));
});

test('while the API server is away the last one counts, even after a restart', async (t) => {
  const stateDir = folder(t);
  const client = new Cluster();
  const bundle = new Bundle({ client, namespace: 'mesh', stateDir });
  await bundle.read();
  client.answer = down;
  assert.equal(await bundle.read(), PEM);
  assert.equal(await new Bundle({ client, namespace: 'mesh', stateDir }).read(), PEM);
  assert.equal(readFileSync(join(stateDir, 'ca.crt'), 'utf8'), PEM);
});

test('without a copy the reason is told, and a ConfigMap without certificates is never believed', async (t) => {
  const client = new Cluster();
  const bundle = new Bundle({ client, namespace: 'mesh', stateDir: folder(t) });
  client.answer = down;
  await assert.rejects(bundle.read(), /the API server is away/);
  for (const answer of [{}, { data: {} }, { data: { 'ca.crt': '' } }, null]) {
    client.answer = () => answer;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await assert.rejects(bundle.read(), /ConfigMap mesh\/maesh-ca has no certificates in "ca.crt"/);
  }
});
