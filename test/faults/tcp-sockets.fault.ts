/** Faults of TCP over real sockets: an endpoint that is killed, and callers that behave badly. Others are served as ever meanwhile. */

import assert from 'node:assert/strict';
import net from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Folder } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { ownRange } from '../support/ranges.ts';
import { EndpointsProcess } from './support/children.ts';
import { Loads, manifestsOf, openAll, TCP_WAY } from './support/ways.ts';

const PORT = 20_061;
const KEPT = 30;
/** Each of these callers does one of the bad things. */
const BAD_CALLERS = 400;
const FLOOD = Buffer.alloc(256 << 10, 'a line that does not end ');
const ACTIVE = 'maesh_caller_connections{service="s/tcp"}';

interface Scene {
  readonly mesh: Mesh;
  readonly host: string;
  /** One process for each. */
  readonly servers: readonly { readonly address: string; readonly process: EndpointsProcess }[];
  readonly load: Loads;
}

/** Two endpoints, each in a process of its own, and callers of TCP. */
async function setUp(t: TestContext): Promise<Scene> {
  const folder = new Folder();
  const pods = ownRange();
  const servers = [1, 2].map((i) => ({ address: pods.host(i), process: new EndpointsProcess(t) }));
  const all = servers.map(({ address }) => ({ address, port: 21_061 }));
  await Promise.all(servers.map((each, i) => openAll(each.process, all.slice(i, i + 1))));
  folder.put('all.yaml', ...manifestsOf(PORT, all));
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop('SIGKILL');
    folder.remove();
  });
  const host = await mesh.addressOf(TCP_WAY.key);
  const load = await Loads.start(t, {
    at: () => ({ host, port: PORT }),
    keepAlive: KEPT,
    newPerSecond: 100,
    thinkMs: 1,
    ways: [TCP_WAY],
  });
  await until('all are there', async () => (await mesh.metric(ACTIVE)) >= KEPT);
  return { mesh, host, servers, load };
}

test('an endpoint that is killed costs its own connections, each once, and nobody else anything', async (t) => {
  const { mesh, servers, load } = await setUp(t);
  const [killed] = servers;
  assert(killed !== undefined);
  killed.process.child.kill('SIGKILL');
  await sleep(2_000);
  const [report] = (await load.stop(t)).values();
  assert(report !== undefined);
  const { failed, closedIdle, keptBy, ok, sent } = report;
  const had = keptBy[killed.address] ?? 0;
  t.diagnostic(`it had ${had} of the ${KEPT} connections that stay`);
  // Who comes back may be led there once more, to somebody who is gone.
  const lost = failed.filter((each) => each.kind === 'keep-alive' && each.endpoint !== '');
  assert.ok(had > 0 && had < KEPT, `${had} connections`);
  assert.equal(lost.length + closedIdle, had);
  for (const { what, endpoint } of failed) {
    // Who was connected, and had no word of it yet, was in its hands, too.
    assert.ok([killed.address, ''].includes(endpoint), endpoint);
    assert.match(what, /^(closed|ECONNRESET|EPIPE)$/);
  }
  assert.equal(ok + failed.length, sent);
  await until('all have ended', async () => (await mesh.metric(ACTIVE)) === 0);
});

/** Ways to be a bad caller. */
const BAD: readonly ((socket: net.Socket) => void)[] = [
  // Says nothing, and resets.
  (socket) => socket.once('data', () => socket.resetAndDestroy()),
  // Resets before anybody can have answered.
  (socket) => socket.resetAndDestroy(),
  // Sends much, reads nothing, and is gone.
  (socket) => {
    socket.pause();
    socket.write(FLOOD);
    setTimeout(() => socket.destroy(), 300);
  },
  // Has nothing to say.
  (socket) => socket.resume().end(),
  // Half a line, and no more.
  (socket) => socket.resume().end('half a'),
];

test('callers that reset, flood, read nothing or vanish cost others nothing, and leave nothing behind', async (t) => {
  const { mesh, host, load } = await setUp(t);
  const visit = (i: number): Promise<void> =>
    new Promise((resolve) => {
      const socket = net.connect({ host, port: PORT, allowHalfOpen: false });
      socket.on('error', () => undefined).on('close', () => resolve());
      socket.once('connect', () => BAD[i % BAD.length]?.(socket));
    });
  for (let i = 0; i < BAD_CALLERS; i += 20) {
    // oxlint-disable-next-line no-await-in-loop -- some at a time
    await Promise.all(Array.from({ length: 20 }, (_, j) => visit(i + j)));
  }
  const reports = await load.stopWithoutFailure(t);
  for (const { opened, keptBy, closedIdle } of reports.values()) {
    assert.ok(opened > KEPT);
    assert.equal(closedIdle, 0);
    assert.equal(
      Object.values(keptBy).reduce((sum, count) => sum + count, 0),
      KEPT,
    );
  }
  await until('all have ended', async () => (await mesh.metric(ACTIVE)) === 0);
  assert.equal(await mesh.metric('maesh_defects_total{part="proxy"}'), 0, mesh.stderr);
});
