/**
 * An endpoint that vanishes without FIN or reset, as when its node loses power: the link to it is cut, while callers of every way are
 * served by it and by another one. The limit of a try and a second try hide that from all but calls whose response has begun, and
 * connections of TCP, which the limit of silence ends.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Folder } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { ownRange } from '../support/ranges.ts';
import { EndpointsProcess } from './support/children.ts';
import { isInside, Link, passInside } from './support/namespace.ts';
import { Loads, manifestsOf, openAll } from './support/ways.ts';

const PORT = 20_001;
const ENDPOINT_PORT = 21_000;
const OURS = '10.98.0.1';
const THEIRS = '10.98.0.2';
const BEFORE_MS = 2_000;
const AFTER_MS = 17_000;
/** Of a call of gRPC whose response has begun: when it must have ended. The limit of silence, and what a busy machine adds. */
const ENDED_MS = 13_000;
const CALLERS = 3;
/** New connections of the endpoint that vanishes, in that moment: there are more of them where all is slow. */
const UNDER_WAY_MAX = 10;
const STREAMS = 2;
const OK_MIN = 20;
/** What of each kind may be lost: calls of gRPC whose response has begun, and connections of TCP, which nobody can try again. */
const ENDS = {
  http1: null,
  http2: null,
  grpc: /^grpc-status \d+: maesh/,
  tcp: /^ECONNRESET$/,
  websocket: /^(ECONNRESET|closed)$/,
  // Nobody notices that in UDP, but by ICMP: docs/tasks/udp.md.
  udp: null,
} as const;
/** Longer than a busy machine takes with the endpoint that stays: to eject that one, too, would leave nobody. */
const TRY_MS = 2_500;
const TRIED_AGAIN = {
  'maesh.dev/timeout-connect': '1s',
  'maesh.dev/timeout-try': `${TRY_MS}ms`,
  'maesh.dev/timeout-idle': '4s',
  'maesh.dev/retry-attempts': '3',
  'maesh.dev/retry-on': 'connect-failure, reset, timeout',
  'maesh.dev/retry-non-idempotent': 'true',
  'maesh.dev/retry-budget-min': '100',
  'maesh.dev/eject-consecutive-failures': '2',
  // A probe may be a call that cannot be tried again.
  'maesh.dev/eject-base': '5m',
  'maesh.dev/eject-max': '10m',
};

test('no request fails because of an endpoint that vanished, but for calls in the middle of their response and connections of TCP', async (t) => {
  await passInside(t, import.meta.url, 'ip link set lo up', /^# (?:HTTP|gRPC|TCP|WebSocket)/);
});

test('inside the namespace', async (t) => {
  if (!isInside()) return t.skip('started by the other test');
  const folder = new Folder();
  const near = new EndpointsProcess(t);
  const far = new EndpointsProcess(t, { isApart: true });
  const link = await Link.make(far.child, OURS, THEIRS);
  const all = [
    { address: ownRange().host(1), port: ENDPOINT_PORT },
    { address: THEIRS, port: ENDPOINT_PORT },
  ];
  await openAll(near, all.slice(0, 1));
  await openAll(far, all.slice(1));
  folder.put('all.yaml', ...manifestsOf(PORT, all, TRIED_AGAIN));
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop('SIGKILL');
    folder.remove();
  });
  const amount = { keepAlive: CALLERS, streams: STREAMS, newPerSecond: 10, thinkMs: 10 };
  const load = await Loads.start(t, {
    at: async (key) => ({ host: await mesh.addressOf(key), port: PORT }),
    ...amount,
    others: amount,
  });
  await sleep(BEFORE_MS);
  const startMs = performance.now();
  link.cut(t);
  await sleep(AFTER_MS);
  const tookMs = performance.now() - startMs;
  let slowestMs = 0;
  for (const [{ name, speaks }, report] of await load.stop(t)) {
    const { failed, ok, seconds, maxMs } = report;
    assert.ok(ok >= OK_MIN, `${name}: ${ok} answered`);
    slowestMs = Math.max(slowestMs, maxMs);
    const cutMs = seconds * 1_000 - tookMs;
    const lost = ENDS[speaks];
    if (lost === null) assert.deepEqual(failed, [], name);
    // Those that stay, and what was under way on others.
    if (speaks === 'tcp' || speaks === 'websocket')
      assert.ok(failed.length <= CALLERS + UNDER_WAY_MAX, `${name}: ${failed.length}`);
    for (const { what, atMs } of failed) {
      assert.match(what, lost ?? /^$/, name);
      assert.ok(atMs < cutMs + ENDED_MS, `${name}: ${what} after ${(atMs - cutMs).toFixed(0)} ms`);
    }
  }
  assert.ok(slowestMs >= TRY_MS, `${slowestMs} ms: nobody met the one that vanished`);
});
