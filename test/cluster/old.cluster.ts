/**
 * What an older Kubernetes does otherwise than the newest, beside what mesh.cluster.ts asks of all:
 * `MAESH_KUBERNETES_VERSION=1.21.14 npm run test:cluster -- test/cluster/old.cluster.ts`
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
import type { Bed } from './bed/bed.ts';
import type { Outcome } from './bed/command.ts';
import { kubernetesMinor, kubernetesVersion, ROOT } from './bed/tools.ts';
import { assertNoneLost, underLoad } from './mesh/loads.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';

const NS = 'shop';
const HOST = 'web.shop.maesh';
const URL = `http://${HOST}/`;
/** From here on there is nothing that the newest has and maesh uses. */
const COMPLETE_MINOR = 34;
const SHADOWS = `/api/v1/namespaces/${MESH}/services?labelSelector=app.kubernetes.io%2Fcomponent%3Dshadow`;
const minor = kubernetesMinor();
const skip =
  (process.env['MAESH_TEST_EXTERNAL'] === '1' && 'the bed makes the old cluster') ||
  (minor >= COMPLETE_MINOR && 'MAESH_KUBERNETES_VERSION names no older version');
let mesh: MeshBed;
let bed: Bed;
let corefileBefore = '';

before(async () => {
  if (skip !== false) return;
  mesh = await MeshBed.start({ nodes: 2, dualStack: true });
  bed = mesh.bed;
  corefileBefore = await mesh.corefile();
  const service = { ipFamilyPolicy: 'RequireDualStack' };
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'web', replicas: 4, service }),
    callerPod({ namespace: NS, name: 'caller', node: 'n1' }),
  );
  await bed.readyPods(NS, 'app=web', 4);
  await bed.readyPods(NS, 'app=caller', 1);
});

after(async () => {
  if (skip === false) await mesh.stop();
});

async function answers(url = URL): Promise<void> {
  await bed.waitFor(url, async () => {
    const [first] = await bed.fetch(`${NS}/caller`, url);
    return first?.status === 200;
  });
}

/** Messages of the log of a controller that tell of the API server's version. */
async function notices(pod: string): Promise<readonly string[]> {
  const lines = (await bed.logs(pod)).trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message);
  return messages.filter((message) => message.startsWith('Kubernetes '));
}

/** By name, the version of each object of the mesh that has no reason to change. */
async function versions(): Promise<Readonly<Record<string, string>>> {
  type Item = { metadata: { name: string; resourceVersion: string } };
  const paths = [
    SHADOWS,
    '/api/v1/namespaces/kube-system/configmaps',
    `/api/v1/namespaces/${MESH}/configmaps`,
    `/api/v1/namespaces/${MESH}/secrets?fieldSelector=type%3DOpaque`,
  ];
  const lists = await Promise.all(paths.map((path) => bed.api.get<{ items: Item[] }>(path)));
  const items = lists.flatMap(({ items }) => items);
  return Object.fromEntries(items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
}

async function patchPorts(name: string, namespace: string, ports: object): Promise<void> {
  const patch = JSON.stringify({ spec: { ports } });
  await bed.kubectl(['-n', namespace, 'patch', 'service', name, '--type=merge', '-p', patch]);
}

test(
  'it is that version, and each controller says in one line what it lacks',
  { skip },
  async () => {
    const { gitVersion } = await bed.api.get<{ gitVersion: string }>('/version');
    assert.equal(gitVersion, `v${kubernetesVersion()}`);
    await mesh.install();
    await mesh.published(`${NS}/web`);
    await answers();
    const pods = await mesh.controllers();
    assert.equal(pods.length, 2);
    for (const { metadata } of pods) {
      const [told = '', ...more] = await notices(`${MESH}/${metadata.name}`);
      assert.deepEqual(more, []);
      assert.ok(told.startsWith(`Kubernetes v${kubernetesVersion()}: `), told);
      assert.equal(told.includes('"PreferSameNode" is not known'), true, told);
      assert.equal(told.includes('do not say "terminating"'), minor < 22, told);
    }
  },
);

test('maesh check finds nothing wrong, and tells what this version costs', { skip }, async () => {
  // Agents that started a moment ago may not be ready by all measures yet.
  const stdout = await bed.waitFor('a check without faults', async () => {
    const { code, stdout, stderr } = await maesh('check', '--cluster');
    if (code !== 0) throw new Error(`${stdout}${stderr}`);
    return stdout;
  });
  assert.ok(stdout.includes(`v${kubernetesVersion()}`), stdout);
  assert.equal(stdout.includes('does not support trafficDistribution'), minor < 31, stdout);
  assert.equal(stdout.includes('has one agent per node at a time'), minor < 22, stdout);
});

test('a shadow Service has both families, and is the work of maesh alone', { skip }, async () => {
  const { metadata, spec } = await shadowOf(`${NS}/web`);
  assert.deepEqual(
    metadata.managedFields.map(({ manager, operation }) => [manager, operation]),
    [['maesh', 'Apply']],
  );
  const expected = minor < 31 ? undefined : 'PreferClose';
  assert.equal(spec.trafficDistribution, expected);
  assert.deepEqual(spec.ipFamilies, ['IPv4', 'IPv6']);
  for (const address of spec.clusterIPs) {
    const host = address.includes(':') ? `[${address}]` : address;
    await answers(`http://${host}/`);
  }
});

test('nothing is written where nothing differs, also by the next leader', { skip }, async () => {
  const before = await versions();
  assert.ok(Object.keys(before).some((name) => name.startsWith('shadow-')));
  const leader = await mesh.leader();
  await bed.kubectl(['-n', MESH, 'delete', 'pod', leader.slice(MESH.length + 1)]);
  await bed.waitFor('another leader', async () => (await mesh.leader()) !== leader);
  await mesh.ready();
  // The new leader has looked at everything when it has published something new.
  await bed.apply(...appObjects({ namespace: NS, name: 'late', replicas: 1 }));
  await mesh.published(`${NS}/late`);
  const now = await versions();
  for (const [name, version] of Object.entries(before)) assert.equal(now[name], version, name);
});

test('a shadow Service follows the ports of its Service, and is mended', { skip }, async () => {
  const http = { name: 'http', port: 80, targetPort: 'http' };
  const ports = async (): Promise<string> =>
    (await shadowOf(`${NS}/late`)).spec.ports.map(({ name, port }) => `${name} ${port}`).join();
  const until = async (wanted: string): Promise<void> => {
    await bed.waitFor(wanted, async () => (await ports()) === wanted);
  };
  await until('http 80,tcp 90');
  await patchPorts('late', NS, [http, { name: 'more', port: 81, targetPort: 'http' }]);
  await until('http 80,more 81');
  await answers('http://late.shop.maesh:81/');
  await patchPorts('late', NS, [{ ...http, name: 'web' }]);
  await until('web 80');
  const { metadata, spec } = await shadowOf(`${NS}/late`);
  await patchPorts(metadata.name, MESH, [{ name: 'web', port: 80, targetPort: 1 }]);
  await bed.waitFor('the right target', async () => {
    const found = await shadowOf(`${NS}/late`);
    return found.spec.ports[0]?.targetPort === spec.ports[0]?.targetPort;
  });
  await bed.kubectl(['-n', MESH, 'delete', 'service', metadata.name]);
  const again = await mesh.published(`${NS}/late`);
  assert.notEqual(again.metadata.uid, metadata.uid);
  await answers('http://late.shop.maesh/');
});

test('agents and controllers are rolled: no request is lost', { skip }, async (t) => {
  const counts = await underLoad(t, bed, { namespace: NS, url: URL }, async () => {
    for (const workload of ['daemonset/maesh-agent', 'deployment/maesh-controller']) {
      await bed.kubectl(['-n', MESH, 'rollout', 'restart', workload]);
      await bed.rolledOut(MESH, workload);
    }
  });
  assertNoneLost(counts);
});

test(
  'the API server comes back without a past: changes are seen, calls go on',
  { skip },
  async (t) => {
    const local = bed.onlyLocal;
    const counts = await underLoad(t, bed, { namespace: NS, url: URL }, async () => {
      await local.apiServer.kill();
      await local.compact();
      await local.apiServer.start();
      await bed.apply(...appObjects({ namespace: NS, name: 'later', replicas: 1 }));
      await mesh.published(`${NS}/later`);
      await bed.readyPods(NS, 'app=later', 1);
      await answers('http://later.shop.maesh/');
    });
    assertNoneLost(counts);
  },
);

test('removed by helm 4, installed and removed by helm 3: nothing is left', { skip }, async () => {
  await mesh.uninstall();
  const flags = ['-n', MESH, '--wait', '--timeout', '120s'];
  await bed.helm(['install', 'maesh', join(ROOT, 'chart'), ...flags], 3);
  await mesh.published(`${NS}/web`);
  await answers();
  await bed.helm(['uninstall', 'maesh', ...flags], 3);
  await nothingLeft();
});

test('maesh install and uninstall do the same', { skip }, async () => {
  const installed = await maesh('install');
  assert.equal(installed.code, 0, installed.stderr);
  await mesh.published(`${NS}/web`);
  await answers();
  const again = await maesh('upgrade', '--dry-run', 'server');
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stdout, /DaemonSet maesh\/maesh-agent/);
  assert.doesNotMatch(again.stdout, /\b(created|changed|deleted)\b/);
  const uninstalled = await maesh('uninstall', '--yes', '--leave', '5s');
  assert.equal(uninstalled.code, 0, uninstalled.stderr);
  await nothingLeft();
});

/** The CLI of this checkout. */
async function maesh(...args: readonly string[]): Promise<Outcome> {
  const environment = { MAESH_NAMESPACE: MESH };
  return await bed.run([process.execPath, join(ROOT, 'src/cli/main.ts'), ...args], environment);
}

async function nothingLeft(): Promise<void> {
  assert.equal(await mesh.corefile(), corefileBefore);
  const kinds = 'all,configmaps,secrets,leases,serviceaccounts,roles,rolebindings,endpointslices';
  const ours = ['-A', '-l', 'app.kubernetes.io/part-of=maesh', '-o', 'name'];
  await bed.waitFor(
    'nothing to be left',
    async () => (await bed.kubectl(['get', kinds, ...ours])) === '',
  );
}

interface Shadow {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly managedFields: readonly { readonly manager: string; readonly operation: string }[];
  };
  readonly spec: {
    readonly clusterIPs: readonly string[];
    readonly ipFamilies: readonly string[];
    readonly trafficDistribution?: string;
    readonly ports: readonly {
      readonly name: string;
      readonly port: number;
      readonly targetPort: number;
    }[];
  };
}

async function shadowOf(key: string): Promise<Shadow> {
  const name = (await mesh.published(key)).metadata.name;
  return await bed.api.get<Shadow>(`/api/v1/namespaces/${MESH}/services/${name}`);
}
