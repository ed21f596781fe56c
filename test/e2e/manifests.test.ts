/** `maesh up` follows manifests: kinds, changes, broken files, addresses. */

import assert from 'node:assert/strict';
import { linkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { call, seen } from './support/call.ts';
import { EndpointServer } from './support/endpoint.ts';
import { endpoints, Folder, pod, service } from './support/manifests.ts';
import { Mesh } from './support/mesh.ts';
import { until } from './support/until.ts';
import { ownRange } from '../support/ranges.ts';

const CIDR = ownRange().cidr;
const folder = new Folder();
const servers: EndpointServer[] = [];
let mesh: Mesh;
let one: EndpointServer;
let two: EndpointServer;

async function serve(name: string, address: string): Promise<EndpointServer> {
  const server = await EndpointServer.start(name, address);
  servers.push(server);
  return server;
}

/** Which endpoint answers, '' when none does. */
async function whoAnswers(address: string, port: number): Promise<string> {
  const answer = await call({ address, port });
  return answer.status === 200 ? (JSON.parse(answer.body) as { name: string }).name : '';
}

before(async () => {
  one = await serve('one', '127.1.80.1');
  two = await serve('two', '127.1.80.2');
  const inSlice = await serve('slice', '127.1.80.3');
  const inList = await serve('list', '127.1.80.4');
  folder.put(
    'many.yaml',
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'x', namespace: 'a' } },
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } },
    { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'c' } },
    { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'd' } },
    { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'd' } },
    service('a/plain', 20_001),
    endpoints('a/plain', [one]),
    service('a/sliced', 20_002),
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: 'sliced-1',
        namespace: 'a',
        labels: { 'kubernetes.io/service-name': 'sliced' },
      },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: inSlice.port }],
      endpoints: [{ addresses: [inSlice.address], conditions: { ready: true } }],
    },
  );
  folder.write(
    'list.json',
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [service('a/listed', 20_003), endpoints('a/listed', [inList])],
    }),
  );
  folder.put('again.yaml', { apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'e' } });
  folder.put('moving.yaml', service('b/moving', 20_010), endpoints('b/moving', [one]));
  folder.put('mends.yaml', service('b/mends', 20_011), endpoints('b/mends', [one]));
  mesh = await Mesh.start({ paths: [folder.path], cidr: CIDR });
});

after(async () => {
  await mesh.stop();
  for (const server of servers) server.stop();
  folder.remove();
});

test('maesh up serves Endpoints, EndpointSlices and items of a List in YAML and JSON', async () => {
  assert.equal(await whoAnswers(await mesh.addressOf('a/plain'), 20_001), 'one');
  assert.equal(await whoAnswers(await mesh.addressOf('a/sliced'), 20_002), 'slice');
  assert.equal(await whoAnswers(await mesh.addressOf('a/listed'), 20_003), 'list');
  assert.deepEqual(await mesh.problems(), []);
});

test('maesh up says once per kind which objects it skips', () => {
  const skipped = mesh.stderr.split('\n').filter((line) => line.includes('Skipped'));
  assert.equal(skipped.length, 2, mesh.stderr);
  assert.match(mesh.stderr, /kind LimitRange .*again\.yaml|kind LimitRange .*many\.yaml/);
  assert.match(mesh.stderr, /kind Ingress/);
});

test('a change of a manifest is live in under 100 ms', async (t) => {
  const address = await mesh.addressOf('b/moving');
  const figures: number[] = [];
  for (let round = 0; round < 6; round++) {
    const target = round % 2 === 0 ? two : one;
    const writtenMs = performance.now();
    folder.put('moving.yaml', service('b/moving', 20_010), endpoints('b/moving', [target]));
    await until(
      `requests reach ${target.name}`,
      async () => (await whoAnswers(address, 20_010)) === target.name,
    );
    figures.push(performance.now() - writtenMs);
  }
  figures.sort((a, b) => a - b);
  t.diagnostic(`write to first request at the new endpoint: ${show(figures)} ms`);
  // The quickest, since the machine runs other things too: what waits for a poll or a pause is never quick.
  assert.ok((figures[0] ?? Infinity) < 100, `took ${show(figures)} ms`);
});

test('a new file and a deleted file are live in under 100 ms', async (t) => {
  const added: number[] = [];
  const deleted: number[] = [];
  for (let round = 0; round < 5; round++) {
    let startMs = performance.now();
    folder.put('new.yaml', service('b/new', 20_012), endpoints('b/new', [one]));
    const address = await until('the Service is there', async () =>
      mesh.addressOf('b/new').catch(() => null),
    );
    await until('it answers', async () => (await whoAnswers(address, 20_012)) !== '');
    added.push(performance.now() - startMs);
    startMs = performance.now();
    folder.delete('new.yaml');
    await until('nothing listens there', () =>
      whoAnswers(address, 20_012).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
    deleted.push(performance.now() - startMs);
  }
  for (const list of [added, deleted]) list.sort((a, b) => a - b);
  t.diagnostic(`added: ${show(added)} ms; deleted: ${show(deleted)} ms`);
  assert.ok((added[0] ?? Infinity) < 100, `added in ${show(added)} ms`);
  assert.ok((deleted[0] ?? Infinity) < 100, `deleted in ${show(deleted)} ms`);
});

test('a broken file keeps its last good objects and names file, line and column until it mends', async () => {
  const address = await mesh.addressOf('b/mends');
  folder.write(
    'mends.yaml',
    'apiVersion: v1\nkind: Service\nmetadata:\n  name: [mends\nspec: {}\n',
  );
  const [problem] = await until('there is a problem', async () => {
    const problems = await mesh.problems();
    return problems.length > 0 ? problems : null;
  });
  assert.match(problem?.location ?? '', /mends\.yaml:[45]:\d+$/);
  assert.equal(await whoAnswers(address, 20_011), 'one');
  assert.equal(await mesh.status('/readyz'), 200);
  folder.put('mends.yaml', service('b/mends', 20_011), endpoints('b/mends', [two]));
  await until('the problem is gone', async () => (await mesh.problems()).length === 0);
  await until('it changed', async () => (await whoAnswers(address, 20_011)) === 'two');
  assert.match(mesh.stderr, /Fixed: /);
});

test('a Service without Endpoints reaches the ready Pods that match, named ports resolved per Pod', async () => {
  const ports = (port: number) => [{ name: 'web', containerPort: port }];
  const spec = {
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 20_013, targetPort: 'web' }],
  };
  const labels = { app: 'web' };
  folder.put(
    'pods.yaml',
    service('c/web', 20_013, { spec }),
    pod('c/web-1', one.address, { labels, ports: ports(one.port) }),
    pod('c/web-2', two.address, { labels, ports: ports(two.port) }),
    pod('c/web-3', '127.1.80.9', { labels, ports: ports(1), ready: false }),
    pod('c/other', '127.1.80.8', { labels: { app: 'other' }, ports: ports(1) }),
  );
  const address = await until('the Service is there', async () =>
    mesh.addressOf('c/web').catch(() => null),
  );
  await until('it answers', async () => (await whoAnswers(address, 20_013)) !== '');
  const names = new Set<string>();
  for (let i = 0; i < 20; i++) names.add((await seen({ address, port: 20_013 })).name);
  assert.deepEqual([...names].toSorted(), ['one', 'two']);
});

test('a request under way outlives the removal of its endpoint and of its Service', async () => {
  const held: (() => void)[] = [];
  const slow = await EndpointServer.start('slow', '127.1.80.5', (request, response) => {
    if (request.url === '/held') held.push(() => response.end('late'));
    else response.end();
  });
  servers.push(slow);
  for (const objects of [[service('b/slow', 20_015), endpoints('b/slow', [])], []]) {
    folder.put('slow.yaml', service('b/slow', 20_015), endpoints('b/slow', [slow]));
    const address = await until('it is there', async () =>
      mesh.addressOf('b/slow').catch(() => null),
    );
    await until('it answers', async () => (await call({ address, port: 20_015 })).status === 200);
    const answer = call({ address, port: 20_015, path: '/held' });
    await until('the request is under way', () => held.length > 0);
    if (objects.length > 0) folder.put('slow.yaml', ...objects);
    else folder.delete('slow.yaml');
    await until('new requests go nowhere', () =>
      call({ address, port: 20_015 }).then(
        ({ status }) => status === 503,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
    held.pop()?.();
    const { status, body } = await answer;
    assert.deepEqual([status, body], [200, 'late']);
  }
});

test('SIGHUP reads the manifests again', async () => {
  const { version } = await mesh.json<{ version: number }>('/api/snapshot');
  // A write through another link to the same file is one that no watch on the folder hears of.
  const elsewhere = new Folder();
  const alias = join(elsewhere.path, 'alias');
  linkSync(join(folder.path, 'moving.yaml'), alias);
  writeFileSync(alias, JSON.stringify(service('b/moving', 20_014)));
  mesh.child.kill('SIGHUP');
  await until(
    'a new version is served',
    async () => (await mesh.json<{ version: number }>('/api/snapshot')).version > version,
  );
  elsewhere.remove();
  assert.equal(mesh.child.exitCode, null);
});

test('each Service keeps its address through restarts and whatever the order of objects', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `d/s${i}`);
  const list = new Folder();
  const range = ownRange();
  const addresses = async (order: readonly string[]): Promise<unknown> => {
    list.put('all.yaml', ...order.map((key) => service(key, 20_020)));
    const other = await Mesh.start({ paths: [list.path], cidr: range.cidr });
    try {
      const { services } = await other.json<{ services: { key: string; address: string }[] }>(
        '/api/services',
      );
      const found = services.map(({ key, address }) => `${key} ${address}`).toSorted();
      assert.equal(new Set(services.map(({ address }) => address)).size, names.length);
      for (const { address } of services)
        assert.ok(address.startsWith(range.host(1).slice(0, -1)), address);
      return found;
    } finally {
      await other.stop();
    }
  };
  try {
    const first = await addresses(names);
    assert.deepEqual(await addresses(names.toReversed()), first);
  } finally {
    list.remove();
  }
});

function show(figures: readonly number[]): string {
  return figures.map((ms) => ms.toFixed(0)).join(', ');
}
