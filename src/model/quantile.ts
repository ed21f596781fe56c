/** Quantiles out of a latency histogram, interpolated inside the bucket that holds them. */

import type { LatencyBucket } from './stats.ts';

/**
 * The latency below which the share `q` (0 to 1) of the counted requests lies, in milliseconds; null without requests.
 * `buckets` rise and do not overlap. A quantile in a bucket without an upper edge is its lower edge.
 */
export function quantileMs(buckets: readonly LatencyBucket[], q: number): number | null {
  const total = buckets.reduce((sum, [, , count]) => sum + count, 0);
  if (total <= 0) return null;
  const rank = q * total;
  let below = 0;
  let edge = 0;
  for (const [low, high, count] of buckets) {
    edge = low;
    if (count > 0 && below + count >= rank) {
      return high === null ? low : low + ((high - low) * Math.max(rank - below, 0)) / count;
    }
    below += count;
  }
  return edge;
}

/** The histograms of several agents as one: buckets with the same edges are added up. */
export function mergeLatency(
  histograms: readonly (readonly LatencyBucket[])[],
): readonly LatencyBucket[] {
  const merged = new Map<number, LatencyBucket>();
  for (const [low, high, count] of histograms.flat()) {
    merged.set(low, [low, high, (merged.get(low)?.[2] ?? 0) + count]);
  }
  return [...merged.values()].sort(([a], [b]) => a - b);
}
