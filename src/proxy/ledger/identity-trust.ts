/** Until when proxy threads believe who callers are: one cell that the main thread moves on, and that all threads read. */

export class IdentityTrust {
  /** What a thread makes its own view of. */
  readonly buffer: SharedArrayBuffer;
  readonly #cell: Float64Array;

  /** Without a buffer of another thread, identities are believed without end until it is said otherwise. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
    this.#cell = new Float64Array(this.buffer);
    if (buffer === undefined) this.untilMs = Infinity;
  }

  /** Milliseconds of the clock that all threads share; after it callers are nobody for access rules. */
  get untilMs(): number {
    return this.#cell[0] ?? 0;
  }

  set untilMs(untilMs: number) {
    this.#cell[0] = untilMs;
  }
}
