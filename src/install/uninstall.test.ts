import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { MeshError } from '../base/error.ts';
import type { FakeApiServer } from '../kube/api/api-server.fixture.ts';
import { until } from '../kube/api/api-server.fixture.ts';
import { KubeClient } from '../kube/api/client.ts';
import { COLLECTIONS, installInto, labelsOf, startServer } from './installed.fixture.ts';
import { numberAt } from '../base/record.ts';
import { takeBack, uninstall, type RemovalOptions } from './uninstall.ts';

async function setUp(context: TestContext) {
  const server = await startServer();
  const clock = new ManualClock();
  const api = new KubeClient(server.connection(), { clock });
  context.after(async () => {
    api.close();
    await server.stop();
  });
  installInto(server);
  const steps: string[] = [];
  const options: RemovalOptions = {
    api,
    clock,
    namespace: 'maesh',
    restoreDns: async () => void steps.push(`restore with ${replicas(server)} replicas`),
    leave: async () => void steps.push(`leave with ${shadows(server)} shadows`),
    tell: () => undefined,
    timeoutMs: 60_000,
    deleteNamespace: false,
  };
  return { server, clock, steps, options };
}

function shadows(server: FakeApiServer): number {
  return server.objects('v1/services').filter(({ metadata }) => metadata.name.startsWith('shadow-'))
    .length;
}

function replicas(server: FakeApiServer): number {
  const [deployment] = server.objects('apps/v1/deployments');
  return numberAt(deployment, 'spec', 'replicas');
}

/** `collection namespace/name` of everything that is there. */
function everything(server: FakeApiServer): readonly string[] {
  const own = [
    'v1/services',
    'v1/configmaps',
    'v1/serviceaccounts',
    'coordination.k8s.io/v1/leases',
  ];
  return [...COLLECTIONS, ...own].flatMap((collection) =>
    server
      .objects(collection)
      .map(({ metadata }) => `${collection} ${metadata.namespace ?? ''}/${metadata.name}`),
  );
}

const FOREIGN = [
  'rbac.authorization.k8s.io/v1/roles kube-system/other',
  'v1/services shop/web',
  'v1/services maesh/not-ours',
  'v1/configmaps maesh/kube-root-ca.crt',
];

test('takeBack() stops the controller, restores the DNS, lets callers leave, then deletes', async (context) => {
  const { server, steps, options } = await setUp(context);
  await takeBack(options);
  assert.deepEqual(steps, ['restore with 0 replicas', 'leave with 3 shadows']);
  const left = everything(server);
  assert.ok(left.includes('apps/v1/daemonsets maesh/maesh-agent'), 'Helm deletes the rest');
  assert.ok(left.includes('v1/services maesh/maesh-dns'));
  assert.deepEqual(
    left.filter((name) => /shadow-|maesh-ca|leases/.test(name)),
    [],
  );
});

test('takeBack() waits until no Pod of the controller runs', async (context) => {
  const { server, clock, steps, options } = await setUp(context);
  const pod = { name: 'maesh-controller-a', namespace: 'maesh', labels: labelsOf('controller') };
  server.set('v1/pods', { metadata: pod });
  const told: string[] = [];
  const done = takeBack({ ...options, tell: (line) => void told.push(line) });
  await until(() => told.length === 1);
  assert.deepEqual([told, steps], [['Waiting for the controller to end: maesh-controller-a'], []]);
  server.remove('v1/pods', 'maesh', 'maesh-controller-a');
  clock.advance(1_000);
  await done;
  assert.equal(steps.length, 2);
});

test('takeBack() puts the controller back when it does not end, or the DNS cannot be restored', async (context) => {
  const { server, clock, steps, options } = await setUp(context);
  const broken = takeBack({
    ...options,
    restoreDns: async () => {
      throw new Error('no right to patch');
    },
  });
  await assert.rejects(broken, /out of the cluster DNS: no right to patch; nothing was deleted/);
  assert.deepEqual([replicas(server), shadows(server), steps], [2, 3, []]);
  assert.deepEqual(server.objects('apps/v1/deployments')[0]?.metadata.annotations, {});
  const pod = { name: 'stuck', namespace: 'maesh', labels: labelsOf('controller') };
  server.set('v1/pods', { metadata: pod });
  let isOver = false;
  const stuck = assert
    .rejects(takeBack(options), /after 60 s .+: stuck; .+ Delete these Pods with --force/)
    .finally(() => (isOver = true));
  await until(() => {
    clock.advance(1_000);
    return isOver;
  });
  await stuck;
  assert.deepEqual([replicas(server), steps], [2, []]);
});

test('takeBack() goes on where a try before it ended, with the number of replicas of then', async (context) => {
  const { server, options } = await setUp(context);
  const [deployment] = server.objects('apps/v1/deployments');
  assert.ok(deployment);
  const annotations = { 'maesh.dev/replicas-before-uninstall': '3' };
  const metadata = { ...deployment.metadata, annotations };
  server.set('apps/v1/deployments', { metadata, spec: { replicas: 0 } });
  const restoreDns = () => Promise.reject(new Error('no'));
  await assert.rejects(takeBack({ ...options, restoreDns }));
  assert.equal(replicas(server), 3);
  await takeBack(options);
  assert.equal(shadows(server), 0);
});

test('takeBack() deletes the Lease of the leader where it may not list others', async (context) => {
  const { server, options } = await setUp(context);
  const { api } = options;
  const refused = await api.list('/nothing').catch((error: unknown) => error);
  const forbidden = Object.assign(Object.create(Object.getPrototypeOf(refused)), refused, {
    status: 403,
  });
  const picky = Object.assign(Object.create(api) as typeof api, {
    list: (path: string, query?: object) =>
      path.includes('/leases') ? Promise.reject(forbidden) : api.list(path, query),
    get: api.get.bind(api),
    patch: api.patch.bind(api),
    delete: api.delete.bind(api),
  });
  await takeBack({ ...options, api: picky });
  assert.deepEqual(
    everything(server).filter((name) => name.includes('leases')),
    ['coordination.k8s.io/v1/leases maesh/maesh-controller-a'],
  );
});

test('uninstall() leaves nothing of ours, and everything of others', async (context) => {
  const { server, options } = await setUp(context);
  await uninstall({ ...options, restoreDns: null });
  assert.deepEqual(everything(server).toSorted(), FOREIGN.toSorted());
  assert.equal(server.objects('v1/namespaces').length, 1);
  const told: string[] = [];
  await uninstall({ ...options, deleteNamespace: true, tell: (line) => void told.push(line) });
  assert.equal(server.objects('v1/namespaces').length, 0);
  assert.deepEqual(told, [
    'The cluster DNS is as it was before the mesh',
    '0 shadow Services deleted',
    '0 records of the controller deleted',
    'Namespace maesh deleted',
  ]);
});

test('uninstall() waits until the namespace is gone, and says what keeps it', async (context) => {
  const { server, clock, options } = await setUp(context);
  const gone = await run(clock, uninstall(options));
  assert.equal(gone, undefined);
  const kept = {
    metadata: { name: 'maesh', finalizers: ['example.dev/keep'] },
    status: {
      conditions: [
        { type: 'NamespaceContentRemaining', status: 'True', message: 'widgets are left' },
        { type: 'NamespaceDeletionDiscoveryFailure', status: 'False', message: 'none' },
      ],
    },
  };
  server.set('v1/namespaces', kept);
  // Somebody's finalizer: it is there again whenever it was deleted.
  const again = clock.every(500, () => void server.set('v1/namespaces', kept));
  const told: string[] = [];
  const tell = (line: string): void => void told.push(line);
  const error = await run(clock, uninstall({ ...options, deleteNamespace: true, tell }));
  again.cancel();
  assert.ok(error instanceof MeshError);
  assert.match(
    error.message,
    /after 60 s namespace "maesh" is not gone: .+: widgets are left; see/,
  );
  assert.ok(told.includes('Waiting for namespace maesh to be gone: widgets are left'));
});

/** Lets time go by until it is over; what it threw. */
async function run(clock: ManualClock, work: Promise<void>): Promise<unknown> {
  let isOver = false;
  const ended = work.then(
    () => undefined,
    (error: unknown) => error,
  );
  void ended.then(() => (isOver = true));
  await until(() => {
    clock.advance(1_000);
    return isOver;
  });
  return ended;
}

test('uninstall() waits for the Pods, and not for ever', async (context) => {
  const { server, clock, options } = await setUp(context);
  server.set('v1/pods', {
    metadata: { name: 'maesh-agent-a', namespace: 'maesh', labels: labelsOf('agent') },
  });
  const told: string[] = [];
  let isOver = false;
  const done = uninstall({ ...options, tell: (line) => void told.push(line) }).finally(
    () => (isOver = true),
  );
  await until(() => {
    clock.advance(1_000);
    return isOver;
  });
  await done;
  assert.equal(told.at(-1), 'Waiting for 1 Pod to finish what runs; they end by themselves');
});
