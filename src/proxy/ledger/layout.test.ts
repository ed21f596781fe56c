import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  bucketEdgeMs,
  bucketOf,
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  SHAPES,
} from './layout.ts';

const KINDS = [
  { subBits: 2, buckets: SERVICE_BUCKETS },
  { subBits: 0, buckets: ENDPOINT_BUCKETS },
];

test('bucketOf() puts every latency between the edges of its bucket', () => {
  const latency = fc.double({ min: 0, max: 1e7, noNaN: true });
  fc.assert(
    fc.property(latency, fc.constantFrom(...KINDS), (latencyMs, { subBits, buckets }) => {
      const index = bucketOf(latencyMs, subBits, buckets);
      assert.ok(index >= 0 && index < buckets);
      assert.ok(latencyMs < bucketEdgeMs(index, subBits, buckets), 'below the upper edge');
      // Latencies are cut to whole microseconds, so the lower edge may be missed by less than one.
      if (index > 0) assert.ok(latencyMs >= bucketEdgeMs(index - 1, subBits, buckets) - 0.001);
    }),
    { numRuns: 2_000 },
  );
});

test('bucketEdgeMs() grows from 64 µs to infinity', () => {
  for (const { subBits, buckets } of KINDS) {
    assert.equal(bucketEdgeMs(0, subBits, buckets), 0.064);
    for (let i = 1; i < buckets; i++) {
      assert.ok(bucketEdgeMs(i, subBits, buckets) > bucketEdgeMs(i - 1, subBits, buckets));
    }
    assert.equal(bucketEdgeMs(buckets - 1, subBits, buckets), Infinity);
  }
});

test('bucketOf() survives what is no latency', () => {
  for (const odd of [NaN, -1, -Infinity]) assert.equal(bucketOf(odd, 2, SERVICE_BUCKETS), 0);
  assert.equal(bucketOf(Infinity, 2, SERVICE_BUCKETS), SERVICE_BUCKETS - 1);
});

test('own cells of a slot do not overlap', () => {
  for (const own of [SERVICE_OWN, ENDPOINT_OWN]) {
    const starts = Object.values(own).toSorted((a, b) => a - b);
    assert.equal(new Set(starts).size, starts.length);
  }
  assert.equal(SHAPES.service.own, SERVICE_OWN.buckets + SERVICE_BUCKETS);
  assert.equal(SHAPES.endpoint.own, ENDPOINT_OWN.buckets + ENDPOINT_BUCKETS);
});
