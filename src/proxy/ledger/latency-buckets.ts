/** The latency histogram of a slot as buckets with edges, which need no knowledge of the ledger. */

import type { LatencyBucket } from '../../model/stats.ts';
import { bucketEdgeMs } from './layout.ts';

export interface HistogramShape {
  /** Index of the first bucket in `cells`. */
  readonly from: number;
  readonly buckets: number;
  readonly subBits: number;
}

/** In rising order, without those that are empty. */
export function latencyBuckets(
  cells: ArrayLike<number>,
  { from, buckets, subBits }: HistogramShape,
): readonly LatencyBucket[] {
  const found: LatencyBucket[] = [];
  for (let i = 0; i < buckets; i++) {
    const count = cells[from + i] ?? 0;
    if (count <= 0) continue;
    const low = i === 0 ? 0 : bucketEdgeMs(i - 1, subBits, buckets);
    const high = bucketEdgeMs(i, subBits, buckets);
    found.push([low, high === Infinity ? null : high, count]);
  }
  return found;
}
