/** A log on a full disk, and a wall clock that jumps: neither touches the traffic. */

import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { COMPLAIN_MS } from '../../src/proxy/telemetry/access-log.ts';
import { call } from '../e2e/support/call.ts';
import { Folder, service } from '../e2e/support/manifests.ts';
import { Mesh, run } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { EndpointsProcess } from './support/children.ts';
import { Loads, manifestsOf, openAll } from './support/ways.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_001;

/** A mesh with one Service under load. */
async function setUp(
  t: TestContext,
  options: {
    readonly flags?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  },
): Promise<{ mesh: Mesh; host: string; folder: Folder; load: Loads }> {
  const { flags = [], env = {}, annotations = {} } = options;
  const folder = new Folder();
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const all = [1, 2].map((i) => ({ address: pods.host(i), port: 21_004 }));
  await openAll(servers, all);
  folder.put('all.yaml', ...manifestsOf(PORT, all, annotations));
  const mesh = await Mesh.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: 2,
    flags,
    env,
  });
  const host = await mesh.addressOf('s/web');
  const load = await Loads.start(t, {
    at: async (key) => ({ host: await mesh.addressOf(key), port: PORT }),
    keepAlive: 8,
    newPerSecond: 100,
    thinkMs: 1,
  });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  return { mesh, host, folder, load };
}

function logFlags(path: string): readonly string[] {
  return ['--access-log', 'json', '--access-log-path', path];
}

function lines(mesh: Mesh, outcome: 'written' | 'dropped'): Promise<number> {
  return mesh.metric(`maesh_access_log_lines_total{outcome="${outcome}"}`);
}

test('an access log that never takes a byte (/dev/full) costs lines, no request', async (t) => {
  const startMs = performance.now();
  const { mesh, load } = await setUp(t, { flags: logFlags('/dev/full') });
  await until('lines are dropped', async () => (await lines(mesh, 'dropped')) > 0, 90_000);
  await load.stopWithoutFailure(t);
  t.diagnostic(
    `${await lines(mesh, 'dropped')} lines dropped, ${await lines(mesh, 'written')} written`,
  );
  const complaints = mesh.stderr.match(/Cannot write the access log: make room on the disk/g) ?? [];
  const minutes = Math.ceil((performance.now() - startMs) / COMPLAIN_MS);
  assert.ok(complaints.length >= 1, mesh.stderr);
  assert.ok(complaints.length <= 2 * minutes, 'one message a minute for each thread');
});

test('an access log goes on when a full disk has room again', async (t) => {
  const disk = new Folder();
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'maesh', disk.path]).catch(
    () => null,
  );
  if (mounted?.code !== 0) {
    disk.remove();
    return t.skip('needs the right to mount');
  }
  t.after(async () => {
    await run('umount', ['-l', disk.path]);
    disk.remove();
  });
  const path = join(disk.path, 'access.log');
  const { mesh, load } = await setUp(t, { flags: logFlags(path) });
  await until(
    'the disk is full and lines are dropped',
    async () => statSync(path).size > 900_000 && (await lines(mesh, 'dropped')) > 0,
    90_000,
  );
  const before = await lines(mesh, 'written');
  // What a person would do first; the file is open for appending and goes on at its new end.
  truncateSync(path, 0);
  await until('lines are written again', async () => (await lines(mesh, 'written')) > before);
  await load.stopWithoutFailure(t);
  t.diagnostic(`${before} lines before the disk was full, ${await lines(mesh, 'dropped')} dropped`);
  await until('the file grows', () => statSync(path).size > 0);
  // Rotation: the file is moved away, SIGHUP opens a new one.
  unlinkSync(path);
  mesh.child.kill('SIGHUP');
  await until('a new file is there', () => statSync(path).size >= 0);
  assert.equal(mesh.child.exitCode, null);
  // The last line may still be on its way.
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  for (const line of whole) JSON.parse(line);
});

test('a wall clock that jumps by a day to and fro changes nothing about the traffic', async (t) => {
  const jumping = new Folder();
  t.after(() => jumping.remove());
  // Every thread of the mesh gets a wall clock that jumps once a second.
  const hook = jumping.write(
    'jump.mjs',
    `const real = Date.now;
     const jump = () => (Math.floor(performance.now() / 1000) % 3 - 1) * 86_400_000;
     Date.now = () => real() + jump();\n`,
  );
  const log = join(jumping.path, 'access.log');
  const { mesh, host, folder, load } = await setUp(t, {
    flags: [...logFlags(log), '--access-log-sample', '0.05'],
    env: { NODE_OPTIONS: `--import=${hook}` },
    annotations: {
      'maesh.dev/timeout-request': '10s',
      'maesh.dev/timeout-idle': '10s',
      'maesh.dev/ratelimit-average': '100000',
      'maesh.dev/circuit-breaker-expression': 'NetworkErrorRatio() > 0.5',
    },
  });
  /** The days of the lines so far, of which the last one may not be whole. */
  const days = (): Set<string | undefined> =>
    new Set(
      [...readFileSync(log, 'utf8').matchAll(/"time":"(\d{4}-\d\d-\d\d)T/g)].map(([, day]) => day),
    );
  await until('requests were made on different days', () => days().size >= 2);
  // Files still count as changed.
  folder.put('more.yaml', service('s/more', 20_002));
  await until('a change is served', () => mesh.addressOf('s/more').catch(() => null));
  assert.equal((await call({ address: host, port: PORT })).status, 200);
  await sleep(2_000);
  for (const [{ name }, { closedIdle, maxMs }] of await load.stopWithoutFailure(t)) {
    assert.equal(closedIdle, 0, name);
    // Less than any limit that could act; a busy machine has pauses of its own.
    assert.ok(maxMs < 9_000, `${name}: ${maxMs}`);
  }
  t.diagnostic(`the access log shows ${[...days()].join(', ')}: the clock did jump`);
});
