import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';

import { until, type FakeApiServer } from '../kube/api/api-server.fixture.ts';
import { installInto, startServer } from '../install/installed.fixture.ts';
import type { CliContext } from './context.ts';
import { statusCommand } from './status.ts';

/** Runs the command in this process, against a fake API server; `interrupt` is what Ctrl-C does. */
async function setUp(context: TestContext) {
  const server: FakeApiServer = await startServer();
  context.after(() => server.stop());
  installInto(server);
  const folder = mkdtempSync(join(tmpdir(), 'maesh-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config');
  const config = {
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x', namespace: 'shop' } }],
    clusters: [{ name: 'x', cluster: { server: server.url } }],
    users: [{ name: 'x', user: {} }],
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  let out = '';
  const codes: number[] = [];
  let interrupt = (): void => undefined;
  const cli: CliContext = {
    io: {
      out: (text) => void (out += text),
      err: () => assert.fail(),
      onSignal: (_signal, run) => {
        interrupt = run;
        return () => undefined;
      },
    },
    env: { KUBECONFIG: path },
    isColored: false,
    exit: (code) => void codes.push(code),
  };
  const run = (...args: readonly string[]) =>
    statusCommand(cli).exitOverride().parseAsync(args, { from: 'user' });
  return { server, run, codes, out: () => out, interrupt: () => interrupt() };
}

test('maesh status --watch goes on through errors, until it is interrupted', async (context) => {
  const { server, run, codes, out, interrupt } = await setUp(context);
  server.answers.push(
    { status: 401, reason: 'Unauthorized' },
    { status: 401, reason: 'Unauthorized' },
  );
  const done = run('--watch');
  await until(() => out().includes('\n'));
  assert.match(out(), /^maesh: Cannot GET "\/version": 401 Unauthorized/);
  interrupt();
  await done;
  assert.deepEqual(codes, [1]);
});

test('maesh status -A cannot be narrowed', async (context) => {
  const { run } = await setUp(context);
  for (const args of [
    ['-A', '-n', 'shop'],
    ['-A', 'web'],
  ]) {
    await assert.rejects(run(...args), /Cannot use -A with a namespace or a Service/);
  }
});

test('maesh status finds a Service by the namespace of the context, in every way that kubectl does', async (context) => {
  const { server, run, out } = await setUp(context);
  server.set('v1/services', {
    metadata: {
      name: 'shadow-0',
      namespace: 'maesh',
      labels: {
        'app.kubernetes.io/name': 'maesh',
        'app.kubernetes.io/part-of': 'maesh',
        'app.kubernetes.io/component': 'shadow',
      },
      annotations: { 'maesh.dev/service': 'shop/web', 'maesh.dev/state': 'announced' },
    },
  });
  await run('web', '-o', 'json');
  const told = JSON.parse(out()) as { service: string; state: string };
  assert.deepEqual([told.service, told.state], ['shop/web', 'announced']);
});
