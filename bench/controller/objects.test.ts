import assert from 'node:assert/strict';
import { test } from 'node:test';
import { convert } from '../../src/kube/convert.ts';
import { KINDS } from '../../src/kube/kind/table.ts';
import type { Kind } from '../../src/kube/object.ts';
import { seedOf, serviceKey, shadowSlices } from './objects.ts';

const SIZE = { services: 700, endpoints: 11, nodes: 300, agents: 250, published: 20 };

test('seedOf() has each object once, and the mesh can read all that it watches', () => {
  const keys = new Set<string>();
  const addresses = new Set<string>();
  const counts: Record<string, number> = {};
  for (const { key, object } of seedOf(SIZE)) {
    assert.ok(!keys.has(key), key);
    keys.add(key);
    const { kind, status } = object as { kind: string; status?: { podIP?: string } };
    counts[kind] = (counts[kind] ?? 0) + 1;
    if (kind === 'IPAddress') continue;
    const { findings } = convert(KINDS[kind as Kind], object as Record<string, unknown>);
    assert.deepEqual(findings, [], key);
    if (status?.podIP === undefined) continue;
    assert.ok(!addresses.has(status.podIP), status.podIP);
    addresses.add(status.podIP);
  }
  assert.deepEqual(counts, {
    Node: 300,
    Namespace: 101,
    Pod: 250 + 700 * 11,
    ServiceAccount: 700,
    Service: 700 + 20,
    IPAddress: 700 + 20,
    EndpointSlice: 700,
  });
});

test('shadowSlices() has an endpoint for each agent, a hundred in a slice', () => {
  const slices = [...shadowSlices(3, SIZE, [{ name: 'http', port: 10_000, protocol: 'TCP' }])];
  const endpoints = slices.map(({ object }) => (object as { endpoints: unknown[] }).endpoints);
  assert.deepEqual(
    endpoints.map(({ length }) => length),
    [100, 100, 50],
  );
  assert.equal(serviceKey(3), 'team-3/service-3');
});
