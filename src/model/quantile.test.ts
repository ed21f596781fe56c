import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';

import { mergeLatency, quantileMs } from './quantile.ts';
import type { LatencyBucket } from './stats.ts';

/** One bucket per millisecond below 20, and one without an upper edge. */
function histogramOf(latencies: readonly number[]): readonly LatencyBucket[] {
  const counts = new Map<number, number>();
  for (const ms of latencies) {
    const low = Math.min(Math.floor(ms), 20);
    counts.set(low, (counts.get(low) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([low, count]) => [low, low === 20 ? null : low + 1, count]);
}

test('the quantiles of merged histograms are those of all requests together', () => {
  const agents = fc.array(fc.array(fc.double({ min: 0, max: 40, noNaN: true })));
  fc.assert(
    fc.property(agents, fc.double({ min: 0, max: 1, noNaN: true }), (all, q) => {
      const merged = mergeLatency(all.map(histogramOf));
      assert.deepEqual(merged, histogramOf(all.flat()));
      assert.equal(quantileMs(merged, q), quantileMs(histogramOf(all.flat()), q));
    }),
  );
});

test('quantileMs() is null without requests, and the lower edge where there is no upper one', () => {
  assert.equal(quantileMs([], 0.5), null);
  assert.equal(quantileMs([[100, null, 3]], 0.99), 100);
});
