/** Latencies in log-linear buckets: under 1 % error from 1 µs to an hour, without an allocation per value. */

/** Buckets per doubling; the first doubling covers 0 to 127 µs exactly. */
const SUB_BITS = 7;
const SUB = 1 << SUB_BITS;
const DOUBLINGS = 26;

export class Histogram {
  readonly #counts = new Float64Array(SUB * (DOUBLINGS + 1));
  #count = 0;
  #maxMicros = 0;

  /** Records one value in microseconds; negative ones count as 0, those over an hour as an hour. */
  record(micros: number): void {
    const value = Math.min(Math.max(Math.trunc(micros), 0), 0xffff_ffff);
    this.#counts[bucketOf(value)]! += 1;
    this.#count += 1;
    if (value > this.#maxMicros) this.#maxMicros = value;
  }

  get count(): number {
    return this.#count;
  }

  get maxMicros(): number {
    return this.#maxMicros;
  }

  /** The value in microseconds that the share `q` (0 to 1) of all values does not exceed; 0 when empty. */
  quantile(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      seen += this.#counts[bucket]!;
      if (seen >= rank) return Math.min(upperEdge(bucket), this.#maxMicros);
    }
    return 0;
  }
}

function bucketOf(micros: number): number {
  if (micros < SUB) return micros;
  const doubling = 31 - Math.clz32(micros) - SUB_BITS;
  return (doubling + 1) * SUB + ((micros >>> doubling) & (SUB - 1));
}

/** The largest value that falls into the bucket. */
function upperEdge(bucket: number): number {
  if (bucket < SUB) return bucket;
  const doubling = Math.floor(bucket / SUB) - 1;
  const width = 2 ** doubling;
  return (SUB + (bucket % SUB)) * width + width - 1;
}
