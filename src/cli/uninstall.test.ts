import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { maesh } from './maesh.fixture.ts';

const NOWHERE = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'c', cluster: { server: 'http://127.0.0.1:1' } }],
  users: [{ name: 'u', user: {} }],
  contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'c',
});

test('uninstall understands its own defaults, and says which times it takes', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-uninstall-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const env = { KUBECONFIG: join(folder, 'config') };
  writeFileSync(env.KUBECONFIG, NOWHERE);
  for (const args of [[], ['--from-hook']]) {
    const { code, err } = await maesh(['uninstall', ...args], env);
    assert.equal(code, 1);
    assert.match(err, /ECONNREFUSED/);
  }
  const { err } = await maesh(['uninstall', '--leave', '11m'], env);
  assert.match(err, /Cannot use "11m" for --leave: give a time with its unit, 0s to 10m/);
});
