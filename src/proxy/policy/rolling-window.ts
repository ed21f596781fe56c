/**
 * What counters that only grow gained in the last 10 s, in buckets of one second: the current second and the nine before
 * it, as `memmetrics` of vulcand/oxy counts them. Keeps what each counter was at the start of each second.
 */

export const WINDOW_SECONDS = 10;

export class RollingWindow {
  readonly #width: number;
  /** Per second of the window, the counters at its start. */
  readonly #starts: Float64Array;
  readonly #last: Float64Array;
  #second: number;

  /** The window begins empty at these values. */
  constructor(values: Float64Array, nowMs: number) {
    this.#width = values.length;
    this.#starts = new Float64Array(WINDOW_SECONDS * values.length);
    this.#last = new Float64Array(values.length);
    this.#second = Math.floor(nowMs / 1000);
    this.reset(values);
  }

  /** Forgets all; the window goes on from these values. */
  reset(values: Float64Array): void {
    this.#last.set(values);
    for (let i = 0; i < WINDOW_SECONDS; i++) this.#starts.set(values, i * this.#width);
  }

  /** Takes over the counters as they are now. What came since the last call counts for the second of `nowMs`. */
  advance(nowMs: number, values: Float64Array): void {
    const second = Math.floor(nowMs / 1000);
    const from = Math.max(this.#second + 1, second - WINDOW_SECONDS + 1);
    for (let s = from; s <= second; s++) {
      this.#starts.set(this.#last, (s % WINDOW_SECONDS) * this.#width);
    }
    if (second > this.#second) this.#second = second;
    this.#last.set(values);
  }

  /** What the counter at `index` gained inside the window. */
  difference(index: number): number {
    const oldest = ((this.#second + 1) % WINDOW_SECONDS) * this.#width;
    return (this.#last[index] ?? 0) - (this.#starts[oldest + index] ?? 0);
  }
}
