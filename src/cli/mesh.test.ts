import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import type { CliContext } from './context.ts';
import { settle } from './mesh.ts';

function contextOf(env: CliContext['env']): CliContext {
  return {
    io: { out: () => undefined, err: () => undefined, onSignal: () => () => undefined },
    env,
    isColored: false,
    exit: () => undefined,
  };
}

function kubeconfig(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config');
  const config = {
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    clusters: [{ name: 'x', cluster: { server: 'https://127.0.0.1:1' } }],
    users: [{ name: 'x', user: {} }],
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

test('settle() takes the mesh of this machine before the cluster of the kubeconfig, and that before an error', async (t) => {
  const server = createServer((_, response) => response.end('{"status":"alive"}'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const nearest = { kind: 'nearest' } as const;
  const withCluster = contextOf({ KUBECONFIG: kubeconfig(t) });
  const without = contextOf({ KUBECONFIG: '/nowhere/config' });
  assert.deepEqual(await settle(nearest, withCluster, url), { kind: 'admin', url });
  server.close();
  await once(server, 'close');
  assert.deepEqual(await settle(nearest, withCluster, url), { kind: 'cluster' });
  await assert.rejects(
    settle(nearest, without, url),
    /nothing listens there; .+ --admin URL, manifests with -f PATH, or a cluster with --cluster$/,
  );
  const given = { kind: 'admin', url: 'http://elsewhere' } as const;
  assert.equal(await settle(given, withCluster, url), given);
});
