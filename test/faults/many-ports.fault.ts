/** One namespace brings thousands of ports at once, changes them and takes them away, while others call: nobody loses a request, and the node stays ready. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Folder, service } from '../e2e/support/manifests.ts';
import { Mesh } from '../e2e/support/mesh.ts';
import { until } from '../e2e/support/until.ts';
import { EndpointsProcess } from './support/children.ts';
import { Loads, manifestsOf, openAll, SERVICES as CALLED } from './support/ways.ts';
import { ownRange } from '../support/ranges.ts';

const PORT = 20_041;
const ANSWERED = 'maesh_requests_total{service="s/web",code_class="2xx"}';
/** With two threads half of the descriptors that a process usually has. */
const SERVICES = 12;
const PORTS_EACH = 300;

function many(round: number) {
  const ports = Array.from({ length: PORTS_EACH }, (_, i) => ({
    name: `p${i}`,
    port: 22_000 + i,
    protocol: 'TCP',
    appProtocol: 'http',
  }));
  const annotations = { 'maesh.dev/timeout-request': `${20 + round}s` };
  return Array.from({ length: SERVICES }, (_, i) =>
    service(`many/s${i}`, 0, { annotations, spec: { ports } }),
  );
}

test('thousands of ports come, change and go while others call: no request fails, and the node stays ready', async (t) => {
  const folder = new Folder();
  const servers = new EndpointsProcess(t);
  const pods = ownRange();
  const all = [1, 2].map((i) => ({ address: pods.host(i), port: 21_041 }));
  await openAll(servers, all);
  folder.put('web.yaml', ...manifestsOf(PORT, all));
  const mesh = await Mesh.start({ paths: [folder.path], cidr: ownRange().cidr, threads: 2 });
  t.after(async () => {
    await mesh.stop();
    folder.remove();
  });
  const unready: string[] = [];
  const changes = [
    ['they come', () => folder.put('many.yaml', ...many(0)), SERVICES * PORTS_EACH + CALLED.length],
    [
      'they change',
      () => folder.put('many.yaml', ...many(1)),
      SERVICES * PORTS_EACH + CALLED.length,
    ],
    ['they go', () => folder.delete('many.yaml'), CALLED.length],
  ] as const;
  const { version: first } = await mesh.json<{ version: number }>('/api/snapshot');
  let version = first;
  for (const [what, change, listeners] of changes) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const load = await Loads.start(t, {
      at: async (key) => ({ host: await mesh.addressOf(key), port: PORT }),
      keepAlive: 8,
      newPerSecond: 40,
      thinkMs: 1,
    });
    // oxlint-disable-next-line no-await-in-loop -- as above
    const before = await mesh.metric(ANSWERED);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await until('there is load', async () => (await mesh.metric(ANSWERED)) > before + 500);
    const startMs = performance.now();
    change();
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await until(
      what,
      async () => {
        const threads = await mesh.json<{
          threads: { configVersion: number; listeners: number }[];
        }>('/api/threads');
        if ((await mesh.status('/readyz')) !== 200) unready.push(what);
        return threads.threads.every(
          (each) => each.configVersion > version && each.listeners === listeners,
        );
      },
      200_000,
    );
    const tookMs = performance.now() - startMs;
    // oxlint-disable-next-line no-await-in-loop -- as above
    version = (await mesh.json<{ version: number }>('/api/snapshot')).version;
    t.diagnostic(`${what}: ${tookMs.toFixed(0)} ms`);
    // oxlint-disable-next-line no-await-in-loop -- as above
    await load.stopWithoutFailure(t);
  }
  assert.deepEqual(unready, []);
});
