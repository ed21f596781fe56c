/** The bed itself: what the tests of the mesh take for granted about their cluster is so. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiError } from './bed/api.ts';
import { Bed } from './bed/bed.ts';
import { needsMinor } from './bed/tools.ts';
import { answersOf, tell } from './answer.ts';
import { appObjects, callerPod, Load, namespaceObjects } from './app-manifests.ts';

const NS = 'shop';
let bed: Bed;
/** Two nodes, by name: n1 and n2 in the cluster of the bed. */
let nodes: readonly [string, string];

before(async () => {
  bed = await Bed.start({ nodes: 2 });
  const [one, two] = await bed.nodes();
  assert.ok(one !== undefined && two !== undefined, 'the cluster has fewer than two nodes');
  nodes = [one, two];
  await bed.apply(
    ...namespaceObjects(NS, { 'pod-security.kubernetes.io/enforce': 'restricted' }),
    ...appObjects({ namespace: NS, name: 'web', replicas: 4 }),
    callerPod({ namespace: NS, name: 'caller-1', node: one }),
    callerPod({ namespace: NS, name: 'caller-2', node: two }),
  );
  await bed.readyPods(NS, 'app=web', 4);
  for (const name of ['caller-1', 'caller-2']) await bed.readyPods(NS, `app=${name}`, 1);
});

after(async () => {
  // A cluster that was there before stays as it was.
  if (bed.local === undefined) await bed.kubectl(['delete', 'namespace', NS]);
  await bed.stop();
});

/** All names of `answers`, once each and in order. */
function distinct(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort();
}

test('both nodes are ready and the scheduler uses both', async () => {
  const pods = await bed.pods(NS, 'app=web');
  assert.deepEqual(distinct(pods.map(({ spec }) => spec.nodeName ?? '')), nodes);
});

for (const [index, caller] of ['caller-1', 'caller-2'].entries()) {
  test(`${caller} reaches all pods of a Service by its name, and they see the address of the caller`, async () => {
    const [pod] = await bed.pods(NS, `app=${caller}`);
    assert.ok(pod !== undefined);
    assert.equal(pod.spec.nodeName, nodes[index]);
    const names = distinct((await bed.pods(NS, 'app=web')).map(({ metadata }) => metadata.name));
    for (const host of ['web', 'web.shop', 'web.shop.svc.cluster.local']) {
      // A kube-proxy hears of a change a moment later than the API server.
      const seen = await bed.waitFor(`answers of all pods for ${host}`, async () => {
        const options = { count: 40 };
        const seen = answersOf(await bed.fetch(`${NS}/${caller}`, `http://${host}/`, options));
        return distinct(seen.map((answer) => answer.pod)).join() === names.join() && seen;
      });
      const from = distinct(seen.map((answer) => answer.from.replace('::ffff:', '')));
      assert.deepEqual(from, [pod.status.podIP]);
    }
  });
}

test('a name that does not exist is not found, inside the cluster and outside', async () => {
  for (const host of ['nothing.shop', 'nothing.example']) {
    const [answer] = await bed.fetch(`${NS}/caller-1`, `http://${host}/`);
    assert.equal(answer?.error, 'ENOTFOUND');
  }
});

test(
  'PreferSameNode keeps callers on their node, and its removal spreads them',
  { skip: needsMinor(34) },
  async () => {
    const patch = async (value: string | null): Promise<void> => {
      const spec = JSON.stringify({ spec: { trafficDistribution: value } });
      await bed.kubectl(['-n', NS, 'patch', 'service', 'web', '-p', spec]);
    };
    const nodesSeen = async (caller: string): Promise<readonly string[]> => {
      const seen = await bed.fetch(`${NS}/${caller}`, 'http://web/', { count: 30 });
      return distinct(answersOf(seen).map(({ node }) => node));
    };
    await patch('PreferSameNode');
    for (const [caller, node] of [
      ['caller-1', nodes[0]],
      ['caller-2', nodes[1]],
    ] as const) {
      await bed.waitFor(`${caller} to stay on ${node}`, async () => {
        return (await nodesSeen(caller)).join() === node;
      });
    }
    await patch(null);
    await bed.waitFor('caller-1 to spread', async () => {
      return (await nodesSeen('caller-1')).join() === nodes.join();
    });
  },
);

test(
  'a namespace of Pod Security restricted takes no privileged pod',
  { skip: needsMinor(23) },
  async () => {
    const pod = {
      metadata: { name: 'bad' },
      spec: {
        containers: [{ name: 'c', image: 'test/app:1', securityContext: { privileged: true } }],
      },
    };
    await assert.rejects(bed.api.create(`/api/v1/namespaces/${NS}/pods`, pod), (error: unknown) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, 403);
      assert.match(error.message, /violates PodSecurity "restricted/);
      return true;
    });
  },
);

test('readiness takes a pod out of its Service and puts it back', async () => {
  const ready = async (): Promise<number> => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${NS}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb`;
    type Slice = { endpoints: { conditions: { ready: boolean } }[] };
    const { items } = await bed.api.get<{ items: Slice[] }>(path);
    return items.flatMap(({ endpoints }) => endpoints).filter(({ conditions }) => conditions.ready)
      .length;
  };
  await bed.waitFor('all endpoints', async () => (await ready()) === 4);
  const [pod] = await bed.pods(NS, 'app=web');
  const url = `http://${pod?.status.podIP}:8080/behave`;
  const behave = async (body: object): Promise<void> => {
    const options = { method: 'POST', body: JSON.stringify(body) };
    const [answer] = await bed.fetch(`${NS}/caller-1`, url, options);
    assert.equal(answer?.status, 200, tell(answer));
  };
  await behave({ ready: false });
  await bed.waitFor('three endpoints', async () => (await ready()) === 3);
  await behave({ ready: true });
  await bed.waitFor('four endpoints', async () => (await ready()) === 4);
});

test('a container has the user, root folder, rights and environment of its pod', async () => {
  const pod = `${NS}/caller-1`;
  const inside = async (script: string): Promise<string> => {
    const { stdout, stderr, code } = await bed.exec(pod, ['node', '-p', script]);
    assert.equal(code, 0, stderr);
    return stdout.trim();
  };
  assert.equal(await inside('process.getuid() + ":" + process.getgid()'), '65532:65532');
  assert.equal(await inside('process.env.NODE_NAME'), nodes[0]);
  const status = await inside('require("fs").readFileSync("/proc/1/status", "utf8")');
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    assert.match(status, new RegExp(`^${set}:\\t0{16}$`, 'm'));
  }
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^NSpid:\t1$/m);
  const write = await bed.exec(pod, ['node', '-e', 'require("fs").writeFileSync("/tmp/x", "")']);
  assert.match(write.stderr, /EROFS/);
  assert.equal(await inside('require("fs").existsSync("/root/.cache")'), 'false');
  const token = '/var/run/secrets/kubernetes.io/serviceaccount/token';
  assert.match(await inside(`require("fs").readFileSync("${token}", "utf8")`), /^ey/);
  assert.match(await bed.kubectl(['-n', NS, 'logs', 'caller-1']), /^$/);
});

test('a rolling restart under load fails no request', async () => {
  const spec = { url: 'http://web.shop/', connections: 8, perConnection: 20, thinkMs: 5 };
  const load = await Load.start(bed, { namespace: NS, name: 'load', node: nodes[0], spec });
  await bed.kubectl(['-n', NS, 'rollout', 'restart', 'deployment/web']);
  await bed.rolledOut(NS, 'deployment/web');
  await load.more(200);
  const result = await load.stop();
  assert.deepEqual(result.reasons, {});
  assert.ok(Object.keys(result.byPod).length >= 5, JSON.stringify(result.byPod));
});
