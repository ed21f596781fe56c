/** A proxy thread dies under full load: only what it held open fails. */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SocketKind, SOCKET_KINDS } from '../../src/proxy/net/socket.ts';
import { InProcess } from '../e2e/support/in-process.ts';
import { Folder } from '../e2e/support/manifests.ts';
import { until } from '../e2e/support/until.ts';
import { EndpointsProcess } from './support/children.ts';
import type { LoadReport } from './support/figures.ts';
import {
  Loads,
  manifestsOf,
  openAll,
  UDP_WAY,
  udpManifestsOf,
  type Way,
  WAYS,
} from './support/ways.ts';
import { ownRange } from '../support/ranges.ts';

const THREADS = 3;
const PORT = 20_001;
const KILLS = 4;
/** Of the callers of HTTP/1.1. */
const ALONE = { keepAlive: 48, streams: 1, newPerSecond: 200, thinkMs: 0 };
const ASKS_AGAIN_MS = 2_000;
/** Of the other callers. */
const OTHERS = {
  keepAlive: 12,
  streams: 4,
  newPerSecond: 30,
  thinkMs: 2,
  againMs: ASKS_AGAIN_MS,
};
/** Sessions are in flight until they are silent for so long; a caller asks again before. */
const SOON_OVER = { 'maesh.dev/timeout-idle': '5s' };
/** Seconds that a busy machine may hold back the load for. */
const STANDS_STILL = 0.5;
/** Each to a Service of its own, whose connections are counted. */
const ASKED = WAYS.filter(({ name }) => !name.includes(' to '));
/** One line at a time on each connection. */
const isOfLines = ({ speaks }: Way): boolean => speaks === 'tcp' || speaks === 'websocket';
const LOST = /^(ECONNRESET|EPIPE|closed|reset with 8)$/;

for (const sockets of SOCKET_KINDS) {
  test(`when a thread dies nothing fails but its own open connections: ${sockets}`, (t) =>
    threadsDie(t, sockets));
}

/** Sessions of a thread die with it, and nobody is told: each caller has one question under way, and asks again after a while. */
function datagramsWereLost(t: TestContext, report: LoadReport, dyingMs: number): void {
  const { lost, failed, ok, sent } = report;
  const asks = KILLS + Math.ceil(dyingMs / ASKS_AGAIN_MS);
  const fresh = Math.ceil(OTHERS.newPerSecond * (dyingMs / 1_000 + STANDS_STILL * KILLS));
  const asksEach = 1 + Math.ceil(dyingMs / KILLS / ASKS_AGAIN_MS);
  const lostMax = OTHERS.keepAlive * asks + fresh * asksEach;
  t.diagnostic(`UDP: lost ${lost} of ${sent} datagrams, where ${lostMax} may be`);
  assert.deepEqual(failed, [], 'all are served in the end');
  assert.ok(lost <= lostMax, `${lost} > ${lostMax}`);
  assert.equal(ok + lost, sent);
}

async function threadsDie(t: TestContext, sockets: SocketKind): Promise<void> {
  const folder = new Folder();
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const all = [1, 2, 3, 4].map((i) => ({ address: pods.host(i), port: 21_001 }));
  await openAll(servers, all);
  folder.put('all.yaml', ...manifestsOf(PORT, all), ...udpManifestsOf(PORT, all, SOON_OVER));
  const mesh = await InProcess.start({
    paths: [folder.path],
    cidr: ownRange().cidr,
    threads: THREADS,
    proxy: { sockets },
  });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  const load = await Loads.start(t, {
    at: (key) => ({ host: mesh.addressOf(key), port: PORT }),
    ...ALONE,
    others: OTHERS,
    ways: [...ASKED, UDP_WAY],
  });
  await sleep(2_000);
  /** Connections of each Service that the dying threads held, as their shared figures say at the moment of the kill. */
  const held = new Map(ASKED.map(({ key }) => [key, 0]));
  /** From the deaths of threads to when others serve in their place: no longer are connections in queues of theirs. */
  let dyingMs = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const index = kill % THREADS;
    for (const [key, before] of held)
      held.set(key, before + (mesh.callersPerThread(THREADS, key)[index] ?? 0));
    const killedMs = performance.now();
    await mesh.agent.threads.kill(index);
    await until('it is replaced', () => mesh.agent.readiness().ready);
    const tookMs = performance.now() - killedMs;
    dyingMs += tookMs;
    t.diagnostic(`thread ${index} served again after ${tookMs.toFixed(0)} ms`);
    await sleep(1_500);
  }
  for (const [way, report] of await load.stop(t)) {
    const { sent, ok, failed, unseen, closedIdle } = report;
    if (way.speaks === 'udp') {
      datagramsWereLost(t, report, dyingMs);
      continue;
    }
    const { streams, newPerSecond } = way.speaks === 'http1' ? ALONE : OTHERS;
    const connections = held.get(way.key) ?? 0;
    const keepAlive = failed.filter(({ kind }) => kind === 'keep-alive');
    // A connection in a dead thread's hands is lost once, with what is under way on it or, seldom, between two requests.
    const keptMax = connections * (isOfLines(way) ? 1 : streams);
    // Which thread a new one has is up to chance, and a load that stood still makes up for it.
    const queued = Math.ceil(newPerSecond * (dyingMs / 1_000 + STANDS_STILL));
    const lost = failed.length + closedIdle;
    t.diagnostic(
      `${way.name}: lost ${lost}; ${KILLS} threads held ${connections} connections, and at most ${queued} more in their queues`,
    );
    assert.ok(keepAlive.length > 0, `${way.name}: nothing was lost`);
    assert.ok(keepAlive.length <= keptMax, `${way.name}: ${keepAlive.length} > ${keptMax}`);
    assert.ok(lost <= keptMax + queued, `${way.name}: ${lost} > ${keptMax} + ${queued}`);
    // Where nothing says how long an answer is, a FIN would be the end of one. The runtime closes what it had so.
    const isReset = isOfLines(way) && sockets === 'system';
    const ends = isReset ? /^(ECONNRESET|EPIPE)$/ : LOST;
    for (const { what } of failed) assert.match(what, ends, way.name);
    assert.equal(ok + unseen + failed.length, sent, way.name);
  }
  assert.equal(mesh.agent.threads.restarts, KILLS);
  const { ledger } = mesh.agent;
  // A thread may hear after its caller has that all is over.
  await until('no request is in flight that nobody has', () =>
    [...ledger.entries('endpoint').values()].every(
      (slot) => ledger.word('endpoint', slot, 0) === 0,
    ),
  );
}
