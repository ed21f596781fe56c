/** Quantiles out of a latency histogram, interpolated inside the bucket that holds them. */

import { bucketEdgeMs } from '../ledger/layout.ts';

export interface HistogramShape {
  /** Index of the first bucket in `cells`. */
  readonly from: number;
  readonly buckets: number;
  readonly subBits: number;
}

/**
 * The latency below which the share `q` (0 to 1) of the counted requests lies, in milliseconds; null without requests.
 * A quantile in the last bucket, which has no upper edge, is that bucket's lower edge.
 */
export function quantileMs(
  cells: ArrayLike<number>,
  { from, buckets, subBits }: HistogramShape,
  q: number,
): number | null {
  let total = 0;
  for (let i = 0; i < buckets; i++) total += cells[from + i] ?? 0;
  if (total <= 0) return null;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < buckets; i++) {
    const count = cells[from + i] ?? 0;
    if (count > 0 && below + count >= rank) {
      const low = i === 0 ? 0 : bucketEdgeMs(i - 1, subBits, buckets);
      const high = bucketEdgeMs(i, subBits, buckets);
      return high === Infinity ? low : low + ((high - low) * Math.max(rank - below, 0)) / count;
    }
    below += count;
  }
  return bucketEdgeMs(buckets - 2, subBits, buckets);
}
