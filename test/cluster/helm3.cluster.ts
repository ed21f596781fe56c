/** With helm 3, as mesh.cluster.ts has it with helm 4: install, call a Service by its mesh name, uninstall without a trace. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerOf } from './answer.ts';
import type { Answer } from './app.ts';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
import type { Bed } from './bed/bed.ts';
import { needsMinor, ROOT } from './bed/tools.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';

const NS = 'shop';
const EXTERNAL = process.env['MAESH_TEST_EXTERNAL'] === '1';
const skip =
  (EXTERNAL && 'the image of these tests is in the cluster of the bed only') || needsMinor(34);
let mesh: MeshBed;
let bed: Bed;

before(async () => {
  if (skip !== false) return;
  mesh = await MeshBed.start();
  bed = mesh.bed;
  const [node] = await bed.nodes();
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'web', replicas: 2 }),
    callerPod({ namespace: NS, name: 'caller', ...(node === undefined ? {} : { node }) }),
  );
  await bed.readyPods(NS, 'app=web', 2);
  await bed.readyPods(NS, 'app=caller', 1);
});

after(async () => {
  if (skip === false) await mesh.stop();
});

async function call(host: string): Promise<Answer> {
  const [fetched] = await bed.fetch(`${NS}/caller`, `http://${host}/`);
  return answerOf(fetched);
}

/** Everything in the cluster that has to do with the mesh, but for its namespace. */
async function traces(): Promise<readonly string[]> {
  const kinds =
    'services,configmaps,secrets,leases,deployments,daemonsets,serviceaccounts,roles,rolebindings';
  const own = await bed.kubectl(['-n', MESH, 'get', kinds, '-o', 'name']);
  const wide = await bed.kubectl([
    'get',
    'clusterroles,clusterrolebindings,priorityclasses',
    '-o',
    'name',
  ]);
  const root = /^(configmap\/kube-root-ca\.crt|serviceaccount\/default)$/;
  return [
    ...own.split('\n').filter((name) => name !== '' && !root.test(name)),
    ...wide.split('\n').filter((name) => name.includes('maesh')),
  ];
}

test(
  'helm 3: a call by the mesh name goes through the agent of its own node, until the uninstall',
  { skip },
  async () => {
    const corefile = ['-n', 'kube-system', 'get', 'configmap', 'coredns', '-o', 'jsonpath={.data}'];
    const original = await bed.kubectl(corefile);
    const flags = ['-n', MESH, '--wait', '--timeout', '120s'];
    await bed.helm(['install', MESH, `${ROOT}/chart`, '--create-namespace', ...flags], 3);
    await mesh.published(`${NS}/web`);
    await mesh.named(`${NS}/caller`, 'web.shop.maesh');
    const [caller] = await bed.pods(NS, 'app=caller');
    // The agent of another node helps out until kube-proxy has heard of the own one.
    const answer = await bed.waitFor('a call through the agent of the node', async () => {
      const own = (await mesh.agents()).find(({ spec }) => spec.nodeName === caller?.spec.nodeName);
      const answer = await call('web.shop.maesh');
      return answer.from.replace('::ffff:', '') === own?.status.podIP && answer;
    });
    assert.equal(answer.headers['x-forwarded-for'], caller?.status.podIP);
    for (let n = 0; n < 10; n++) assert.equal((await call('web.shop.maesh')).from, answer.from);
    assert.equal((await call('web.shop')).headers['x-forwarded-for'], undefined);
    assert.notEqual(await bed.kubectl(corefile), original);
    await bed.helm(['uninstall', MESH, ...flags], 3);
    // Not even with --wait does helm wait for pods.
    const pods = ['-n', MESH, 'get', 'pods', '-o', 'name'];
    await bed.waitFor('no pod', async () => (await bed.kubectl(pods)) === '');
    assert.deepEqual(await traces(), []);
    assert.equal(await bed.kubectl(corefile), original);
    await mesh.forgotten(`${NS}/caller`, 'web.shop.maesh');
    await call('web.shop');
  },
);
