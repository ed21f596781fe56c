/** `maesh status` by a kubeconfig alone: what it shows is what a real controller and agent do, and what it cannot ask is unknown. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { COLLECTIONS, labelsOf } from '../../src/install/installed.fixture.ts';
import type { ServiceStatus } from '../../src/install/service-status.ts';
import type { ServicesStatus } from '../../src/install/services-status.ts';
import type { ClusterStatus } from '../../src/install/status.ts';
import { EndpointServer } from '../e2e/support/endpoint.ts';
import { isObject, parseJson, SchemaChecker } from '../support/json-schema.ts';
import { type Agent, Cluster, type Controller } from './support/cluster.ts';
import { Front } from './support/front.ts';
import { service, slice } from './support/objects.ts';

const SCHEMA = join(import.meta.dirname, '../../docs/status.schema.json');
const document = parseJson(readFileSync(SCHEMA, 'utf8'));
assert.ok(isObject(document));
const checker = new SchemaChecker(document);
let cluster: Cluster;
let controller: Controller;
let agent: Agent;
let front: Front;
const gone = new EndpointServer('gone', '127.1.90.200');

before(async () => {
  cluster = await Cluster.start();
  for (const collection of COLLECTIONS) cluster.api.served.add(collection);
  [controller, agent] = await Promise.all([cluster.controller('c1'), cluster.agent('a1')]);
  front = await Front.start(cluster);
  front.addPod('controller node-1/c1', controller.part);
  front.addPod('agent node-1/a1', agent.part);
});

after(async () => {
  await front.stop();
  await cluster.stop();
});

async function run(...args: readonly string[]) {
  return maesh(['status', ...args], { KUBECONFIG: front.kubeconfig });
}

interface Documents {
  readonly Cluster: ClusterStatus;
  readonly Services: ServicesStatus;
  readonly Service: ServiceStatus;
}

/** The document, which must be as the schema says, and the exit code. */
async function ask<K extends keyof Documents>(
  def: K,
  ...args: readonly string[]
): Promise<{ code: number | null; said: Documents[K] }> {
  const { code, out, err } = await run(...args, '-o', 'json');
  assert.equal(err, '');
  assert.deepEqual(checker.check(parseJson(out), `#/$defs/${def}`), [], out);
  return { code, said: JSON.parse(out) as Documents[K] };
}

test('where nothing is installed it says so, and what to do, with exit code 1', async () => {
  for (const args of [[], ['-A'], ['svc/web'], ['-n', 'shop']]) {
    const { code, out, err } = await run(...args);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^maesh: Cannot find a mesh in namespace "maesh" .+ run: maesh install/);
  }
  const object = (name: string, component: string, rest: object) => ({
    metadata: { name, namespace: 'maesh', labels: labelsOf(component) },
    ...rest,
  });
  const containers = [{ image: 'maesh/maesh:9' }];
  const template = { spec: { containers } };
  cluster.api.set(
    'apps/v1/deployments',
    object('maesh-controller', 'controller', {
      spec: { replicas: 1, template },
      status: { readyReplicas: 1, updatedReplicas: 1 },
    }),
  );
  cluster.api.set(
    'apps/v1/daemonsets',
    object('maesh-agent', 'agent', {
      spec: { template },
      status: { desiredNumberScheduled: 1, numberReady: 1, updatedNumberScheduled: 1 },
    }),
  );
  cluster.api.set('v1/services', object('maesh-dns', 'dns', { spec: { clusterIP: '10.97.0.53' } }));
});

test('figures of Services are what the agent carried: rate, success, retries, breaker, health', async () => {
  const web = await cluster.deploy('shop/web');
  cluster.annotate('shop/web', {
    'maesh.dev/balance': 'round-robin',
    'maesh.dev/retry-attempts': '2',
    'maesh.dev/eject-consecutive-failures': '1',
    'maesh.dev/eject-base': '1h',
    'maesh.dev/eject-max': '1h',
  });
  await gone.listen();
  gone.stop();
  const dead = { address: gone.address, port: web.port };
  cluster.api.set('discovery.k8s.io/v1/endpointslices', slice('shop/web', [web, dead], 'node-1'));
  cluster.api.set(
    'v1/services',
    service('shop/out', '10.97.0.99', { 'maesh.dev/mesh': 'disabled' }),
  );
  await cluster.until('it has a name', async () => (await agent.lookup('web.shop.maesh'))[0]);
  await cluster.until('the dead endpoint is ejected', async () => {
    assert.equal((await cluster.call(agent, 'web.shop.maesh')).status, 200);
    const { said } = await ask('Services', '-n', 'shop');
    return said.services[0]?.endpoints?.healthy === 1;
  });
  const { said } = await ask('Services', '-A');
  const [row] = said.services;
  assert.deepEqual(
    [row?.service, row?.state, row?.endpoints, row?.breaker],
    ['shop/web', 'published', { healthy: 1, total: 2 }, 'none'],
  );
  assert.ok((row?.figures?.requestsPerSecond ?? 0) > 0);
  assert.equal(row?.figures?.successRatio, 1);
  assert.ok((row?.figures?.p99Ms ?? 0) >= (row?.figures?.p50Ms ?? 0));
  assert.deepEqual(said.outside, [
    { service: 'shop/out', reason: 'maesh.dev/mesh is "disabled" on the Service' },
  ]);
  const { agents } = (await ask('Cluster')).said;
  assert.equal(agents[0]?.sockets?.length, 1, 'its threads have sockets of one kind');
  // Figures are of the last seconds, which a slow machine needs to start a command.
  const text = await cluster.until('the figures as text', async () => {
    await cluster.call(agent, 'web.shop.maesh');
    const answer = await run('-n', 'shop');
    return /^SERVICE +RATE +SUCCESS .+ HEALTHY\nweb +\d.+ 100\.0 % .+ 1\/2/.test(answer.out)
      ? answer
      : null;
  });
  assert.match(text.out, /\n {2}out +maesh\.dev\/mesh is "disabled" on the Service\n$/);
});

test('a Service by every way to write it, with endpoints and nodes', async () => {
  for (const args of [['web'], ['svc/web'], ['shop/web'], ['service/web', '-n', 'shop']]) {
    const { said } = await ask('Service', ...args);
    assert.deepEqual(
      [said.service, said.state, said.ports],
      ['shop/web', 'published', ['80/http']],
    );
    assert.deepEqual(said.names, ['web.shop.maesh']);
    assert.deepEqual(
      said.endpoints.map(({ address, ejectedOn }) => [address, ejectedOn]),
      [
        ['127.1.90.1', []],
        ['127.1.90.200', ['node-1']],
      ],
    );
    assert.deepEqual(
      said.nodes.map(({ node, note }) => [node, note]),
      [['node-1', '']],
    );
  }
  const out = await ask('Service', 'shop/out');
  assert.deepEqual(
    [out.said.state, out.said.reason],
    ['outside', 'maesh.dev/mesh is "disabled" on the Service'],
  );
  const system = await ask('Service', 'kube-system/kube-dns');
  assert.match(system.said.reason, /kube-system is never part of the mesh/);
  const none = await run('shop/none');
  assert.equal(none.code, 1);
  assert.match(none.err, /Cannot find Service "shop\/none"/);
});

test('an endpoint that fails its health checks is shown with what they found, and whether it is out', async () => {
  cluster.annotate('shop/web', {
    'maesh.dev/health-check': 'http',
    'maesh.dev/health-check-status': '204',
    'maesh.dev/health-check-interval': '1s',
    'maesh.dev/health-check-failures': '1',
  });
  const found = await cluster.until('both fail, and one of them is out', async () => {
    await cluster.call(agent, 'web.shop.maesh');
    const { said } = await ask('Service', 'shop/web');
    const checks = said.endpoints.map(({ failingChecks }) => failingChecks);
    return checks.every(({ length }) => length > 0) ? checks.flat() : null;
  });
  assert.deepEqual(
    found.map(({ node, reason }) => [node, reason]),
    [
      ['node-1', 'status 200'],
      ['node-1', 'no connection, or it was closed before the answer'],
    ],
  );
  const { out } = await run('shop/web');
  assert.match(out, /^ +80 +127\.1\.90\.1:.+\n? +health check: status 200$/m);
  assert.match(out, / (?:ejected|failing) /);
});

test('what may not be asked is unknown, and the exit code says that too', async () => {
  front.isForbidden = true;
  front.asked.length = 0;
  try {
    const { said } = await ask('Cluster');
    assert.equal(said.agents[0]?.configuration, 'unknown');
    assert.equal(said.traffic, null);
    assert.deepEqual(said.unknown[0]?.permissions, ['get pods/proxy in maesh']);
    assert.equal(front.asked.filter((line) => line.startsWith('a1 ')).length, 1);
    const { code, out } = await run('-n', 'shop');
    assert.equal(code, 3);
    assert.match(out, /^web +\? .+ \?\n/m);
    assert.match(out, /missing permissions: get pods\/proxy in maesh\n/);
  } finally {
    front.isForbidden = false;
  }
});

test('agents that cannot be reached are unknown, the figures are those of the others', async () => {
  front.addPod('agent node-2/a2', agent.part);
  front.unreachable.add('a2');
  try {
    const { code, said } = await ask('Service', 'shop/web');
    assert.equal(code, 3);
    assert.deepEqual(
      said.nodes.map(({ node, note }) => [node, note]),
      [
        ['node-1', ''],
        ['node-2', 'unknown: no answer'],
      ],
    );
    assert.match(said.unknown[0]?.reason ?? '', /503/);
    assert.match(said.unknown[0]?.remedy ?? '', /networkPolicy\.adminFrom/);
  } finally {
    cluster.api.remove('v1/pods', 'maesh', 'a2');
    front.unreachable.clear();
  }
});

test('a cluster of 200 agents is asked 16 at a time', async () => {
  for (let i = 0; i < 200; i++) front.addPod(`agent n${i}/many-${i}`, agent.part);
  front.mostOpen = 0;
  const { said } = await ask('Service', 'shop/web');
  assert.equal(said.nodes.length, 201);
  assert.ok(said.nodes.every(({ note }) => note === ''));
  assert.ok(front.mostOpen > 1 && front.mostOpen <= 20, String(front.mostOpen));
});
