/**
 * SIGTERM under load with callers that keep reconnecting: a second mesh shares the ports, the first one drains, and no
 * request fails.
 *
 * Exactly none where Linux moves waiting connections between the sockets of a port (`net.ipv4.tcp_migrate_req`), which
 * is tried in a network namespace of its own. Elsewhere a connection is lost that arrives between the last look into a
 * queue and its close (src/proxy/net/close-quietly.ts): some 30 µs for each thread, more when the system takes the processor
 * away in between. One lost connection a drain is allowed there.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpoints, Folder, service } from '../e2e/support/manifests.ts';
import { Mesh, run } from '../e2e/support/mesh.ts';
import { EndpointsProcess, LoadProcess, show, showFailed } from './support/children.ts';
import type { Failed } from './support/load.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_001;
const ROLLS = 5;
const NEW_PER_SECOND = 300;

function migrates(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'latin1').trim() === '1';
  } catch {
    return false;
  }
}

const INNER = 'MAESH_TEST_IN_NAMESPACE';

test('no request fails while one mesh takes over from another', async (t) => {
  const lostMax = migrates() ? 0 : ROLLS;
  const folder = new Folder();
  const servers = new EndpointsProcess();
  const pods = ownRange();
  const all = [1, 2, 3, 4].map((i) => ({ address: pods.host(i), port: 21_002 }));
  await servers.open(all);
  folder.put('all.yaml', service('s/web', PORT), endpoints('s/web', all));
  const options = { paths: [folder.path], cidr: ownRange().cidr, threads: 2 };
  let mesh = await Mesh.start(options);
  t.after(async () => {
    await mesh.stop();
    servers.stop();
    folder.remove();
  });
  const host = await mesh.addressOf('s/web');
  const busy = new LoadProcess({
    host,
    port: PORT,
    keepAlive: 24,
    newPerSecond: NEW_PER_SECOND,
    thinkMs: 0,
  });
  // Callers with pauses: their connections are idle when the drain begins.
  const calm = new LoadProcess({ host, port: PORT, keepAlive: 24, newPerSecond: 0, thinkMs: 500 });
  t.after(() => {
    busy.kill();
    calm.kill();
  });
  await sleep(1_000);
  for (let roll = 0; roll < ROLLS; roll++) {
    const next = await Mesh.start({ ...options, flags: ['--take-over'] });
    await sleep(300);
    const startMs = performance.now();
    assert.equal(await mesh.stop(), 0, mesh.stderr);
    t.diagnostic(`drained in ${(performance.now() - startMs).toFixed(0)} ms`);
    mesh = next;
    await sleep(300);
  }
  const lost: Failed[] = [];
  for (const load of [busy, calm]) {
    const report = await load.stop();
    t.diagnostic(`${show(report)}; ${report.closeAnnounced} told to go`);
    lost.push(...report.failed);
    if (report.failed.length > 0) t.diagnostic(showFailed(report));
    assert.ok(report.closeAnnounced > 0);
  }
  assert.ok(lost.length <= lostMax, `lost ${lost.length}`);
  for (const { what } of lost) assert.equal(what, 'ECONNRESET');
  t.diagnostic(
    `${ROLLS} drains with ${NEW_PER_SECOND} new connections/s; tcp_migrate_req ${migrates() ? 'on' : 'off'}`,
  );
});

test('with net.ipv4.tcp_migrate_req not one request fails', async (t) => {
  if (process.env[INNER] === '1') return t.skip('this is the namespace');
  const set = 'ip link set lo up && echo 1 > /proc/sys/net/ipv4/tcp_migrate_req';
  const allowed = await run('unshare', ['-n', 'sh', '-c', set]).catch(() => null);
  if (allowed?.code !== 0) return t.skip('needs the right to make a network namespace');
  const self = fileURLToPath(import.meta.url);
  const again = `unset NODE_TEST_CONTEXT; ${set} && exec "${process.execPath}" --test --test-reporter=tap "${self}"`;
  const env = { [INNER]: '1' };
  const { code, stdout } = await run('unshare', ['-n', 'sh', '-c', again], env);
  for (const line of stdout.split('\n')) {
    if (/^# (?:\d+ sent|\d+ drains|\d+ ×)/.test(line)) t.diagnostic(line.slice(2));
  }
  assert.equal(code, 0, stdout);
  assert.match(stdout, /tcp_migrate_req on/);
});
