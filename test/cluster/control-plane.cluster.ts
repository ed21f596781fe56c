/** The faults that the bed can make: parts of the cluster killed, a node cut off, the past forgotten; and its wider forms. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answerOf, answersOf } from './answer.ts';
import { appObjects, callerPod, Load, namespaceObjects } from './app-manifests.ts';
import { ApiError } from './bed/api.ts';
import { Bed, isReady } from './bed/bed.ts';
import type { LocalControls } from './bed/ground.ts';

const NS = 'shop';
const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'these are tests of the bed';
let bed: Bed;
let local: LocalControls;

before(async () => {
  if (skip !== false) return;
  bed = await Bed.start({ nodes: 3, dualStack: true });
  local = bed.onlyLocal;
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({
      namespace: NS,
      name: 'web',
      replicas: 3,
      service: { ipFamilyPolicy: 'RequireDualStack' },
    }),
    callerPod({ namespace: NS, name: 'caller', node: 'n1' }),
  );
  await bed.readyPods(NS, 'app=web', 3);
  await bed.readyPods(NS, 'app=caller', 1);
});

after(async () => {
  if (skip === false) await bed.stop();
});

test('a Service of both families is reached by both from every node', { skip }, async () => {
  const ips = '-o=jsonpath={.spec.clusterIPs[*]}';
  const [four, six] = (await bed.kubectl(['-n', NS, 'get', 'service', 'web', ips])).split(' ');
  assert.match(six ?? '', /^fd00:96::/);
  for (const host of [four, `[${six}]`]) {
    await bed.waitFor(`all pods by ${host}`, async () => {
      const seen = await bed.fetch(`${NS}/caller`, `http://${host}/`, { count: 30 });
      return new Set(answersOf(seen).map(({ node }) => node)).size === 3;
    });
  }
});

test(
  'pods answer while the API server and etcd are killed, and go on after',
  { skip },
  async () => {
    const spec = { url: 'http://web.shop/', connections: 4, perConnection: 10, thinkMs: 10 };
    const load = await Load.start(bed, { namespace: NS, name: 'load', node: 'n1', spec });
    await local.apiServer.kill();
    await local.etcd.kill();
    await assert.rejects(bed.api.text('/readyz', 1_000));
    await load.more(300);
    // etcd is asked by the API server, so it is ready when that is.
    const etcd = local.etcd.start();
    await local.apiServer.start();
    await etcd;
    await load.more(100);
    const result = await load.stop();
    assert.deepEqual(result.reasons, {});
    await bed.kubectl(['-n', NS, 'scale', 'deployment/web', '--replicas=4']);
    await bed.readyPods(NS, 'app=web', 4);
    await bed.kubectl(['-n', NS, 'scale', 'deployment/web', '--replicas=3']);
    await bed.readyPods(NS, 'app=web', 3);
  },
);

test('a version from before a compaction is Gone', { skip }, async () => {
  const list = '/api/v1/namespaces/default/configmaps';
  const { metadata } = await bed.api.get<{ metadata: { resourceVersion: string } }>(list);
  await bed.kubectl(['create', 'configmap', 'later']);
  await local.apiServer.kill();
  await local.compact();
  await local.apiServer.start();
  const old = `${list}?watch=1&timeoutSeconds=1&resourceVersion=${metadata.resourceVersion}`;
  const text = await bed.api.text(old).catch((error: unknown) => {
    assert.ok(error instanceof ApiError);
    return String(error.status);
  });
  assert.match(text, /410/);
});

test(
  'a node that is cut off loses its endpoints, and has them again when it is back',
  { skip },
  async () => {
    const ready = async (): Promise<readonly string[]> =>
      (await bed.pods(NS, 'app=web'))
        .filter(isReady)
        .map(({ spec }) => spec.nodeName ?? '')
        .sort();
    await bed.waitFor('a pod on each node', async () => (await ready()).join() === 'n1,n2,n3');
    await local.node('n3').cut();
    await bed.waitFor('two nodes', async () => (await ready()).join() === 'n1,n2');
    await local.node('n3').mend();
    await bed.waitFor('three nodes', async () => (await ready()).join() === 'n1,n2,n3');
  },
);

test(
  'a killed container is restarted, and a killed kube-proxy leaves its rules',
  { skip },
  async () => {
    // The rules that are left must be those of a whole cluster: the DNS may have been on a node that was cut off.
    await bed.waitFor('an answer', async () => {
      const [answer] = await bed.fetch(`${NS}/caller`, 'http://web.shop/');
      return answer?.status === 200;
    });
    await local.node('n1').kubeProxy.kill();
    const [pod] = await bed.pods(NS, 'app=web');
    await bed.killProcess(`${NS}/${pod?.metadata.name}`, 'SIGKILL');
    await bed.waitFor('a restart', async () => {
      const found = (await bed.pods(NS, 'app=web')).find(
        ({ metadata }) => metadata.name === pod?.metadata.name,
      );
      return (
        found !== undefined &&
        isReady(found) &&
        found.status.containerStatuses?.[0]?.restartCount === 1
      );
    });
    const [answer] = await bed.fetch(`${NS}/caller`, 'http://web.shop/');
    answerOf(answer);
    await local.node('n1').kubeProxy.start();
  },
);

test('new images are for pods that start from now on', { skip }, async () => {
  const { code, stderr } = await bed.tryKubectl([
    '-n',
    NS,
    'run',
    'new',
    '--image=test/new:1',
    '--restart=Never',
  ]);
  assert.equal(code, 0, stderr);
  await bed.waitFor('the refusal', async () => {
    const reason = '-o=jsonpath={.status.containerStatuses[0].state.waiting.reason}';
    return (await bed.kubectl(['-n', NS, 'get', 'pod', 'new', reason])) === 'ErrImagePull';
  });
  local.setImages({ 'test/new:': { entrypoint: ['/bin/echo', 'new'] } });
  await bed.waitFor('its output', async () => (await bed.logs(`${NS}/new`)) === 'new\n');
});
