/**
 * SIGTERM under load with callers that keep reconnecting: a second mesh shares the ports, the first one drains, and no
 * request fails.
 *
 * Exactly none where Linux moves waiting connections between the sockets of a port (`net.ipv4.tcp_migrate_req`), which
 * is tried in a network namespace of its own. Elsewhere a connection is lost that arrives between the last look into a
 * queue and its close, the next system call (src/proxy/net/close-quietly.ts): next to none, unless the system takes the
 * processor away in between. One lost connection in all drains together is allowed there.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Folder } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { isInside, runInside } from './support/namespace.ts';
import { EndpointsProcess } from './support/children.ts';
import type { Failed } from './support/figures.ts';
import { Loads, manifestsOf, openAll } from './support/ways.ts';
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

test('no request fails while one mesh takes over from another', async (t) => {
  const lostMax = migrates() ? 0 : 1;
  const folder = new Folder();
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const all = [1, 2, 3, 4].map((i) => ({ address: pods.host(i), port: 21_002 }));
  await openAll(servers, all);
  folder.put('all.yaml', ...manifestsOf(PORT, all));
  const options = { paths: [folder.path], cidr: ownRange().cidr, threads: 2 };
  let mesh = await Mesh.start(options);
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  const first = mesh;
  const at = async (key: string) => ({ host: await first.addressOf(key), port: PORT });
  const busy = await Loads.start(t, {
    at,
    keepAlive: 24,
    newPerSecond: NEW_PER_SECOND,
    thinkMs: 0,
  });
  // Callers with pauses: their connections are idle when the drain begins.
  const pausing = { newPerSecond: 0, thinkMs: 500 };
  const others = { keepAlive: 6, streams: 1, ...pausing };
  const calm = await Loads.start(t, { at, keepAlive: 24, ...pausing, others });
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
  const failures: Failed[] = [];
  let lost = 0;
  for (const load of [busy, calm]) {
    for (const [{ name }, { failed, closeAnnounced }] of await load.stop(t)) {
      t.diagnostic(`${name}: ${closeAnnounced} told to go`);
      failures.push(...failed);
      lost += new Set(failed.map(({ connection }) => connection)).size;
      assert.ok(closeAnnounced > 0, name);
    }
  }
  t.diagnostic(`${lost} connections lost`);
  assert.ok(lost <= lostMax, `lost ${lost}`);
  for (const { what } of failures) assert.equal(what, 'ECONNRESET');
  t.diagnostic(
    `${ROLLS} drains with ${NEW_PER_SECOND} new connections/s; tcp_migrate_req ${migrates() ? 'on' : 'off'}`,
  );
});

test('with net.ipv4.tcp_migrate_req not one request fails', async (t) => {
  if (isInside()) return t.skip('this is the namespace');
  const set = 'ip link set lo up && echo 1 > /proc/sys/net/ipv4/tcp_migrate_req';
  const inner = await runInside(import.meta.url, set);
  if (inner === null) return t.skip('needs the right to make a network namespace');
  for (const line of inner.stdout.split('\n')) {
    if (/^# (?:HTTP|gRPC|\d+ (?:drains|connections))/.test(line)) t.diagnostic(line.slice(2));
  }
  assert.equal(inner.code, 0, inner.stdout);
  assert.match(inner.stdout, /tcp_migrate_req on/);
});
