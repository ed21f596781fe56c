/**
 * Faults of the data plane, upgrades and skew, each under load on mesh names from pods of both nodes. What is planned
 * loses nothing; what is not loses a number that is derived beside it.
 */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, test, type TestContext } from 'node:test';
import type { FormatRange } from '../../src/discovery/hello.ts';
import { appObjects } from './app-manifests.ts';
import type { Bed } from './bed/bed.ts';
import { FaultBed, NS, PLAIN_WEB, WEB } from './mesh/fault-bed.ts';
import {
  assertNoneLost,
  assertWays,
  CONNECTIONS,
  type Counts,
  type LoadPlan,
  Loads,
  WAY_THINK_MS,
} from './mesh/loads.ts';
import { MESH, type MeshBed } from './mesh/mesh.ts';
import { agentsOfVersion, otherVersion, OWN_VERSION } from './mesh/skew.ts';

const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'faults are made in the bed only';
/** Twice the pace of other tests: about as much as two cores take beside a cluster. */
const FULL: Partial<LoadPlan> = { thinkMs: 10 };
/** Connections of the callers of one node: those that stay, and those that do not. */
const OF_A_NODE = 2 * CONNECTIONS;
let faults: FaultBed;
let mesh: MeshBed;
let bed: Bed;
/** Roots of images of other versions. */
const folders: string[] = [];

before(async () => {
  if (skip !== false) return;
  faults = await FaultBed.start();
  ({ mesh, bed } = faults);
});

after(async () => {
  if (skip !== false) return;
  await faults.stop();
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** Does something under full load, on `web` by its mesh name where `plan` has nothing else. */
async function under(
  t: TestContext,
  body: () => Promise<void>,
  plan: Partial<LoadPlan> = {},
): Promise<Counts> {
  return await faults.loaded(t, body, { ...FULL, ...plan });
}

/** Failures of both kinds of callers. */
function failed({ kept, fresh }: Counts): number {
  return kept.failed + fresh.failed;
}

/** Each reason once. */
function reasons({ kept, fresh }: Counts): readonly string[] {
  return [...new Set([kept, fresh].flatMap((count) => Object.keys(count.reasons)))];
}

test('an agent is told to end: the other node carries its callers', { skip }, async (t) => {
  const counts = await under(t, async () => {
    const [, name = ''] = (await mesh.agentOn('n1')).split('/');
    await bed.kubectl(['-n', MESH, 'delete', 'pod', name, '--wait=false']);
    await faults.carriedBy('n1', 'n2');
    await faults.allIsWell();
  });
  assertNoneLost(counts);
});

/** `agent.drainSeconds` of the chart, and what a busy machine may take from it. */
const DRAIN_MS = 30_000;
const EARLY_MS = 5_000;

test(
  'agents are rolled by helm upgrade: nothing is lost but streams without end',
  { skip },
  async (t) => {
    const before = (await mesh.agents()).map(({ metadata }) => metadata.name);
    const held = faults.hold('caller-1');
    const counts = await under(t, async () => {
      await mesh.upgrade('--set-string', 'agent.podAnnotations.rolled=1');
      await mesh.ready();
      const names = new Set((await mesh.agents()).map(({ metadata }) => metadata.name));
      assert.ok(before.every((name) => !names.has(name)));
    });
    const [grpc, tcp] = await held;
    assert(grpc !== undefined && tcp !== undefined);
    for (const { way, toldAt, endedAt, how, answers } of [grpc, tcp]) {
      const after = toldAt === 0 ? 'told nothing' : `told to go ${endedAt - toldAt} ms before`;
      t.diagnostic(`${way} without end: ${answers} answers, ${after}, then ${how}`);
    }
    // Both are cut at the end of the drain; who speaks gRPC has been told when it began.
    assert.ok(grpc.toldAt > 0 && grpc.endedAt - grpc.toldAt > DRAIN_MS - EARLY_MS);
    assert.ok(Math.abs(tcp.endedAt - grpc.endedAt) < EARLY_MS);
    assert.equal(grpc.how, 'grpc-status 14');
    assert.equal(tcp.how, 'ECONNRESET');
    assertNoneLost(counts);
    await faults.allIsWell();
  },
);

test(
  'controllers are rolled while a kube-proxy is killed: nothing is lost',
  { skip },
  async (t) => {
    const { kubeProxy } = bed.onlyLocal.node('n2');
    const counts = await under(t, async () => {
      await kubeProxy.kill();
      await bed.kubectl(['-n', MESH, 'rollout', 'restart', 'deployment/maesh-controller']);
      await mesh.ready();
      await kubeProxy.start();
    });
    assertNoneLost(counts);
    await faults.allIsWell();
  },
);

/**
 * No agent can take leave when it is killed: the system resets its connections, and refuses new ones on its node until
 * the kubelet has started it anew (at once, the first time) and it listens as its last good copy says, or until kube-proxy
 * has heard that it is not ready and leads elsewhere (it writes once a second). Either takes a second, as much is for a
 * busy machine.
 */
const KILLED_MS = 2_000;
/** Where Node itself takes long to start, an agent that starts anew takes at most so many times as long. */
const NODE_STARTS = 60;
/** Slow enough that the app keeps the times of all failures of that time and a half: 100 of each load. */
const KILLED_PACE: Partial<LoadPlan> = { nodes: ['n1'], connections: 2, thinkMs: 60 };

test('an agent is killed: its node has failures, for two seconds at most', { skip }, async (t) => {
  const others = { namespace: NS, url: WEB, nodes: ['n2'], hasWays: true };
  const beside = await Loads.start(t, bed, others);
  let startMs = 0;
  const counts = await under(
    t,
    async () => {
      const asked = performance.now();
      await bed.exec(`${NS}/caller-1`, ['node', '-e', '0']);
      startMs = Math.round(performance.now() - asked);
      await bed.killProcess(await mesh.agentOn('n1'), 'SIGKILL');
      await faults.allIsWell();
    },
    KILLED_PACE,
  );
  const limitMs = Math.max(KILLED_MS, NODE_STARTS * startMs);
  t.diagnostic(`Node starts in ${startMs} ms: failures for at most ${limitMs} ms`);
  for (const { failingMs } of [counts.kept, counts.fresh, ...Object.values(counts.ways)])
    assert.ok(failingMs < limitMs, `${failingMs} ms`);
  // Whoever has no answer comes again after the pause between two requests. The system ends what a killed process had as it likes.
  const max = Math.ceil(limitMs / WAY_THINK_MS) + 1;
  const ends = /^(?:ECONNRESET|ECONNREFUSED|EPIPE|ENOTFOUND|closed|reset with 8)$/;
  assertWays(counts, { http2: { ends, max }, grpc: { ends, max }, tcp: { ends, max } });
  // A question about a name that the process had taken has no answer.
  for (const reason of reasons(counts))
    assert.match(reason, /^(ECONNRESET|ECONNREFUSED|EPIPE|ENOTFOUND)/);
  // Connections of another node do not notice.
  const untouched = await beside.stop();
  assert.deepEqual(untouched.kept.reasons, {});
  const unanswered = { ends: /^ENOTFOUND$/, max: 1 };
  assertWays(untouched, { http2: unanswered, grpc: unanswered, tcp: unanswered });
});

test(
  'the app is rolled, and its node drained: nothing is lost by the mesh name',
  { skip },
  async (t) => {
    await Loads.start(t, bed, { ...FULL, namespace: NS, url: PLAIN_WEB });
    const counts = await under(t, async () => {
      await bed.kubectl(['-n', NS, 'rollout', 'restart', 'deployment/web']);
      await bed.rolledOut(NS, 'deployment/web');
      await bed.readyPods(NS, 'app=web', 4);
      // Callers are Pods, too, and stay.
      await bed.kubectl(['drain', 'n2', '--ignore-daemonsets', '--pod-selector=app=web']);
      await bed.kubectl(['uncordon', 'n2']);
      await bed.readyPods(NS, 'app=web', 4);
    });
    assertNoneLost(counts);
  },
);

/** Lets agents of the chart run on one node only, or again on all. */
async function agentsOn(node: string | null): Promise<void> {
  const nodeSelector = { 'kubernetes.io/hostname': node };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  await bed.kubectl(['-n', MESH, 'patch', 'daemonset', 'maesh-agent', '-p', patch]);
  const count = node === null ? 2 : 1;
  const all = async (): Promise<boolean> => (await mesh.agents()).length === count;
  await bed.waitFor(`${count} agents`, all);
}

test('a node has no agent at all: the other one carries its callers', { skip }, async (t) => {
  const counts = await under(t, async () => {
    await agentsOn('n2');
    await faults.carriedBy('n1', 'n2');
    await faults.carriedBy('n2', 'n2');
    await agentsOn(null);
    await faults.allIsWell();
  });
  assertNoneLost(counts);
});

const KILLS = 2;

test(
  'pods of the app are killed: with retries nothing is lost, without them what was in flight',
  { skip },
  async (t) => {
    const env = { DELAY_MS: '20' };
    const fragile = { namespace: NS, name: 'fragile', replicas: 4, env, hasWays: true };
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
    const without = await under(t, kill, { url });
    // Whoever is refused is sent to another pod; what was sent may have been done, and is not sent again. Pods are called
    // from their own node as long as there are some.
    assert.ok(failed(without) <= OF_A_NODE * KILLS);
    assert.deepEqual(
      reasons(without).filter((reason) => reason !== 'status 502'),
      [],
    );
    // One of each way on each node, in flight once for each pod that is killed.
    const max = 2 * KILLS;
    const grpc = { ends: /^(?:grpc-status 14|reset with 8)$/, max };
    const tcp = { ends: /^(?:closed|ECONNRESET|EPIPE)$/, max };
    assertWays(without, { http2: { ends: /^status 502$/, max }, grpc, tcp });
    await bed.kubectl(['-n', NS, 'annotate', 'service', 'fragile', 'maesh.dev/retry-attempts=3']);
    await faults.told(`${NS}/fragile`, ({ policies }) => policies.retry?.attempts === 3);
    const { kept, fresh, ways } = await under(t, kill, { url });
    const { http2, ...streams } = ways;
    assertNoneLost({ kept, fresh, ways: http2 === undefined ? {} : { http2 } });
    // Nobody can try again a stream that has begun, or a connection.
    assertWays({ kept, fresh, ways: streams }, { grpc, tcp });
    await bed.kubectl(['-n', NS, 'delete', 'deployment,service', 'fragile']);
  },
);

/** Cuts n2 off while n1 calls a Service of both nodes, until all is well again. */
async function cutOff(t: TestContext, name: string, annotations: object = {}): Promise<Counts> {
  await clusterDnsOn('n1');
  const serviceAnnotations = { 'maesh.dev/locality': 'none', ...annotations };
  const app = { namespace: NS, name, replicas: 4, serviceAnnotations, hasWays: true };
  await bed.apply(...appObjects(app));
  await bed.readyPods(NS, `app=${name}`, 4);
  await mesh.published(`${NS}/${name}`);
  const cut = async (): Promise<void> => {
    await bed.onlyLocal.node('n2').cut();
    await bed.waitFor('the node to be lost', () => isLost('n2'));
    await bed.onlyLocal.node('n2').mend();
    await bed.waitFor('the node to be back', async () => !(await isLost('n2')));
    await bed.readyPods(NS, `app=${name}`, 4);
    await faults.allIsWell();
  };
  const url = `http://${name}.shop.maesh/`;
  const counts = await under(t, cut, { url, nodes: ['n1'] });
  await bed.kubectl(['-n', NS, 'delete', 'deployment,service', name]);
  await clusterDnsOn(null);
  return counts;
}

async function isLost(node: string): Promise<boolean> {
  const path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  return (await bed.kubectl(['get', 'node', node, path])) !== 'True';
}

/** Where the cluster DNS is on a node that is lost, names are lost with it, mesh or no mesh. */
async function clusterDnsOn(node: string | null): Promise<void> {
  const nodeSelector = { 'kubernetes.io/hostname': node };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  await bed.kubectl(['-n', 'kube-system', 'patch', 'deployment', 'coredns', '-p', patch]);
  await bed.rolledOut('kube-system', 'deployment/coredns');
}

/** What callers of streams hear of a peer that vanished, and how often one of them may meet it. */
const SILENT = /^(?:timeout|ECONNRESET|grpc-status (?:4|14)|status 50[234]|reset with \d+)$/;
const SILENT_MAX = 8;

test('a node is cut off: what was in flight to it is lost', { skip }, async (t) => {
  const counts = await cutOff(t, 'far');
  // What callers wait for, and each kept connection to one of two pods once more: whoever is given one waits in vain
  // until it gives up, which ends the connection. New ones fail in time for another pod.
  assert.ok(failed(counts) <= 2 * OF_A_NODE);
  // The same for the other ways; they give up after five seconds, and so may meet each of the two pods.
  const all = { ends: SILENT, max: SILENT_MAX };
  assertWays(counts, { http2: all, grpc: all, tcp: all });
});

test(
  'a node is cut off: with retries and a time for each try nothing is lost',
  { skip },
  async (t) => {
    const counts = await cutOff(t, 'far-retries', {
      'maesh.dev/retry-attempts': '3',
      'maesh.dev/retry-on': 'connect-failure,reset,timeout',
      // Calls of gRPC are POSTs.
      'maesh.dev/retry-non-idempotent': 'true',
      'maesh.dev/timeout-try': '1s',
      'maesh.dev/timeout-connect': '500ms',
    });
    const { http2, ...streams } = counts.ways;
    assertNoneLost({ ...counts, ways: http2 === undefined ? {} : { http2 } });
    // Those that had begun.
    const some = { ends: SILENT, max: 2 };
    assertWays({ ...counts, ways: streams }, { grpc: some, tcp: some });
  },
);

/** Runs agents of another version on n1, where the chart has none now, as long as `body` takes. */
async function skewed(
  version: string,
  formats: FormatRange,
  body: () => Promise<void>,
): Promise<void> {
  folders.push(otherVersion(mesh, version, formats));
  await bed.apply(await agentsOfVersion(mesh, version, 'n1'));
  await body();
  await bed.kubectl(['-n', MESH, 'delete', 'daemonset', `maesh-agent-${version}`]);
  await bed.waitFor('no agent on n1', async () =>
    (await mesh.agents()).every(({ spec }) => spec.nodeName !== 'n1'),
  );
}

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

test(
  'agents of other versions are served, carry and are told by their version; one with no format in common says why it is refused',
  { skip },
  async (t) => {
    // Those of the chart are on n2 meanwhile.
    const counts = await under(t, async () => {
      await agentsOn('n2');
      for (const { version, formats } of [
        { version: '0.0.1', formats: { min: 0, max: 1 } },
        { version: '9.9.8', formats: { min: 1, max: 2 } },
      ]) {
        await skewed(version, formats, async () => {
          await bed.rolledOut(MESH, `daemonset/maesh-agent-${version}`);
          await faults.carriedBy('n1', 'n1');
          const builds = [`n1 ${version}`, `n2 ${OWN_VERSION}`].join();
          await bed.waitFor('both to be told', async () => (await connected()).join() === builds);
        });
      }
      await skewed('9.9.9', { min: 2, max: 3 }, async () => {
        const agent = await bed.waitFor('the agent', () => mesh.agentOn('n1'));
        const why = /speaks formats 2 to 3, the controller 1 to 1/;
        await bed.waitFor('it to say why', async () => why.test(await bed.logs(agent)));
        await faults.carriedBy('n1', 'n2');
      });
      await agentsOn(null);
      await faults.allIsWell();
    });
    assertNoneLost(counts);
  },
);

// The last one: nothing is there after it. mesh.cluster.ts installs again.
test(
  'uninstalled while callers run: plain names go on, mesh names until there are none',
  { skip },
  async (t) => {
    const all = { ...FULL, namespace: NS, url: WEB, hasWays: true };
    const meshed = await Loads.start(t, bed, all);
    assertNoneLost(await under(t, () => mesh.uninstall(), { url: PLAIN_WEB }));
    // For a caller a name that is gone is the end; until then nothing else may fail.
    const counts = await meshed.stop();
    assert.deepEqual(reasons(counts), ['ENOTFOUND']);
    const gone = { ends: /^ENOTFOUND$/, max: Number.POSITIVE_INFINITY };
    assertWays(counts, { http2: gone, grpc: gone, tcp: gone });
  },
);
