/** What a user does with the mesh, from the installation to its end, on a real cluster. */

import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { after, before, test } from 'node:test';
import { answerOf, answersOf, tell } from './answer.ts';
import { appObjects, callerPod, Load, namespaceObjects } from './app-manifests.ts';
import type { Fetched } from './bed/bed.ts';
import { needsMinor } from './bed/tools.ts';
import { MESH, MeshBed } from './mesh/mesh.ts';

const NS = 'shop';
const HOST = 'web.shop.maesh';
const WEB = `http://${HOST}/`;
let mesh: MeshBed;
/** That callers 1 and 2 are on: n1 and n2 in the cluster of the bed. */
let nodes: readonly [string, string];
/** The DNS of the cluster before the mesh. */
let corefileBefore = '';

before(async () => {
  mesh = await MeshBed.start({ nodes: 2 });
  const { bed } = mesh;
  const [one, two] = await bed.nodes();
  assert.ok(one !== undefined && two !== undefined, 'the cluster has fewer than two nodes');
  nodes = [one, two];
  corefileBefore = await mesh.corefile();
  await bed.apply(
    ...namespaceObjects(NS),
    ...appObjects({ namespace: NS, name: 'web', replicas: 4 }),
    callerPod({ namespace: NS, name: 'caller-1', node: one }),
    callerPod({ namespace: NS, name: 'caller-2', node: two }),
  );
  await bed.readyPods(NS, 'app=web', 4);
  for (const name of ['caller-1', 'caller-2']) await bed.readyPods(NS, `app=${name}`, 1);
});

after(async () => {
  // A cluster that was there before stays as it was.
  if (mesh.bed.local === undefined) {
    await mesh.uninstall('--ignore-not-found');
    await mesh.bed.kubectl(['delete', 'namespace', NS, MESH, '--ignore-not-found']);
  }
  await mesh.stop();
});

async function ask(count: number, url = WEB, caller = 'caller-1'): Promise<readonly Fetched[]> {
  return await mesh.bed.fetch(`${NS}/${caller}`, url, { count });
}

async function annotate(...pairs: readonly string[]): Promise<void> {
  await mesh.bed.kubectl(['-n', NS, 'annotate', '--overwrite', 'service', 'web', ...pairs]);
}

async function behave(pod: string, behaviour: object): Promise<void> {
  const found = (await mesh.bed.pods(NS, 'app=web')).find(({ metadata }) => metadata.name === pod);
  const url = `http://${found?.status.podIP}:8080/behave`;
  const options = { method: 'POST', body: JSON.stringify(behaviour) };
  const [done] = await mesh.bed.fetch(`${NS}/caller-1`, url, options);
  assert.equal(done?.status, 200, tell(done));
}

test('one Helm command installs it into a namespace that admits only restricted Pods', async () => {
  await mesh.bed.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: MESH, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  });
  await mesh.install();
  assert.equal((await mesh.agents()).length, 2);
  assert.equal((await mesh.controllers()).length, 2);
  const shadow = await mesh.published(`${NS}/web`);
  assert.notEqual(isIP(shadow.spec.clusterIP), 0);
});

test('its Pods have no capability, cannot get any, and run under the default seccomp profile', async () => {
  for (const { metadata } of [...(await mesh.agents()), ...(await mesh.controllers())]) {
    const script = 'require("node:fs").readFileSync("/proc/1/status", "utf8")';
    const { code, stdout, stderr } = await mesh.bed.exec(`${MESH}/${metadata.name}`, [
      'node',
      '-p',
      script,
    ]);
    assert.equal(code, 0, stderr);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      assert.match(stdout, new RegExp(`^${set}:\\t0{16}$`, 'm'));
    assert.match(stdout, /^NoNewPrivs:\t1$/m);
    assert.match(stdout, /^Seccomp:\t2$/m);
  }
});

test('a Pod of each node calls the plain name directly and the mesh name through the mesh', async () => {
  const { bed } = mesh;
  for (const caller of ['caller-1', 'caller-2']) {
    await mesh.named(`${NS}/${caller}`, HOST);
    const direct = answersOf(await ask(4, 'http://web.shop/', caller));
    assert.ok(direct.every(({ headers }) => headers['x-forwarded-for'] === undefined));
    const meshed = answersOf(await ask(20, WEB, caller));
    const [pod] = await bed.pods(NS, `app=${caller}`);
    for (const { headers, host } of meshed) {
      assert.equal(headers['x-forwarded-for'], pod?.status.podIP);
      assert.equal(host, HOST);
    }
    assert.ok(new Set(meshed.map(({ pod: name }) => name)).size >= 2);
  }
  for (const url of ['http://web.shop.traefik.mesh/', 'http://web.shop.maesh:80/any?x=1']) {
    await mesh.named(`${NS}/caller-1`, new URL(url).hostname);
    answersOf(await ask(1, url));
  }
  const [nothing] = await ask(1, 'http://nothing.shop.maesh/');
  assert.equal(nothing?.error, 'ENOTFOUND');
});

test('calls stay on the node of the caller', { skip: needsMinor(34) }, async () => {
  const both = async (): Promise<number[]> =>
    await Promise.all(nodes.map((node) => mesh.carried(node, `${NS}/web`)));
  await mesh.bed.waitFor('the path on one node', async () => {
    const before = await both();
    await ask(20);
    return (await both()).map((count, i) => count - (before[i] ?? 0)).join() === '20,0';
  });
});

test('annotations take effect while callers call: retries, rate limit, breaker', async () => {
  const { bed } = mesh;
  const pods = (await bed.pods(NS, 'app=web')).map(({ metadata }) => metadata.name);
  for (const pod of pods) await behave(pod, { failPercent: 25, status: 503 });
  await bed.waitFor('failures to be seen', async () =>
    (await ask(40)).some(({ status }) => status === 503),
  );
  await annotate('maesh.dev/retry-attempts=4', 'maesh.dev/retry-statuses=503');
  await bed.waitFor('no failure to be seen', async () =>
    (await ask(40)).every(({ status }) => status === 200),
  );
  for (const pod of pods) await behave(pod, { failPercent: 0 });
  await annotate('maesh.dev/ratelimit-average=1', 'maesh.dev/ratelimit-burst=1');
  const limited = await bed.waitFor('the rate limit', async () => {
    const seen = await ask(5);
    return seen.some(({ status }) => status === 429) && seen;
  });
  assert.ok(limited.find(({ status }) => status === 429)?.headers['retry-after'] !== undefined);
  await annotate(
    'maesh.dev/ratelimit-average-',
    'maesh.dev/ratelimit-burst-',
    'maesh.dev/retry-attempts-',
    'maesh.dev/retry-statuses-',
    'maesh.dev/circuit-breaker-expression=ResponseCodeRatio(500, 600, 0, 600) > 0.5',
  );
  for (const pod of pods) await behave(pod, { failPercent: 100, status: 500 });
  await bed.waitFor('the breaker to open', async () =>
    (await ask(40)).some(
      ({ status, headers }) => status === 503 && headers['retry-after'] !== undefined,
    ),
  );
  for (const pod of pods) await behave(pod, { failPercent: 0 });
  await annotate('maesh.dev/circuit-breaker-expression-');
  await bed.waitFor('all to be well', async () =>
    (await ask(20)).every(({ status }) => status === 200),
  );
});

test('a canary takes the share that the weight of its Pod says', async () => {
  const { bed } = mesh;
  const [canary = ''] = (await bed.pods(NS, 'app=web')).map(({ metadata }) => metadata.name);
  const weigh = async (weight: string): Promise<void> => {
    await bed.kubectl([
      '-n',
      NS,
      'annotate',
      '--overwrite',
      'pod',
      canary,
      `maesh.dev/weight${weight}`,
    ]);
  };
  const share = async (count: number): Promise<number> => {
    const pods = answersOf(await ask(count)).map(({ pod }) => pod);
    return pods.filter((pod) => pod === canary).length / count;
  };
  // Else only Pods of the caller's node share, and the canary may be on another.
  await annotate('maesh.dev/locality=none');
  await weigh('=0');
  await bed.waitFor('nothing to reach the canary', async () => (await share(60)) === 0);
  // Beside three Pods of weight 100 that is one request in eleven.
  await weigh('=30');
  await bed.waitFor('something to reach the canary', async () => (await share(60)) > 0);
  const part = await share(660);
  assert.ok(part > 0.05 && part < 0.15, `${part} of the requests`);
  await weigh('-');
  await annotate('maesh.dev/locality-');
});

test('a bad annotation is an Event on the Service, and costs that policy only', async () => {
  const { bed } = mesh;
  await annotate('maesh.dev/retry-attempts=lots');
  await bed.waitFor('the Event', async () => {
    const events = await bed.kubectl(['-n', NS, 'events', '--for', 'service/web']);
    return events.includes('retry-attempts') && events.includes('lots');
  });
  answersOf(await ask(4));
  await annotate('maesh.dev/retry-attempts-');
});

test('a new Service has a mesh name, and a removed one none', async () => {
  const { bed } = mesh;
  await bed.apply(...appObjects({ namespace: NS, name: 'late', replicas: 1 }));
  await mesh.published(`${NS}/late`);
  await bed.readyPods(NS, 'app=late', 1);
  await bed.waitFor('late.shop.maesh', async () => {
    const [first] = await ask(1, 'http://late.shop.maesh/');
    return first?.status === 200;
  });
  await bed.kubectl(['-n', NS, 'delete', 'service', 'late']);
  await bed.waitFor('no late.shop.maesh', async () => {
    const [first] = await ask(1, 'http://late.shop.maesh/');
    return first?.error === 'ENOTFOUND';
  });
  // Agents hear of it as soon as the object does.
  await bed.waitFor('its address to be kept for a while', async () => {
    const shadow = await mesh.shadow(`${NS}/late`);
    return shadow?.metadata.annotations?.['maesh.dev/state'] === 'retired';
  });
});

test('a headless Service balances under its mesh name, and its Pods have names of their own', async () => {
  const { bed } = mesh;
  await bed.apply(
    ...appObjects({ namespace: NS, name: 'db', replicas: 2, service: { clusterIP: 'None' } }),
  );
  const pods = await bed.readyPods(NS, 'app=db', 2);
  await bed.waitFor('db.shop.maesh', async () => {
    // Each caller is led to the pods of its own node first.
    const seen = [
      ...(await ask(6, 'http://db.shop.maesh/')),
      ...(await ask(6, 'http://db.shop.maesh/', 'caller-2')),
    ];
    const names = new Set(answersOf(seen).map(({ pod }) => pod));
    return names.size === 2;
  });
  for (const { metadata } of pods) {
    const host = `${metadata.name}.db.shop.maesh`;
    await mesh.named(`${NS}/caller-1`, host);
    const [one] = await ask(1, `http://${host}:8080/`);
    assert.equal(answerOf(one).pod, metadata.name);
  }
});

test('uninstalled while callers run: plain names go on, and nothing is left behind', async () => {
  const { bed } = mesh;
  const load = await Load.start(bed, {
    namespace: NS,
    name: 'plain-load',
    spec: { url: 'http://web.shop/', connections: 4, thinkMs: 5, perConnection: 50 },
  });
  await mesh.uninstall();
  await load.more(200);
  const { failed, reasons } = await load.stop();
  assert.equal(failed, 0, JSON.stringify(reasons));
  assert.equal(await mesh.corefile(), corefileBefore);
  assert.deepEqual(await mesh.shadows(), []);
  // Pods of the mesh may still be ending when Helm is done.
  const kinds = 'all,configmaps,secrets,leases,serviceaccounts,roles,rolebindings';
  const ours = ['-A', '-l', 'app.kubernetes.io/part-of=maesh', '-o', 'name'];
  await bed.waitFor(
    'nothing to be left',
    async () => (await bed.kubectl(['get', kinds, ...ours])) === '',
  );
});

test('and installed again, all names are there again', async () => {
  await mesh.install();
  await mesh.published(`${NS}/web`);
  await mesh.named(`${NS}/caller-1`, HOST);
  answersOf(await ask(4));
});
