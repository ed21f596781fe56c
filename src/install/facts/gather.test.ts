import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';

import { ManualClock } from '../../base/clock.ts';
import type { FakeApiServer } from '../../kube/api/api-server.fixture.ts';
import { KubeClient, type RequestOptions } from '../../kube/api/client.ts';
import { installInto, labelsOf, startServer } from '../installed.fixture.ts';
import { ApiError } from '../../kube/api/api-error.ts';
import { gather } from './gather.ts';

/** A client of a cluster with a mesh, and what Pods answer through the proxy of the API server. */
async function setUp(context: TestContext) {
  const server = await startServer();
  const clock = new ManualClock();
  const real = new KubeClient(server.connection(), { clock });
  const pods = new Map<string, unknown>();
  const api: KubeClient = Object.assign(Object.create(real) as KubeClient, {
    get: real.get.bind(real),
    list: real.list.bind(real),
    request: async ({ path, ...rest }: RequestOptions) => {
      const [, pod = '', where = ''] = /\/pods\/([^/]+):9000\/proxy(.+)$/.exec(path) ?? [];
      if (pod === '') return real.request({ path, ...rest });
      const answer = pods.get(`${pod}${where}`);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  context.after(async () => {
    real.close();
    await server.stop();
  });
  return { server, clock, api, pods };
}

function addPod(server: FakeApiServer, name: string, component: string, status: object = {}): void {
  const ready = { conditions: [{ type: 'Ready', status: 'True' }], ...status };
  server.set('v1/pods', {
    metadata: { name, namespace: 'maesh', labels: labelsOf(component) },
    spec: { nodeName: 'n1' },
    status: ready,
  });
}

function notReady(): ApiError {
  const refusal = { status: 503, reason: '', detail: '', causes: [], retryAfterMs: 0 };
  return new ApiError('Cannot GET', refusal);
}

test('gather() knows what is there, and asks the controllers', async (context) => {
  const { server, clock, api, pods } = await setUp(context);
  installInto(server, 2);
  addPod(server, 'maesh-controller-a', 'controller');
  addPod(server, 'maesh-controller-b', 'controller', {
    conditions: [],
    containerStatuses: [{ restartCount: 2, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
  });
  addPod(server, 'maesh-agent-a', 'agent');
  addPod(server, 'maesh-uninstall-a', 'uninstall');
  server.set('v1/nodes', {
    metadata: { name: 'n1', labels: { zone: 'a' } },
    spec: { unschedulable: true },
    status: { nodeInfo: { kubeletVersion: 'v1.35.1' } },
  });
  server.set('v1/services', {
    metadata: { name: 'maesh-dns', namespace: 'maesh' },
    spec: { clusterIP: '10.96.0.53', clusterIPs: ['10.96.0.53', 'fd00::53'] },
  });
  const endpoint = (name: string, ready: boolean) => ({
    addresses: ['10.1.0.1'],
    conditions: { ready },
    targetRef: { name },
  });
  for (const family of ['4', '6']) {
    server.set('discovery.k8s.io/v1/endpointslices', {
      metadata: {
        name: `maesh-dns-${family}`,
        namespace: 'maesh',
        labels: { 'kubernetes.io/service-name': 'maesh-dns' },
      },
      endpoints: [endpoint('a', true), endpoint('b', false)],
    });
  }
  server.set('v1/configmaps', {
    metadata: { name: 'kube-proxy', namespace: 'kube-system' },
    data: { 'config.conf': 'kind: KubeProxyConfiguration\nmode: "ipvs"\n' },
  });
  server.set('v1/services', {
    metadata: {
      name: 'shadow-0',
      namespace: 'maesh',
      labels: labelsOf('shadow'),
      annotations: {
        'maesh.dev/service': 'shop/web',
        'maesh.dev/state': 'published',
        'maesh.dev/announced-ports': '[{"port":81}]',
        'maesh.dev/retired-ports': 'damaged',
      },
    },
    spec: { ports: [{ port: 80 }] },
  });
  server.set('coordination.k8s.io/v1/leases', {
    metadata: { name: 'maesh-controller', namespace: 'maesh' },
    spec: {
      holderIdentity: 'maesh-controller-a',
      leaseDurationSeconds: 15,
      renewTime: new Date(clock.wallMs() - 4_000).toISOString(),
    },
  });
  const agent = { agent: 'maesh/maesh-agent-a', node: 'n1', build: '0.1.0', servedVersion: 5 };
  pods.set('maesh-controller-a/readyz', notReady());
  pods.set('maesh-controller-a/api/agents', {
    version: 7,
    agents: [{ ...agent, lagMs: 9_000, failures: ['port 10001'] }],
  });
  const problem = { severity: 'error', object: 'Service shop/web', field: 'x', message: 'bad' };
  pods.set('maesh-controller-a/api/problems', { version: 7, problems: [problem, 'junk'] });

  const facts = await gather({ api, clock, namespace: 'maesh' });
  const value = <T>(known: { ok: boolean; value?: T }): T | undefined => {
    assert.ok(known.ok);
    return known.value;
  };
  assert.equal(value(facts.version), 'v1.36.3');
  assert.equal(value(facts.controller)?.wanted, 2);
  assert.deepEqual(
    value(facts.pods)?.map(({ name, isReady, trouble, restarts }) => [
      name,
      isReady,
      trouble,
      restarts,
    ]),
    [
      ['maesh-agent-a', true, '', 0],
      ['maesh-controller-a', true, '', 0],
      ['maesh-controller-b', false, 'CrashLoopBackOff', 2],
    ],
  );
  assert.deepEqual(value(facts.nodes), [
    { name: 'n1', isReady: false, isSchedulable: false, labels: { zone: 'a' }, kubelet: 'v1.35.1' },
  ]);
  assert.deepEqual(value(facts.lease), {
    holder: 'maesh-controller-a',
    ageMs: 4_000,
    durationMs: 15_000,
  });
  assert.deepEqual(value(facts.dnsService), {
    addresses: ['10.96.0.53', 'fd00::53'],
    endpoints: 1,
  });
  assert.deepEqual(value(facts.kubeProxy), { mode: 'ipvs' });
  assert.deepEqual(value(facts.ca), { endMs: 0, certificates: 0 });
  assert.deepEqual(value(facts.shadows)?.[0], {
    service: 'shop/web',
    state: 'published',
    proxyPorts: 2,
  });
  assert.deepEqual(
    [...facts.replicas.keys()],
    ['maesh-controller-a'],
    'who does not run is not asked',
  );
  const replica = facts.replicas.get('maesh-controller-a');
  assert.ok(replica?.ok);
  assert.deepEqual(replica.value.pending, ['it says that it is not ready']);
  assert.deepEqual(replica.value.agents, [
    { ...agent, isBehind: true, lag: 2, failures: ['port 10001'] },
  ]);
  assert.deepEqual(
    replica.value.problems.map(({ object, message }) => [object, message]),
    [['Service shop/web', 'bad']],
  );
});

test('gather() tells of what is missing and of what cannot be read', async (context) => {
  const { server, clock, api, pods } = await setUp(context);
  server.served.delete('apps/v1/daemonsets');
  addPod(server, 'maesh-controller-a', 'controller');
  pods.set('maesh-controller-a/readyz', notReady());
  pods.set('maesh-controller-a/api/agents', new Error('connection refused'));
  const facts = await gather({ api, clock, namespace: 'maesh' });
  assert.deepEqual(facts.controller, { ok: true, value: null });
  assert.deepEqual(facts.dnsService, { ok: true, value: null });
  assert.deepEqual(facts.replicas.get('maesh-controller-a'), {
    ok: false,
    why: 'connection refused',
    isForbidden: false,
  });
  server.tokens = new Set();
  await assert.rejects(gather({ api, clock, namespace: 'maesh' }), /401/);
});
