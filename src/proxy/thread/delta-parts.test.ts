import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { exampleEndpoint, exampleService } from '../../../test/support/model.ts';
import type { PlacedDelta } from '../ledger/placement.ts';
import { deltaParts, PART_ITEMS_MAX } from './delta-parts.ts';

function placed(key: string, ports: number, endpoints: number) {
  const service = exampleService(key, {
    ports: Array.from({ length: ports }, (_, i) => i + 1),
    endpoints: [exampleEndpoint('127.1.1.1')],
  });
  const endpointSlots = Array.from({ length: ports }, () =>
    Array.from({ length: endpoints }, (_, i) => i),
  );
  return {
    service,
    slot: 0,
    statusSlot: -1,
    callers: null,
    sources: null,
    endpointSlots,
    routes: [],
    ports: new Map(),
  };
}

function identity(i: number) {
  const place = { node: '', zone: '', doubt: '', labels: {} } as const;
  return { address: `10.0.0.${i}`, namespace: 's', pod: `p${i}`, serviceAccount: 'd', ...place };
}

function deltaOf(sizes: readonly (readonly [number, number])[], identities: number): PlacedDelta {
  return {
    version: 7,
    services: sizes.map(([ports, endpoints], i) => placed(`s/${i}`, ports, endpoints)),
    removedServices: ['s/gone'],
    identities: Array.from({ length: identities }, (_, i) => identity(i)),
    removedIdentities: ['10.1.1.1'],
  };
}

test('the parts of any delta are the delta, in its order, and none is long that has two Services', () => {
  const sizes = fc.array(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 12 })), { maxLength: 20 });
  fc.assert(
    fc.property(sizes, fc.nat({ max: 3 * PART_ITEMS_MAX }), (services, identities) => {
      const delta = deltaOf(services, identities);
      const parts = [...deltaParts(delta)];
      assert.deepEqual(
        parts.flatMap((part) => part.delta.services),
        delta.services,
      );
      assert.deepEqual(
        parts.flatMap((part) => part.delta.identities),
        delta.identities,
      );
      const removals = parts.map((part) => part.delta.removedServices.length);
      assert.deepEqual(
        removals,
        parts.map((_, i) => (i === 0 ? 1 : 0)),
      );
      assert.deepEqual(
        parts.map(({ isLast }) => isLast),
        parts.map((_, i) => i === parts.length - 1),
      );
      for (const { delta: part } of parts) {
        assert.equal(part.version, 7);
        const items = part.services.flatMap(({ endpointSlots }) => [
          1,
          ...endpointSlots.flat(),
          ...endpointSlots,
        ]);
        const count = items.length + part.identities.length;
        assert.ok(
          count <= PART_ITEMS_MAX || (part.services.length === 1 && part.identities.length === 0),
        );
      }
    }),
    { numRuns: 50 },
  );
});

test('an empty delta is one part, which says that its version is there', () => {
  const delta = { ...deltaOf([], 0), removedServices: [], removedIdentities: [] };
  assert.deepEqual([...deltaParts(delta)], [{ delta, isLast: true }]);
});
