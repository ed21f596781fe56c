import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareText } from '../base/compare.ts';
import * as fc from 'fast-check';
import { hash32 } from '../base/hash.ts';
import type { EndpointAddress } from '../kube/kind/endpoint-slice.ts';
import type { KubeObject } from '../kube/object.ts';
import type { ObjectRef } from '../kube/store.ts';
import { Compiler, type CompileOptions } from './compiler.ts';
import { CompiledStore, refOf, refsOf, TEST_OPTIONS } from './compiled-store.fixture.ts';
import * as make from './objects.fixture.ts';

/** So few addresses that Services get in each other's way and some find none. */
const NARROW: CompileOptions = { serviceCidr: '10.9.0.0/29', defaultMode: 'http' };

const namespace = fc.constantFrom('shop', 'shop', 'bank', 'kube-system');
const app = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const node = fc.constantFrom('', 'n1', 'n2');
const address = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.9.0.3', 'fd00::1');
const meshWish = fc.constantFrom<Record<string, string>>(
  {},
  {},
  { 'maesh.dev/mesh': 'disabled' },
  { 'maesh.dev/mesh': 'enabled' },
  { 'maesh.dev/mesh': 'maybe' },
);

const service = fc
  .record({
    name: app,
    namespace,
    clusterIP: fc.constantFrom('', '', 'None', '10.9.0.2', '10.9.0.3', '10.8.0.1'),
    selector: fc.constantFrom(null, { app: 'a' }, { app: 'b' }, { app: 'a', tier: 'x' }),
    annotations: fc.oneof(
      meshWish,
      fc.constantFrom<Record<string, string>>(
        { 'maesh.dev/retry-attempts': '3' },
        { 'maesh.dev/failover': 'shop/a' },
        { 'maesh.dev/failover': 'bank/b', 'maesh.dev/traffic-type': 'tcp' },
        { 'maesh.dev/retry-attempts': 'many', 'mesh.traefik.io/traffic-type': 'tcp' },
        { 'maesh.dev/hash-key': 'source', 'maesh.dev/nonsense': '1' },
      ),
    ),
    ports: fc.constantFrom(
      [make.portOf()],
      [make.portOf({ targetPort: 'web' })],
      [make.portOf({ name: 'x' }), make.portOf({ name: 'y', protocol: 'UDP' })],
    ),
    type: fc.constantFrom('ClusterIP', 'ClusterIP', 'ClusterIP', 'ExternalName'),
    publishNotReadyAddresses: fc.boolean(),
    affinitySeconds: fc.constantFrom(null, 10_800),
    isNodeLocal: fc.boolean(),
    trafficDistribution: fc.constantFrom('', 'PreferClose'),
  })
  .map(({ name, namespace: where, annotations, ...rest }): KubeObject => {
    const meta = make.metaOf(name, where, { annotations });
    return { ...make.serviceOf(name), ...rest, meta };
  });

const pod = fc
  .record({
    name: fc.constantFrom('p1', 'p2', 'p3', 'p4'),
    namespace,
    labels: fc.constantFrom<Record<string, string>>(
      {},
      { app: 'a' },
      { app: 'b' },
      { app: 'a', tier: 'x' },
    ),
    annotations: fc.constantFrom<Record<string, string>>(
      {},
      { 'maesh.dev/weight': '7' },
      { 'maesh.dev/weight': '-1' },
    ),
    deletionTimestamp: fc.constantFrom('', '', '2026-01-01T00:00:00Z'),
    nodeName: node,
    hostNetwork: fc.constantFrom(false, false, false, true),
    phase: fc.constantFrom('', 'Running', 'Pending', 'Succeeded'),
    ready: fc.boolean(),
    podIPs: fc.uniqueArray(address, { maxLength: 2 }),
    ports: fc.constantFrom([], [{ name: 'web', port: 9090, protocol: 'TCP' }]),
  })
  .map(
    ({ name, namespace: where, labels, annotations, deletionTimestamp, ...rest }): KubeObject => {
      const meta = make.metaOf(name, where, { labels, annotations, deletionTimestamp });
      return { ...make.podOf(name, '', ''), ...rest, meta };
    },
  );

const endpoint: fc.Arbitrary<EndpointAddress> = fc.record({
  address,
  ready: fc.boolean(),
  serving: fc.boolean(),
  terminating: fc.boolean(),
  nodeName: node,
  zone: fc.constantFrom('', 'z9'),
  pod: fc.constantFrom('', 'shop/p1', 'shop/p2', 'bank/p1'),
});

const portRefs = fc.constantFrom(
  [],
  [{ name: '', port: 8080, protocol: 'TCP' }],
  [{ name: 'x', port: 8081, protocol: 'TCP' }],
);

const slice = fc
  .record({
    name: fc.constantFrom('s1', 's2', 's3'),
    namespace,
    service: app,
    addressType: fc.constantFrom('IPv4', 'IPv6', 'FQDN'),
    ports: portRefs,
    endpoints: fc.array(endpoint, { maxLength: 4 }),
  })
  .map(({ name, namespace: where, ...rest }): KubeObject => {
    return { ...make.sliceOf(name, '', []), ...rest, meta: make.metaOf(name, where) };
  });

const endpoints = fc
  .record({
    name: app,
    namespace,
    ports: portRefs,
    addresses: fc.array(endpoint, { maxLength: 3 }),
  })
  .map(({ name, namespace: where, ports, addresses }): KubeObject => {
    return {
      kind: 'Endpoints',
      meta: make.metaOf(name, where),
      subsets: [{ ports, addresses }],
    };
  });

const anyObject = fc.oneof(
  { weight: 4, arbitrary: service },
  { weight: 4, arbitrary: pod },
  { weight: 2, arbitrary: slice },
  { weight: 1, arbitrary: endpoints },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('n1', 'n2'), fc.constantFrom('', 'z1', 'z2'))
      .map(([name, zone]): KubeObject => make.nodeOf(name, zone)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(namespace, meshWish)
      .map(([name, annotations]): KubeObject => make.namespaceOf(name, { annotations })),
  },
);

type Step =
  | { readonly kind: 'set'; readonly object: KubeObject }
  | { readonly kind: 'delete'; readonly which: number }
  | { readonly kind: 'update' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: anyObject.map((object): Step => ({ kind: 'set', object })),
    },
    { weight: 2, arbitrary: fc.nat().map((which): Step => ({ kind: 'delete', which })) },
    { weight: 3, arbitrary: fc.constant<Step>({ kind: 'update' }) },
  ),
  { minLength: 5, maxLength: 80, size: 'max' },
);

function run(incremental: CompiledStore, all: readonly Step[]): void {
  const refs: ObjectRef[] = [];
  for (const step of all) {
    if (step.kind === 'update') {
      incremental.update();
    } else if (step.kind === 'set') {
      incremental.set(step.object);
      refs.push(refOf(step.object));
    } else {
      const ref = refs[step.which % Math.max(1, refs.length)];
      if (ref !== undefined) incremental.delete(ref);
    }
  }
  incremental.update();
}

function assertFresh(incremental: CompiledStore, options: CompileOptions, seed: number): void {
  const { store, compiler } = incremental;
  const order = (ref: ObjectRef) => hash32(`${ref.kind} ${ref.namespace}/${ref.name}`, seed);
  const refs = refsOf(store).sort((a, b) => order(a) - order(b));
  const fresh = new Compiler(store, options);
  fresh.update(refs);
  const expected = fresh.snapshot();
  const actual = compiler.snapshot();
  const sorted = <T>(map: ReadonlyMap<string, T>) =>
    new Map([...map].sort(([a], [b]) => compareText(a, b)));
  assert.deepEqual(sorted(actual.services), sorted(expected.services));
  assert.deepEqual(sorted(actual.identities), sorted(expected.identities));
  assert.deepEqual(compiler.problems(), fresh.problems());
  assert.deepEqual(sorted(incremental.services), sorted(actual.services));
  assert.deepEqual(sorted(incremental.identities), sorted(actual.identities));
}

for (const [name, options] of [
  ['a wide CIDR', TEST_OPTIONS],
  ['a CIDR with too few addresses', NARROW],
] as const) {
  test(`Compiler after any changes is what a fresh one makes of the final objects (${name})`, () => {
    fc.assert(
      fc.property(steps, fc.nat(), (all, seed) => {
        const incremental = new CompiledStore(options);
        run(incremental, all);
        assertFresh(incremental, options, seed);
      }),
      { numRuns: 400 },
    );
  });
}

test('Compiler emits nothing when the same objects are named again', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const incremental = new CompiledStore(NARROW);
      run(incremental, all);
      assert.equal(incremental.compiler.update(refsOf(incremental.store)), null);
    }),
    { numRuns: 100 },
  );
});
