import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quantileMs } from '../../model/quantile.ts';
import type { LatencyBucket } from '../../model/stats.ts';
import { latencyBuckets } from './latency-buckets.ts';
import { bucketOf, SERVICE_BUCKETS } from './layout.ts';

function bucketsOf(latencies: readonly number[]): readonly LatencyBucket[] {
  const counts = new Float64Array(SERVICE_BUCKETS);
  for (const one of latencies) counts[bucketOf(one, 2, SERVICE_BUCKETS)]! += 1;
  return latencyBuckets(counts, { from: 0, buckets: SERVICE_BUCKETS, subBits: 2 });
}

test('a quantile of the buckets of a Service is off by less than a quarter', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.07, max: 60_000, noNaN: true }), {
        minLength: 1,
        maxLength: 200,
      }),
      fc.constantFrom(0, 10, 50, 90, 92, 95, 99, 99.9, 100),
      (latencies, percent) => {
        const sorted = latencies.toSorted((a, b) => a - b);
        const rank = Math.max(1, Math.round((percent / 100) * sorted.length));
        const exact = sorted[rank - 1]!;
        const found = quantileMs(bucketsOf(latencies), percent / 100)!;
        assert.ok(found > exact * 0.75 && found < exact * 1.27, `${found} for ${exact}`);
      },
    ),
  );
});

test('a quantile beyond the last edge is that edge', () => {
  const last = quantileMs(bucketsOf([1e9]), 0.5);
  assert.ok(last !== null && Number.isFinite(last) && last > 60_000);
});
