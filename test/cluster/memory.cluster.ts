/** What an agent with one proxy thread takes when a thousand Services are there, as the image runs it. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { namespaceObjects } from './app-manifests.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';

const NS = 'many';
const SERVICES = 1_000;
const BAR_MB = 120;
const LONG = { timeoutMs: 240_000 };
const skip =
  process.env['MAESH_TEST_EXTERNAL'] === '1' && 'other Services of a cluster take memory too';
let mesh: MeshBed;

before(async () => {
  if (skip !== false) return;
  mesh = await MeshBed.start({ nodes: 1 });
  const numbers = Array.from({ length: SERVICES }, (_, i) => i);
  await mesh.bed.apply(...namespaceObjects(NS), ...numbers.flatMap(serviceAndSlice));
  await mesh.install('--set', 'controller.replicas=1', '--set', 'agent.threads=1');
});

after(async () => {
  if (skip === false) await mesh.stop();
});

function serviceAndSlice(i: number): readonly object[] {
  const name = `s-${i}`;
  const addresses = [1, 2].map((low) => `10.9.${i >> 7}.${(i & 127) * 2 + low - 1}`);
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: NS },
      spec: { ports: [{ port: 80 }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${name}-1`,
        namespace: NS,
        labels: { 'kubernetes.io/service-name': name },
      },
      addressType: 'IPv4',
      ports: [{ name: '', port: 8080, protocol: 'TCP' }],
      endpoints: addresses.map((address) => ({
        addresses: [address],
        conditions: { ready: true },
      })),
    },
  ];
}

test('an agent with a thousand Services comes to rest below the bar', { skip }, async (t) => {
  const { bed } = mesh;
  const agent = await mesh.agentOn('n1');
  const published = async (): Promise<number> =>
    (await mesh.shadows()).filter(
      ({ metadata }) => metadata.annotations?.['maesh.dev/state'] === 'published',
    ).length;
  await bed.waitFor(
    'all Services to be published',
    async () => (await published()) >= SERVICES,
    LONG,
  );
  const [controller] = await mesh.controllers();
  await bed.waitFor('the agent to serve them', async () => {
    type Agents = {
      readonly version: number;
      readonly agents: readonly { servedVersion: number }[];
    };
    const pod = `${MESH}/${controller?.metadata.name}`;
    const { version, agents } = await mesh.admin<Agents>(pod, '/api/agents');
    return agents.length === 1 && agents.every(({ servedVersion }) => servedVersion === version);
  });
  const seen: number[] = [];
  await bed.waitFor(
    `less than ${BAR_MB} MB`,
    async () => {
      const [, bytes = ''] =
        /^process_resident_memory_bytes (\S+)$/m.exec(await mesh.metrics(agent)) ?? [];
      seen.push(Number(bytes) / 1e6);
      // What it took to take everything in is given back every 10 s: four looks in a row are no luck.
      return seen.length >= 4 && seen.slice(-4).every((mb) => mb > 0 && mb < BAR_MB);
    },
    { ...LONG, everyMs: 3_000 },
  );
  const round = (mb = 0): string => mb.toFixed(0);
  t.diagnostic(
    `${round(Math.max(...seen))} MB at most while it was looked at, ${round(seen.at(-1))} MB in the end`,
  );
  assert.ok((seen.at(-1) ?? Infinity) < BAR_MB);
});
