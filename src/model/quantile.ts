/** Quantiles out of a latency histogram, interpolated inside the bucket that holds them. */

import type { LatencyBucket } from './stats.ts';

/**
 * The latency of the request that stands at the share `q` (0 to 1) of all, in the order of their latencies, in milliseconds; null
 * without requests. Which one that is, is rounded as in HDR histograms, which breakers of Traefik use.
 * `buckets` rise and do not overlap; the requests of one are taken to be spread evenly in it. A quantile in a bucket without an
 * upper edge is its lower edge.
 */
export function quantileMs(buckets: readonly LatencyBucket[], q: number): number | null {
  const total = buckets.reduce((sum, [, , count]) => sum + count, 0);
  if (total <= 0) return null;
  const rank = Math.max(1, Math.round(q * total));
  let below = 0;
  let edge = 0;
  for (const [low, high, count] of buckets) {
    edge = low;
    if (count > 0 && below + count >= rank) {
      return high === null ? low : low + ((high - low) * (rank - below)) / count;
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
