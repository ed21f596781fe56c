import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { seededRandom } from '../../base/random.ts';
import type { Kind, KubeObject } from '../object.ts';
import { ALL_KINDS } from '../kind/table.ts';
import { Store, refKey } from '../store.ts';
import { FakeApiServer, until } from './api-server.fixture.ts';
import { KubeClient } from './client.ts';
import type { FakeObject } from './fake-objects.fixture.ts';
import { ClusterSource } from './source.ts';
import type { ClusterSourceOptions, KindStatus } from './source.ts';
import { pick, watchedKinds } from './watched-kind.ts';

const SLICES = 'discovery.k8s.io/v1/endpointslices';

class Bed {
  readonly server: FakeApiServer;
  readonly clock = new ManualClock();
  readonly store = new Store();
  readonly notices: string[] = [];
  /** What the store told, a line per batch. */
  readonly told: string[] = [];
  changes = 0;
  backs = 0;
  readonly client: KubeClient;
  readonly source: ClusterSource;

  constructor(server: FakeApiServer, options: Partial<ClusterSourceOptions> = {}) {
    this.server = server;
    this.client = new KubeClient(server.connection(), { clock: this.clock });
    this.store.subscribe((refs) => {
      this.told.push(
        refs
          .map((ref) => refKey(ref))
          .toSorted()
          .join(' '),
      );
    });
    this.source = new ClusterSource({
      client: this.client,
      store: this.store,
      clock: this.clock,
      random: seededRandom(1),
      onNotice: (text) => this.notices.push(text),
      onChange: () => {
        this.changes += 1;
      },
      onBack: () => {
        this.backs += 1;
      },
      ...options,
    });
  }

  async stop(): Promise<void> {
    await this.source.stop();
    this.client.close();
    await this.server.stop();
  }

  status(kind: Kind): KindStatus | undefined {
    return this.source.status().find((each) => each.kind === kind);
  }

  has(kind: Kind, namespace: string, name: string): boolean {
    return this.store.get(kind, namespace, name) !== undefined;
  }

  /** Lets time go by, 20 ms a turn, until it is so. */
  later(isSo: () => boolean): Promise<void> {
    return until(() => {
      this.clock.advance(20);
      return isSo();
    }, String(isSo));
  }

  /** All watches are open. */
  settled(): Promise<void> {
    return this.later(
      () =>
        this.source.status().every(({ lastError }) => lastError === null) &&
        this.server.watchers >= 7,
    );
  }
}

async function setUp(
  t: TestContext,
  options: Partial<ClusterSourceOptions> = {},
  prepare: (server: FakeApiServer) => void = fill,
): Promise<Bed> {
  const server = await FakeApiServer.start();
  prepare(server);
  const bed = new Bed(server, options);
  t.after(() => bed.stop());
  return bed;
}

/** A cluster with one of each. */
function fill(server: FakeApiServer): void {
  server.set('v1/namespaces', { metadata: { name: 'shop' } });
  server.set('v1/namespaces', { metadata: { name: 'other' } });
  server.set('v1/nodes', node('n1'));
  server.set('v1/serviceaccounts', { metadata: { name: 'web', namespace: 'shop' } });
  server.set('v1/services', service('web'));
  server.set('v1/services', service('web', 'other'));
  server.set('v1/pods', pod('web-1'));
  server.set(SLICES, slice('web-x', 'web'));
}

function configMap(name: string, labels: Record<string, string>): FakeObject {
  return { metadata: { name, namespace: 'shop', labels }, data: { 'ca.crt': 'PEM' } };
}

function node(name: string): FakeObject {
  return { metadata: { name, labels: { 'topology.kubernetes.io/zone': 'z1' } } };
}

function service(name: string, namespace = 'shop', port = 80): FakeObject {
  return {
    metadata: {
      name,
      namespace,
      annotations: {
        'maesh.dev/retry-attempts': '2',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
      },
    },
    spec: { type: 'ClusterIP', clusterIP: '10.96.0.9', selector: { app: name }, ports: [{ port }] },
  };
}

function pod(name: string, phase = 'Running', podIP = '10.244.1.5'): FakeObject {
  return {
    metadata: { name, namespace: 'shop', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [{ ports: [{ containerPort: 80 }] }] },
    status: { phase, podIP, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

function slice(name: string, of: string, address = '10.244.1.5'): FakeObject {
  return {
    metadata: {
      name,
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': of, 'endpointslice.kubernetes.io/managed-by': 'x' },
      annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': name },
    },
    addressType: 'IPv4',
    ports: [{ name: '', port: 80, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true }, nodeName: 'n1', zone: 'z1' }],
  };
}

function within(namespace: string, object: FakeObject): FakeObject {
  return { ...object, metadata: { ...object.metadata, namespace } };
}

test('without the right to read ConfigMaps all else is served, and a problem says so', async (t) => {
  const bed = await setUp(t, {}, (server) => {
    fill(server);
    server.set('v1/configmaps', configMap('web-ca', { 'maesh.dev/upstream-ca': 'true' }));
    server.set('v1/configmaps', configMap('other', {}));
    server.forbidden.add('v1/configmaps');
  });
  await bed.source.start();
  assert.deepEqual(
    bed.source.problems().map(({ message }) => message),
    ['Cannot read any ConfigMap: the API server says 403: v1/configmaps is forbidden'],
  );
  assert.ok(bed.told[0]!.includes('Service/shop/web'));
  bed.server.forbidden.clear();
  await bed.later(() => bed.status('ConfigMap')?.objects === 1);
  assert.equal(bed.store.get('ConfigMap', 'shop', 'web-ca')?.data['ca.crt'], 'PEM');
  await bed.later(() => bed.source.problems().length === 0);
});

function tlsSecret(name: string, namespace: string, type = 'kubernetes.io/tls'): FakeObject {
  const data = { 'tls.crt': 'UEVN', 'tls.key': 'S0VZ' };
  return { metadata: { name, namespace }, type, data };
}

test('Secrets are watched in the namespaces that are named, those of TLS alone, and nowhere by default', async (t) => {
  const prepare = (server: FakeApiServer): void => {
    fill(server);
    for (const namespace of ['shop', 'other', 'bank'])
      server.set('v1/secrets', tlsSecret('web-tls', namespace));
    server.set('v1/secrets', tlsSecret('token', 'shop', 'Opaque'));
  };
  const none = await setUp(t, {}, prepare);
  await none.source.start();
  assert.deepEqual([...none.store.list('Secret')], []);
  assert.ok(none.server.requests.every(({ path }) => !path.includes('secrets')));

  const bed = await setUp(t, { secretNamespaces: ['shop', 'bank', 'shop'] }, prepare);
  await bed.source.start();
  const names = [...bed.store.list('Secret')].map(({ meta }) => `${meta.namespace}/${meta.name}`);
  assert.deepEqual(names.toSorted(), ['bank/web-tls', 'shop/web-tls']);
  const asked = bed.server.requests.filter(({ path }) => path.includes('secrets'));
  assert.ok(asked.length >= 2);
  for (const { path, query } of asked) {
    assert.match(path, /^\/api\/v1\/namespaces\/(shop|bank)\/secrets$/);
    assert.equal(query.get('fieldSelector'), 'type=kubernetes.io/tls');
  }
  bed.server.remove('v1/secrets', 'shop', 'web-tls');
  bed.server.set('v1/secrets', tlsSecret('api-tls', 'shop'));
  await bed.later(
    () => bed.has('Secret', 'shop', 'api-tls') && !bed.has('Secret', 'shop', 'web-tls'),
  );

  const watched = await setUp(
    t,
    { namespaces: ['shop'], secretNamespaces: ['shop', 'bank'] },
    prepare,
  );
  await watched.source.start();
  assert.deepEqual(
    [...watched.store.list('Secret')].map(({ meta }) => meta.namespace),
    ['shop'],
  );
});

test('without the right to Secrets all else is served, nothing waits, and the Role that is missing is told', async (t) => {
  const bed = await setUp(t, { secretNamespaces: ['shop'] }, (server) => {
    fill(server);
    server.set('v1/secrets', tlsSecret('web-tls', 'shop'));
    server.forbidden.add('v1/secrets');
  });
  await bed.source.start();
  const [problem] = bed.source.problems();
  assert.match(
    problem!.message,
    /^Cannot read any Secret of namespace shop: the API server says 403/,
  );
  assert.match(problem!.remedy, /RoleBinding maesh-controller-secrets are missing/);
  const waited = bed.source.status().filter(({ synced, isOptional }) => !synced && !isOptional);
  assert.deepEqual(waited, []);
  bed.server.forbidden.clear();
  await bed.later(() => bed.has('Secret', 'shop', 'web-tls') && bed.source.problems().length === 0);
});

test('start() resolves when all is in the store, which was told in one batch', async (t) => {
  const bed = await setUp(t);
  await bed.source.start();
  assert.deepEqual(bed.told, [
    'EndpointSlice/shop/web-x Namespace//other Namespace//shop Node//n1 Pod/shop/web-1 Service/other/web Service/shop/web ServiceAccount/shop/web',
  ]);
  assert.deepEqual(
    bed.source.status().map(({ kind, synced, objects }) => `${kind} ${synced} ${objects}`),
    [
      'Service true 2',
      'EndpointSlice true 1',
      'Pod true 1',
      'Node true 1',
      'Namespace true 2',
      'ServiceAccount true 1',
      'ConfigMap true 0',
    ],
  );
  assert.deepEqual(bed.source.problems(), []);
  assert.deepEqual(bed.notices, []);
  assert.equal(bed.source.features?.version, 'v1.36.3');
});

test('only annotations of the mesh are kept, and of slices none, so that their clock tells nobody', async (t) => {
  const bed = await setUp(t);
  await bed.source.start();
  assert.deepEqual(bed.store.get('Service', 'shop', 'web')?.meta.annotations, {
    'maesh.dev/retry-attempts': '2',
  });
  const meta = bed.store.get('EndpointSlice', 'shop', 'web-x')?.meta;
  assert.deepEqual(meta?.annotations, {});
  assert.deepEqual(meta?.labels, { 'kubernetes.io/service-name': 'web' });
  await bed.settled();
  const { metadata, ...rest } = slice('web-x', 'web');
  bed.server.set(SLICES, { ...rest, metadata: { ...metadata, annotations: { now: 'later' } } });
  bed.server.set('v1/services', service('last'));
  await bed.later(() => bed.has('Service', 'shop', 'last'));
  assert.deepEqual(bed.told.slice(1), ['Service/shop/last']);
});

test('events within 10 ms are one batch', async (t) => {
  const bed = await setUp(t);
  await bed.source.start();
  await until(() => bed.server.watchers === 6);
  const before = bed.server.objects('v1/pods').length;
  for (let i = 0; i < 20; i++) bed.server.set('v1/pods', pod(`p${i}`));
  bed.server.remove('v1/pods', 'shop', 'p3');
  let turns = 200;
  await until(() => turns-- === 0);
  assert.equal(bed.told.length, 1, 'nothing is told before the time is over');
  bed.clock.advance(10);
  assert.equal(bed.told.length, 2);
  assert.equal(bed.told[1]?.split(' ').length, 19);
  assert.equal(bed.status('Pod')?.objects, before + 19);
});

test('pods that are done are not asked for, and those that finish leave', async (t) => {
  const bed = await setUp(t, {}, (server) => {
    server.set('v1/pods', pod('job', 'Succeeded'));
    server.set('v1/pods', pod('web-1'));
  });
  await bed.source.start();
  await bed.settled();
  assert.equal(bed.status('Pod')?.objects, 1);
  bed.server.set('v1/pods', pod('web-1', 'Failed'));
  await bed.later(() => !bed.has('Pod', 'shop', 'web-1'));
});

test('an object that cannot be used is a problem and leaves the store, until it is mended or gone', async (t) => {
  const bed = await setUp(t);
  await bed.source.start();
  await bed.settled();
  const bad = { ...service('web'), spec: { type: 'Strange' } };
  bed.server.set('v1/services', bad);
  await bed.later(() => bed.source.problems().length === 1);
  const [problem] = bed.source.problems();
  assert.equal(problem?.object, 'Service shop/web');
  assert.equal(problem.field, 'spec.type');
  assert.equal(problem.value, 'Strange');
  assert.equal(bed.has('Service', 'shop', 'web'), false);
  assert.equal(bed.status('Service')?.objects, 1);
  const changes = bed.changes;
  bed.server.set('v1/services', service('web'));
  await bed.later(() => bed.has('Service', 'shop', 'web'));
  assert.deepEqual(bed.source.problems(), []);
  assert.ok(bed.changes > changes);
  bed.server.set('v1/services', bad);
  await bed.later(() => bed.source.problems().length === 1);
  bed.server.remove('v1/services', 'shop', 'web');
  await bed.later(() => bed.source.problems().length === 0);
});

test('with namespaces, only theirs are asked for', async (t) => {
  const bed = await setUp(t, { namespaces: ['shop', 'later', 'shop'] });
  await bed.source.start();
  const kinds = ['Service', 'Namespace', 'Node'] as const;
  const names = kinds.map((kind) => [...bed.store.list(kind)].map(({ meta }) => meta.name));
  assert.deepEqual(names, [['web'], ['shop'], ['n1']]);
  const paths = new Set(bed.server.requests.map(({ path }) => path));
  assert.ok(paths.has('/api/v1/namespaces/later/pods'));
  assert.ok(!paths.has('/api/v1/pods'));
  bed.server.set('v1/services', service('new', 'later'));
  await bed.later(() => bed.has('Service', 'later', 'new'));
  const many = Array.from({ length: 101 }, (_, i) => `n${i}`);
  assert.throws(() => new Bed(bed.server, { namespaces: many }), /name at most 100, or none/);
});

test('of namespaces that are ignored no Services and endpoints are asked for, all else is', async (t) => {
  const bed = await setUp(t, { ignoreNamespaces: ['maesh', 'other'] }, (server) => {
    fill(server);
    server.set('v1/services', service('shadow-1', 'maesh'));
    server.set('v1/pods', within('maesh', pod('agent-1')));
    server.set(SLICES, within('maesh', slice('shadow-1-x', 'shadow-1')));
  });
  await bed.source.start();
  assert.equal(
    bed.told[0],
    'EndpointSlice/shop/web-x Namespace//other Namespace//shop Node//n1 Pod/maesh/agent-1 Pod/shop/web-1 Service/shop/web ServiceAccount/shop/web',
  );
  bed.server.set(SLICES, within('maesh', slice('shadow-2-x', 'shadow-2')));
  bed.server.set('v1/services', service('late'));
  await bed.later(() => bed.has('Service', 'shop', 'late'));
  assert.ok(!bed.has('EndpointSlice', 'maesh', 'shadow-2-x'));
});

test('one Service of an ignored namespace is read with its endpoints, and stays when all is listed anew', async (t) => {
  const extra = { namespace: 'maesh', name: 'maesh-probe' };
  const bed = await setUp(t, { ignoreNamespaces: ['maesh'], extra }, (server) => {
    fill(server);
    for (const name of ['maesh-probe', 'shadow-1']) {
      server.set('v1/services', service(name, 'maesh'));
      server.set(SLICES, within('maesh', slice(`${name}-x`, name)));
    }
  });
  await bed.source.start();
  const isRight = (): boolean =>
    bed.has('Service', 'maesh', 'maesh-probe') &&
    bed.has('EndpointSlice', 'maesh', 'maesh-probe-x') &&
    !bed.has('Service', 'maesh', 'shadow-1') &&
    !bed.has('EndpointSlice', 'maesh', 'shadow-1-x');
  assert.ok(isRight());
  bed.told.length = 0;
  bed.server.compact();
  bed.server.endWatches();
  bed.server.set('v1/services', service('late'));
  await bed.later(() => bed.has('Service', 'shop', 'late'));
  await bed.settled();
  assert.ok(isRight());
  assert.ok(!bed.told.join().includes('maesh-probe'), 'it never went');
});

test('a server without slices is read from Endpoints, with one notice', async (t) => {
  const bed = await setUp(t, {}, (server) => {
    server.version = '1.16.15';
    server.served.delete(SLICES);
    server.set('v1/endpoints', {
      metadata: { name: 'web', namespace: 'shop' },
      subsets: [{ addresses: [{ ip: '10.244.1.5' }], ports: [{ port: 80 }] }],
    });
  });
  await bed.source.start();
  assert.ok(bed.has('Endpoints', 'shop', 'web'));
  assert.equal(bed.notices.length, 1);
  assert.match(bed.notices[0] ?? '', /^Kubernetes v1\.16\.15: maesh is made for 1\.21 .*Endpoints/);
  await bed.settled();
  bed.server.served.add(SLICES);
  bed.server.set(SLICES, slice('web-x', 'web'));
  bed.clock.advance(600_000);
  await bed.later(() => bed.has('EndpointSlice', 'shop', 'web-x'));
  assert.equal(bed.has('Endpoints', 'shop', 'web'), false);
  assert.deepEqual(bed.told.at(-1), 'EndpointSlice/shop/web-x Endpoints/shop/web');
});

test('what an older, newer or silent server lacks is one notice', async (t) => {
  const versions: readonly (readonly [string, RegExp | null])[] = [
    ['1.21.14', /^Kubernetes v1\.21\.14: endpoints that shut down .*; calls may reach/],
    ['1.33.1', /^Kubernetes v1\.33\.1: calls may reach the agent of another node/],
    ['1.34.0', null],
    ['1.37.0', /is newer than 1\.36/],
  ];
  for (const [version, notice] of versions) {
    const bed = await setUp(t, {}, (server) => {
      server.version = version;
    });
    await bed.source.start();
    assert.equal(bed.notices.length, notice === null ? 0 : 1);
    if (notice !== null) assert.match(bed.notices[0] ?? '', notice);
  }
  const bed = await setUp(t);
  bed.server.answers.push({ status: 403, reason: 'Forbidden' }, { status: 403 });
  await bed.source.start();
  assert.match(bed.notices[0] ?? '', /^Cannot tell the version of this Kubernetes/);
  assert.ok(bed.source.status().some(({ kind }) => kind === 'EndpointSlice'));
});

test('slices of v1beta1 are read, and found again when an upgrade takes that version away', async (t) => {
  const beta = 'discovery.k8s.io/v1beta1/endpointslices';
  const bed = await setUp(t, {}, (server) => {
    server.version = '1.20.1';
    server.served.delete(SLICES);
    server.served.add(beta);
    server.set(beta, {
      ...slice('web-x', 'web'),
      endpoints: [
        {
          addresses: ['10.244.1.5'],
          topology: { 'kubernetes.io/hostname': 'n7', 'topology.kubernetes.io/zone': 'z7' },
        },
      ],
    });
  });
  await bed.source.start();
  const [endpoint] = bed.store.get('EndpointSlice', 'shop', 'web-x')?.endpoints ?? [];
  assert.equal(`${endpoint?.nodeName} ${endpoint?.zone}`, 'n7 z7');
  await bed.settled();
  await bed.server.down();
  bed.server.served.delete(beta);
  bed.server.served.add(SLICES);
  bed.server.set(SLICES, slice('web-y', 'web'));
  await bed.server.up();
  await bed.later(() => bed.has('EndpointSlice', 'shop', 'web-y'));
  assert.equal(bed.has('EndpointSlice', 'shop', 'web-x'), false);
  assert.equal(bed.source.status().find(({ kind }) => kind === 'EndpointSlice')?.objects, 1);
  assert.ok(
    bed.told.slice(1).every((line) => line !== 'EndpointSlice/shop/web-x'),
    'never without both',
  );
});

test('a kind that may not be read is a problem that names it, and start() waits', async (t) => {
  const bed = await setUp(t);
  let isStarted = false;
  bed.server.forbidden.add('v1/pods');
  const starting = bed.source.start().then(() => {
    isStarted = true;
  });
  await bed.later(() => bed.source.problems().length === 1);
  const [problem] = bed.source.problems();
  assert.equal(
    problem?.message,
    'Cannot read any Pod: the API server says 403: v1/pods is forbidden',
  );
  assert.equal(problem.remedy, 'let the service account of maesh get, list and watch pods');
  assert.match(bed.status('Pod')?.lastError ?? '', /403 Forbidden/);
  await until(() => bed.server.watchers === 6);
  assert.equal(isStarted, false);
  assert.deepEqual(bed.told, []);
  bed.server.forbidden.clear();
  await bed.later(() => isStarted);
  await starting;
  await bed.settled();
  assert.deepEqual(bed.source.problems(), []);
});

test('a server that is away at the start is waited for, and stop() ends the wait', async (t) => {
  const bed = await setUp(t);
  await bed.server.down();
  let isStarted = false;
  const starting = bed.source.start().then(() => {
    isStarted = true;
  });
  let turns = 500;
  await bed.later(() => turns-- === 0);
  await bed.server.up();
  await bed.later(() => isStarted);
  await starting;
  const other = await setUp(t);
  await other.server.down();
  const outcome = assert.rejects(other.source.start(), /Stopped watching the cluster/);
  await other.source.stop();
  await outcome;
});

test('a server that is away for a minute costs nothing that is in the store', async (t) => {
  const bed = await setUp(t);
  await bed.source.start();
  await bed.settled();
  await bed.server.down();
  let turns = 3_000;
  await bed.later(() => turns-- === 0);
  assert.equal(bed.told.length, 1);
  assert.ok(bed.source.status().every(({ synced, lastError }) => synced && lastError !== null));
  bed.server.set('v1/services', service('new'));
  bed.server.remove('v1/pods', 'shop', 'web-1');
  bed.server.compact();
  await bed.server.up();
  assert.equal(bed.backs, 0);
  await bed.later(() => bed.source.status().some(({ lastError }) => lastError === null));
  assert.ok(bed.backs > 0);
  const backAtMs = bed.clock.nowMs();
  await bed.later(() => bed.has('Service', 'shop', 'new') && !bed.has('Pod', 'shop', 'web-1'));
  await bed.settled();
  assert.ok(bed.clock.nowMs() - backAtMs < 3_000, 'the first kind that is back brings the others');
  assert.equal(bed.status('Service')?.objects, 3);
});

// Whatever happens, in whatever order

type Step = (bed: Bed) => Promise<void> | void;

const COLLECTIONS = ['v1/services', 'v1/pods', 'v1/namespaces', SLICES] as const;

function make(collection: string, name: string, variant: number): FakeObject {
  if (collection === 'v1/services') {
    return variant === 0
      ? { ...service(name), spec: { type: 'Bad' } }
      : service(name, 'shop', variant);
  }
  if (collection === 'v1/pods') {
    return pod(name, variant === 0 ? 'Succeeded' : 'Running', `10.244.0.${variant}`);
  }
  if (collection === SLICES) return slice(name, 'web', `10.244.0.${variant}`);
  return { metadata: { name, labels: { v: String(variant) } } };
}

const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const collection = fc.constantFrom(...COLLECTIONS);

const step: fc.Arbitrary<readonly [string, Step]> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(collection, name, fc.integer({ min: 0, max: 3 }))
      .map(
        ([where, what, variant]) =>
          [
            `set ${where} ${what} ${variant}`,
            ({ server }: Bed) => void server.set(where, make(where, what, variant)),
          ] as const,
      ),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(collection, name)
      .map(
        ([where, what]) =>
          [
            `remove ${where} ${what}`,
            ({ server }: Bed) =>
              void server.remove(where, where === 'v1/namespaces' ? '' : 'shop', what),
          ] as const,
      ),
  },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 60 }).map(
      (count) =>
        [
          `${count} turns`,
          (bed: Bed) => {
            let left = count;
            return bed.later(() => left-- === 0);
          },
        ] as const,
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom<readonly [string, Step]>(
      ['compact', ({ server }) => server.compact()],
      ['bookmark', ({ server }) => server.bookmark()],
      ['end', ({ server }) => server.endWatches()],
      ['cut', ({ server }) => server.cutWatches()],
      ['cut in an event', ({ server }) => server.cutWatches(true)],
      [
        'cut and compact',
        ({ server }) => {
          server.cutWatches();
          server.compact();
        },
      ],
      ['garbage', ({ server }) => server.sendLine('{"type":"ADDED"}\n')],
      ['error event', ({ server }) => server.sendLine('{"type":"ERROR","object":{"code":500}}\n')],
      ['down', ({ server }) => server.down()],
      ['up', ({ server }) => server.up()],
      [
        'gone as status',
        ({ server }) => {
          server.goneAs = 'status';
        },
      ],
      [
        'compact between pages',
        ({ server }) => {
          server.onPage = () => {
            server.onPage = null;
            server.set('v1/services', service('between'));
            server.compact();
          };
        },
      ],
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(401, 403, 404, 410, 429, 500, 503)
      .map(
        (status) =>
          [`answer ${status}`, ({ server }: Bed) => void server.answers.push({ status })] as const,
      ),
  },
);

/** What the store must hold, by the server's own list. */
function expected(server: FakeApiServer): string[] {
  const found: KubeObject[] = [];
  for (const watched of watchedKinds(ALL_KINDS, { slices: 'v1' })) {
    const { group, version, plural } = watched;
    const place = group === '' ? `${version}/${plural}` : `${group}/${version}/${plural}`;
    for (const raw of server.objects(place)) {
      const { object } = pick(watched, raw, (key) => key.startsWith('maesh.dev/'));
      const isDone = object?.kind === 'Pod' && object.phase === 'Succeeded';
      if (object !== null && !isDone) found.push(object);
    }
  }
  return found.map((object) => JSON.stringify(object)).toSorted();
}

function held(store: Store): string[] {
  const kinds = ['Namespace', 'Node', 'ServiceAccount', 'Service', 'Pod', 'EndpointSlice'] as const;
  return kinds
    .flatMap((kind) => [...store.list(kind)])
    .map((object) => JSON.stringify(object))
    .toSorted();
}

test('whatever the cluster and the network do, the store ends as the server is', async () => {
  const steps = fc.array(step, { minLength: 1, maxLength: 40 });
  const pieces = fc.constantFrom(0, 1, 13);
  await fc.assert(
    fc.asyncProperty(steps, pieces, fc.nat(), async (all, pieceBytes, seed) => {
      const server = await FakeApiServer.start();
      server.pieceBytes = pieceBytes;
      fill(server);
      const bed = new Bed(server, { random: seededRandom(seed) });
      try {
        const starting = bed.source.start();
        for (const [, run] of all) await run(bed);
        await server.up();
        server.answers.length = 0;
        server.onPage = null;
        // From here on the server changes no more, and the store only with a batch.
        const wanted = expected(server);
        let batches = 0;
        let isThere = false;
        await bed.later(() => {
          if (bed.told.length > batches) isThere = held(bed.store).join() === wanted.join();
          batches = bed.told.length;
          return isThere;
        });
        await starting;
        await bed.settled();
        assert.deepEqual(expected(server), wanted);
        assert.deepEqual(held(bed.store), wanted);
        const count = bed.source.status().reduce((sum, { objects }) => sum + objects, 0);
        assert.equal(count, held(bed.store).length);
        const bad = server
          .objects('v1/services')
          .filter((each) => (each['spec'] as { type: string }).type === 'Bad');
        await bed.later(() => bed.source.problems().length === bad.length);
      } finally {
        await bed.stop();
      }
    }),
    { numRuns: 150 },
  );
});
