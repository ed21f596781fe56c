/** Zero failed requests while endpoints and settings change all the time under full load. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { EndpointsProcess, LoadProcess, show, showFailed } from './support/children.ts';
import { ownRange } from '../support/ranges.ts';

const SECONDS = 25;
const ENDPOINTS = 100;
const PORT = 20_001;
const ENDPOINT_PORT = 21_000;
const PODS = ownRange();
/** An endpoint that left the manifests goes on for this long, as a Pod does that shuts down. */
const GRACE_MS = 500;

function slice(index: number, present: boolean) {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      namespace: 's',
      name: `web-${index}`,
      labels: { 'kubernetes.io/service-name': 'web' },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: ENDPOINT_PORT }],
    endpoints: present ? [{ addresses: [addressOf(index)], conditions: { ready: true } }] : [],
  };
}

function addressOf(index: number): string {
  return PODS.host(index + 1);
}

/** Alternates between settings, none of which lets a failure be tried again. */
function settings(round: number) {
  const balance = ['least-request', 'round-robin', 'peak-ewma', 'consistent-hash'][round % 4];
  return {
    annotations: {
      'maesh.dev/balance': balance ?? '',
      'maesh.dev/timeout-request': `${20 + (round % 7)}s`,
      'maesh.dev/limit-idle-connections-per-endpoint': String(16 + (round % 16)),
    },
  };
}

test('no request fails while 100 endpoint changes and 10 updates a second arrive under full load', async (t) => {
  const folder = new Folder();
  const servers = new EndpointsProcess();
  const present = Array.from({ length: ENDPOINTS }, (_, i) => i % 2 === 0);
  const indexes = present.map((_, i) => i);
  await servers.open(
    indexes.filter((i) => present[i]).map((i) => ({ address: addressOf(i), port: ENDPOINT_PORT })),
  );
  folder.put('service.yaml', service('s/web', PORT, settings(0)));
  for (const i of indexes) folder.put(`slice-${i}.yaml`, slice(i, present[i] === true));
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop();
    servers.stop();
    folder.remove();
  });
  const host = await mesh.addressOf('s/web');
  const load = new LoadProcess({ host, port: PORT, keepAlive: 32, newPerSecond: 200, thinkMs: 0 });
  t.after(() => load.kill());

  let changes = 0;
  let updates = 0;
  /** Endpoints that left the manifests and go on for a moment. */
  const ending = new Map<number, NodeJS.Timeout>();
  const startMs = performance.now();
  while (performance.now() - startMs < SECONDS * 1_000) {
    const elapsedMs = performance.now() - startMs;
    for (; changes < elapsedMs / 10; changes++) {
      const i = (changes * 37) % ENDPOINTS;
      present[i] = present[i] !== true;
      const address = addressOf(i);
      if (present[i]) {
        // On a busy machine it comes back before it has ended.
        clearTimeout(ending.get(i));
        if (!ending.delete(i)) await servers.open([{ address, port: ENDPOINT_PORT }]);
        folder.put(`slice-${i}.yaml`, slice(i, true));
      } else {
        folder.put(`slice-${i}.yaml`, slice(i, false));
        const end = (): void => {
          ending.delete(i);
          servers.tell({ close: [address] });
        };
        ending.set(i, setTimeout(end, GRACE_MS));
      }
    }
    for (; updates < elapsedMs / 100; updates++) {
      folder.put('service.yaml', service('s/web', PORT, settings(updates)));
      if (updates % 2 === 0) folder.put('other.yaml', service('s/other', 20_002));
      else folder.put('other.yaml', service('s/another', 20_003));
    }
    await sleep(2);
  }
  const report = await load.stop();
  const { version } = await mesh.json<{ version: number }>('/api/snapshot');
  t.diagnostic(`${changes} endpoint changes, ${updates} updates, ${version} versions served`);
  t.diagnostic(show(report));
  assert.equal(report.failed.length, 0, showFailed(report));
  assert.equal(report.ok, report.sent);
  assert.ok(changes >= SECONDS * 99 && updates >= SECONDS * 9);
  // Changes that come within 15 ms are served as one version.
  assert.ok(version >= SECONDS * 10, `${version} versions`);
});
