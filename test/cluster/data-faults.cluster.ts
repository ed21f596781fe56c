/**
 * Faults of the data plane, upgrades and skew, each under load on mesh names from pods of both nodes. What is planned
 * loses nothing; what is not loses a number that is derived beside it.
 */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import type { Answer } from './app.ts';
import { appObjects, callerPod, namespaceObjects } from './app-manifests.ts';
import { carriedBy, CONNECTIONS, Loads, type Lost, tell, THINK_MS } from './mesh/loads.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';
import { agentsOfVersion, otherVersion, OWN_VERSION } from './mesh/skew.ts';

const NS = 'shop';
const WEB = 'http://web.shop.maesh/';
/** A Service that no load calls, so that its requests can be counted one by one. */
const QUIET = 'http://quiet.shop.maesh/';
const LONG = { timeoutMs: 90_000 };
let mesh: MeshBed;

before(async () => {
  mesh = await MeshBed.start({ nodes: 2 });
  const { bed } = mesh;
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'web', replicas: 4 }),
    ...appObjects({ namespace: NS, name: 'quiet', replicas: 2 }),
    callerPod({ namespace: NS, name: 'caller-1', node: 'n1' }),
    callerPod({ namespace: NS, name: 'caller-2', node: 'n2' }),
  );
  await mesh.install();
  await bed.readyPods(NS, 'app=web', 4);
  await wellAgain();
});

after(async () => {
  await mesh.stop();
});

/** One call from each node goes through the agent of that node, under the address of the caller. */
async function wellAgain(): Promise<void> {
  await mesh.ready();
  for (const node of ['n1', 'n2']) await carriedFor(node, node);
}

/** Waits until a caller on `node` is served by the agent on `via`. */
async function carriedFor(node: string, via: string): Promise<void> {
  const { bed } = mesh;
  const caller = `caller-${node.slice(1)}`;
  const [pod] = await bed.pods(NS, `app=${caller}`);
  const answers = await bed.waitFor(
    `calls from ${node} through the agent on ${via}`,
    async () => {
      const agent = await mesh.agentOn(via);
      const before = await carriedBy(mesh, agent, `${NS}/quiet`);
      const seen = await bed.fetch(`${NS}/${caller}`, QUIET, { count: 8 });
      const after = await carriedBy(mesh, agent, `${NS}/quiet`);
      return seen.every(({ status }) => status === 200) && after - before === 8 && seen;
    },
    LONG,
  );
  for (const { body } of answers) {
    const { headers } = JSON.parse(body) as Answer;
    assert.equal(headers['x-forwarded-for'], pod?.status.podIP);
  }
}

/** Does something while callers call, and for a while after. */
async function under(
  act: () => Promise<void>,
  options: { readonly url?: string; readonly nodes?: readonly string[] } = {},
): Promise<Lost> {
  const loads = await Loads.start(mesh.bed, { namespace: NS, url: WEB, ...options });
  try {
    await act();
    await loads.more(100);
  } catch (error) {
    await loads.stop();
    throw error;
  }
  return await loads.stop();
}

function lostNothing(t: TestContext, what: string, lost: Lost): void {
  tell(t, what, lost);
  assert.deepEqual(lost.reasons, {}, what);
}

test('an agent that is told to end: its node is carried by the other one, and nothing is lost', async (t) => {
  const { bed } = mesh;
  const lost = await under(async () => {
    const [, name = ''] = (await mesh.agentOn('n1')).split('/');
    await bed.kubectl(['-n', MESH, 'delete', 'pod', name, '--wait=false']);
    await carriedFor('n1', 'n2');
    await wellAgain();
  });
  lostNothing(t, 'agent deleted', lost);
});

test('agents and controllers rolled by helm upgrade and kubectl: nothing is lost', async (t) => {
  const before = (await mesh.agents()).map(({ metadata }) => metadata.name);
  const agents = await under(async () => {
    await mesh.upgrade('--set-string', 'agent.podAnnotations.rolled=1');
    await mesh.ready();
    const names = new Set((await mesh.agents()).map(({ metadata }) => metadata.name));
    assert.ok(before.every((name) => !names.has(name)));
  });
  lostNothing(t, 'agents upgraded', agents);
  const controllers = await under(async () => {
    await mesh.bed.kubectl(['-n', MESH, 'rollout', 'restart', 'deployment/maesh-controller']);
    await mesh.ready();
  });
  lostNothing(t, 'controllers rolled', controllers);
  await wellAgain();
});

/**
 * Until callers of the node have somewhere to go: the kubelet sees that the container is gone (at most 1 s), its
 * endpoint is not ready any more and kube-proxy takes it out (it writes at most once a second), or the container
 * listens again, whatever comes first; and a second for a busy machine.
 */
const KILLED_MS = 3_000;

test('an agent that is killed: what was in flight, and new connections for a moment', async (t) => {
  const { bed } = mesh;
  const lost = await under(async () => {
    await bed.killProcess(await mesh.agentOn('n1'), 'SIGKILL');
    await wellAgain();
  });
  // Each connection of that node loses what it waits for, and is then refused as often as it tries.
  const bound = CONNECTIONS * (1 + KILLED_MS / THINK_MS);
  tell(t, 'agent killed', lost, bound);
  assert.ok(lost.failed <= bound && lost.longestMs <= KILLED_MS);
  for (const reason of Object.keys(lost.reasons))
    assert.match(reason, /^(ECONNRESET|ECONNREFUSED|EPIPE)/);
});

test('the app rolled at full load: nothing is lost by the mesh name', async (t) => {
  const { bed } = mesh;
  const plain = await Loads.start(bed, { namespace: NS, url: 'http://web.shop/' });
  const lost = await under(async () => {
    await bed.kubectl(['-n', NS, 'rollout', 'restart', 'deployment/web']);
    await bed.rolledOut(NS, 'deployment/web');
    await bed.readyPods(NS, 'app=web', 4, LONG);
  });
  tell(t, 'app rolled, plain name', await plain.stop());
  lostNothing(t, 'app rolled, mesh name', lost);
});

/** Lets agents of the chart run on one node only, or again on all. */
async function agentsOn(node: string | null): Promise<void> {
  const nodeSelector = { 'kubernetes.io/hostname': node };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  await mesh.bed.kubectl(['-n', MESH, 'patch', 'daemonset', 'maesh-agent', '-p', patch]);
  const count = node === null ? 2 : 1;
  const all = async (): Promise<boolean> => (await mesh.agents()).length === count;
  await mesh.bed.waitFor(`${count} agents`, all, LONG);
}

test('without an agent on a node at all, the other one carries it under the address of the caller', async (t) => {
  const lost = await under(async () => {
    await agentsOn('n2');
    await carriedFor('n1', 'n2');
    await carriedFor('n2', 'n2');
    await agentsOn(null);
    await wellAgain();
  });
  lostNothing(t, 'no agent on a node', lost);
});

test('pods of the app that are killed: with retries nothing, without them what was in flight', async (t) => {
  const { bed } = mesh;
  const fragile = { namespace: NS, name: 'fragile', replicas: 4, env: { DELAY_MS: '20' } };
  await bed.apply(...appObjects(fragile));
  await bed.readyPods(NS, 'app=fragile', 4);
  const url = 'http://fragile.shop.maesh/';
  const kill = async (): Promise<void> => {
    for (const { metadata } of (await bed.pods(NS, 'app=fragile')).slice(0, KILLS)) {
      await bed.killProcess(`${NS}/${metadata.name}`, 'SIGKILL');
      await bed.readyPods(NS, 'app=fragile', 3, { everyMs: 20 });
      await bed.readyPods(NS, 'app=fragile', 4);
    }
  };
  const without = await under(kill, { url });
  // Who is refused is sent to another pod; what was sent may have been done, and is not sent again.
  const bound = 2 * CONNECTIONS * KILLS;
  tell(t, 'app killed, without retries', without, bound);
  assert.ok(without.failed <= bound);
  assert.deepEqual(
    Object.keys(without.reasons).filter((reason) => reason !== 'status 502'),
    [],
  );
  await bed.kubectl(['-n', NS, 'annotate', 'service', 'fragile', 'maesh.dev/retry-attempts=3']);
  await told(`${NS}/fragile`, ({ policies }) => policies.retry?.attempts === 3);
  lostNothing(t, 'app killed, with retries', await under(kill, { url }));
  await bed.kubectl(['-n', NS, 'delete', 'deployment,service', 'fragile']);
});

const KILLS = 2;

interface ToldService {
  readonly key: string;
  readonly policies: { readonly retry: { readonly attempts: number } | null };
}

/** Waits until all agents serve this of a Service. */
async function told(key: string, isSo: (service: ToldService) => boolean): Promise<void> {
  await mesh.bed.waitFor(`the agents to be told of ${key}`, async () => {
    for (const { metadata } of await mesh.agents()) {
      const path = `/api/snapshot?service=${key}`;
      const pod = `${MESH}/${metadata.name}`;
      const { services } = await mesh.admin<{ services: ToldService[] }>(pod, path);
      const found = services.find((service) => service.key === key);
      if (found === undefined || !isSo(found)) return false;
    }
    return true;
  });
}

test('a node that is cut off: what was in flight to it; with retries and a time for each try nothing', async (t) => {
  const { bed } = mesh;
  await clusterDnsOn('n1');
  const retries = {
    'maesh.dev/retry-attempts': '3',
    'maesh.dev/retry-on': 'connect-failure,reset,timeout',
    'maesh.dev/timeout-try': '1s',
    'maesh.dev/timeout-connect': '500ms',
  };
  for (const [name, more] of [
    ['far', {}],
    ['far-retries', retries],
  ] as const) {
    const serviceAnnotations = { 'maesh.dev/locality': 'none', ...more };
    await bed.apply(...appObjects({ namespace: NS, name, replicas: 4, serviceAnnotations }));
    await bed.readyPods(NS, `app=${name}`, 4);
    const url = `http://${name}.shop.maesh/`;
    await mesh.published(`${NS}/${name}`);
    const lost = await under(
      async () => {
        await bed.onlyLocal.node('n2').cut();
        await bed.waitFor('the node to be lost', () => isLost('n2'));
        await bed.onlyLocal.node('n2').mend();
        await bed.waitFor('the node to be back', async () => !(await isLost('n2')));
        await bed.readyPods(NS, `app=${name}`, 4, LONG);
        await wellAgain();
      },
      { url, nodes: ['n1'] },
    );
    // What callers wait for, and each kept connection to one of two pods once more: whoever is given one waits in vain
    // until it gives up, which ends the connection. New ones fail in time for another pod.
    const bound = name === 'far' ? 2 * CONNECTIONS : 0;
    tell(t, `node cut off, ${name}`, lost, bound);
    assert.ok(lost.failed <= bound);
    await bed.kubectl(['-n', NS, 'delete', 'deployment,service', name]);
  }
  await clusterDnsOn(null);
});

async function isLost(node: string): Promise<boolean> {
  const path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  return (await mesh.bed.kubectl(['get', 'node', node, path])) !== 'True';
}

/** Where the cluster DNS is on a node that is lost, names are lost with it, mesh or no mesh. */
async function clusterDnsOn(node: string | null): Promise<void> {
  const nodeSelector = { 'kubernetes.io/hostname': node };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  await mesh.bed.kubectl(['-n', 'kube-system', 'patch', 'deployment', 'coredns', '-p', patch]);
  await mesh.bed.rolledOut('kube-system', 'deployment/coredns');
}

test('agents of other versions are served, carry, and are told by their version', async (t) => {
  const { bed } = mesh;
  const folders = SKEWS.map(({ version, formats }) => otherVersion(mesh, version, formats));
  t.after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));
  for (const { version, formats, isServed } of SKEWS) {
    const lost = await under(async () => {
      await agentsOn('n2');
      await bed.apply(await agentsOfVersion(mesh, version, 'n1'));
      if (isServed) {
        await bed.rolledOut(MESH, `daemonset/maesh-agent-${version}`);
        await carriedFor('n1', 'n1');
        const builds = [`n1 ${version}`, `n2 ${OWN_VERSION}`].join();
        await bed.waitFor(
          'both to be told',
          async () => (await connected()).join() === builds,
          LONG,
        );
      } else {
        const agent = await bed.waitFor('the agent', () => mesh.agentOn('n1'));
        await bed.waitFor('it to say why', async () => REFUSAL.test(await bed.logs(agent)));
        await carriedFor('n1', 'n2');
      }
      await bed.kubectl(['-n', MESH, 'delete', 'daemonset', `maesh-agent-${version}`]);
      await agentsOn(null);
      await wellAgain();
    });
    lostNothing(t, `agent of version ${version}, formats ${formats.min} to ${formats.max}`, lost);
  }
});

const REFUSAL = /speaks formats 2 to 3, the controller 1 to 1/;
const SKEWS = [
  { version: '0.0.1', formats: { min: 0, max: 1 }, isServed: true },
  { version: '9.9.8', formats: { min: 1, max: 2 }, isServed: true },
  { version: '9.9.9', formats: { min: 2, max: 3 }, isServed: false },
];

/** `NODE VERSION` of each agent that a controller has. */
async function connected(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const { metadata } of await mesh.controllers()) {
    type Rows = { readonly agents: readonly { readonly node: string; readonly build: string }[] };
    const { agents } = await mesh.admin<Rows>(`${MESH}/${metadata.name}`, '/api/agents');
    found.push(...agents.map(({ node, build }) => `${node} ${build}`));
  }
  return found.sort();
}

test('uninstalled while callers run: plain names go on, mesh names until there are none', async (t) => {
  const { bed } = mesh;
  const plain = await Loads.start(bed, { namespace: NS, url: 'http://web.shop/' });
  const meshed = await Loads.start(bed, { namespace: NS, url: WEB });
  await mesh.uninstall();
  await plain.more(100);
  lostNothing(t, 'uninstalled, plain name', await plain.stop());
  const lost = await meshed.stop();
  // For a caller a name that is gone is the end; until then nothing else may fail.
  tell(t, 'uninstalled, mesh name', lost, lost.reasons['ENOTFOUND']);
  assert.deepEqual(Object.keys(lost.reasons), ['ENOTFOUND']);
  await mesh.install();
  await wellAgain();
});
