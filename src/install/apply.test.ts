import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { KubeClient } from '../kube/api/client.ts';
import { applyAll, prune, type Applied, type ApplyOptions } from './apply.ts';
import { Chart } from './chart.ts';
import { rightsOf } from './facts/rights.ts';
import { installInto, labelsOf, startServer } from './installed.fixture.ts';
import { lookForMesh, remember } from './present.ts';
import { missingReplicas, troubles } from './rollout.ts';
import { type Raw } from '../base/record.ts';

async function setUp(context: TestContext) {
  const server = await startServer();
  const api = new KubeClient(server.connection(), { clock: new ManualClock() });
  context.after(async () => {
    api.close();
    await server.stop();
  });
  const told: Applied[] = [];
  const options: ApplyOptions = {
    api,
    namespace: 'maesh',
    isDryRun: false,
    onApplied: (applied) => void told.push(applied),
  };
  const take = () => told.splice(0).map(({ name, outcome }) => `${outcome} ${name}`);
  return { server, api, told, take, options };
}

async function objectsOf(given: Readonly<Record<string, unknown>> = {}): Promise<readonly Raw[]> {
  const chart = await Chart.load();
  const where = { namespace: 'maesh', kubeVersion: 'v1.36.3' };
  return remember(chart.objects(chart.values(given), where), given);
}

test('applyAll() makes everything, then changes nothing, then what differs', async (context) => {
  const { server, take, told, options } = await setUp(context);
  const objects = await objectsOf({ namespace: { create: true } });
  await applyAll(objects, options);
  assert.deepEqual(new Set(told.map(({ outcome }) => outcome)), new Set(['created']));
  assert.equal(take()[0], 'created Namespace maesh');
  assert.ok(
    server.requests
      .filter(({ method }) => method === 'PATCH')
      .every(({ query }) => query.get('force') === 'true'),
  );
  await applyAll(objects, options);
  assert.ok(take().every((line) => line.startsWith('unchanged ')));
  await applyAll(await objectsOf({ agent: { drainSeconds: 60 } }), options);
  const changed = told.filter(({ outcome }) => outcome === 'changed');
  assert.deepEqual(
    changed.map(({ name, changes }) => [name, changes]),
    [
      [
        'DaemonSet maesh/maesh-agent',
        [
          'spec.template.spec.terminationGracePeriodSeconds: 50 → 80',
          'spec.template.spec.containers[agent].env[MAESH_DRAIN_TIMEOUT].value: "30s" → "60s"',
        ],
      ],
    ],
  );
});

test('applyAll() tries nothing in a namespace that is not there, when it may not make it', async (context) => {
  const { server, take, options } = await setUp(context);
  await applyAll(await objectsOf(), { ...options, isDryRun: true });
  const lines = take();
  assert.ok(lines.includes('untried Deployment maesh/maesh-controller'));
  assert.ok(lines.includes('created ClusterRole maesh-controller'));
  const patches = server.requests.filter(({ method }) => method === 'PATCH');
  assert.ok(patches.length > 0 && patches.every(({ query }) => query.get('dryRun') === 'All'));
});

test('applyAll() names the object that cannot be made, and a kind that the cluster lacks', async (context) => {
  const { server, options } = await setUp(context);
  const monitored = await objectsOf({ metrics: { podMonitor: { enabled: true } } });
  await assert.rejects(
    applyAll(monitored, options),
    /Cannot create PodMonitor maesh\/maesh: this cluster has no such kind; install the Prometheus/,
  );
  server.served.delete('policy/v1/poddisruptionbudgets');
  await assert.rejects(
    applyAll(await objectsOf(), options),
    /Cannot (GET|PATCH|make PodDisruptionBudget)/,
  );
});

test('prune() deletes what maesh made and no longer wants, and nothing else', async (context) => {
  const { server, take, options } = await setUp(context);
  installInto(server);
  await applyAll(
    await objectsOf({ networkPolicy: { enabled: true }, dns: { mode: 'auto' } }),
    options,
  );
  take();
  const objects = await objectsOf({ dns: { mode: 'off' } });
  await prune(objects, { ...options, isDryRun: true });
  const gone = take();
  assert.deepEqual(gone.toSorted(), [
    'deleted NetworkPolicy maesh/maesh-agent',
    'deleted NetworkPolicy maesh/maesh-controller',
    'deleted Role kube-system/maesh-controller-dns',
    'deleted RoleBinding kube-system/maesh-controller-dns',
  ]);
  await prune(objects, options);
  assert.deepEqual(take(), gone);
  await prune(objects, options);
  assert.deepEqual(take(), []);
  const services = server.objects('v1/services').map(({ metadata }) => metadata.name);
  assert.ok(services.includes('shadow-0') && services.includes('maesh-dns'));
});

test('lookForMesh() finds the values of before, and what is in the way', async (context) => {
  const { server, api, options } = await setUp(context);
  assert.deepEqual(await lookForMesh(api, 'maesh'), {
    kubeVersion: 'v1.36.3',
    hasNamespace: false,
    values: null,
  });
  const given = { controller: { replicas: 3 }, namespace: { create: true } };
  await applyAll(await objectsOf(given), options);
  const found = await lookForMesh(api, 'maesh');
  assert.deepEqual([found.hasNamespace, found.values], [true, given]);
  await assert.rejects(lookForMesh(api, 'other'), /there is a mesh in "maesh"/);
  server.version = '1.20.4';
  await assert.rejects(lookForMesh(api, 'maesh'), /"v1\.20\.4" .+ works with 1\.21 and later/);
});

test('missingReplicas() waits for what was applied, not for what ran before', async (context) => {
  const { server, api } = await setUp(context);
  const set = (kind: string, name: string, spec: object, status: object): void =>
    void server.set(`apps/v1/${kind}`, {
      metadata: { name, namespace: 'maesh', generation: 2 } as never,
      spec,
      status,
    });
  assert.equal(await missingReplicas(api, 'maesh'), 'controller: not there; agents: not there');
  const old = { observedGeneration: 1, updatedReplicas: 2, readyReplicas: 2 };
  set('deployments', 'maesh-controller', { replicas: 2 }, old);
  const agents = { observedGeneration: 2, desiredNumberScheduled: 3, numberReady: 3 };
  set('daemonsets', 'maesh-agent', {}, { ...agents, updatedNumberScheduled: 1 });
  assert.equal(
    await missingReplicas(api, 'maesh'),
    'controller: not started; agents: 1 of 3 replaced',
  );
  set(
    'deployments',
    'maesh-controller',
    { replicas: 2 },
    { ...old, observedGeneration: 2, readyReplicas: 1 },
  );
  set('daemonsets', 'maesh-agent', {}, { ...agents, updatedNumberScheduled: 3 });
  assert.equal(await missingReplicas(api, 'maesh'), 'controller: 1 of 2 ready');
  set('deployments', 'maesh-controller', { replicas: 2 }, { ...old, observedGeneration: 2 });
  assert.equal(await missingReplicas(api, 'maesh'), '');
  server.set('v1/pods', {
    metadata: { name: 'maesh-agent-a', namespace: 'maesh', labels: labelsOf('agent') },
    status: { containerStatuses: [{ state: { waiting: { reason: 'ImagePullBackOff' } } }] },
  });
  assert.deepEqual(await troubles(api, 'maesh'), {
    why: 'maesh-agent-a (ImagePullBackOff)',
    see: 'kubectl -n maesh describe pod maesh-agent-a',
  });
});

test('rightsOf() lists every right of the chart, for whom and where', async () => {
  const rights = rightsOf(await objectsOf());
  const has = (who: string, what: readonly string[]): boolean =>
    rights.some(
      (right) =>
        right.who === who &&
        [right.verb, right.group, right.resource, right.name, right.namespace].join(' ') ===
          what.join(' '),
    );
  assert.ok(has('maesh-controller', ['list', '', 'services', '', '']));
  assert.ok(has('maesh-controller', ['create', 'authentication.k8s.io', 'tokenreviews', '', '']));
  assert.ok(has('maesh-controller', ['patch', '', 'configmaps', 'coredns', 'kube-system']));
  assert.ok(has('maesh-agent', ['get', '', 'configmaps', 'maesh-ca', 'maesh']));
  const ofAgents = rights.filter(({ who }) => who === 'maesh-agent');
  assert.equal(ofAgents.length, 1, 'agents get nothing else');
});
