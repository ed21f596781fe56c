/** Base64 (RFC 4648 §4) of what comes in pieces of any size: padding stands only where a part ends. */

const DIGITS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const EQUALS = 0x3d;

/** Bytes that `write` makes of so many, at most; what was kept before and the padding behind included. */
export function encodedBytesMax(bytes: number): number {
  return 4 * Math.ceil((bytes + 2) / 3) + 4;
}

export class Base64Encoder {
  /** Bytes that wait for their group, at most two. */
  #kept = 0;
  #count = 0;

  /** Encodes `data[start, end)` to `out` from `to` and returns the new end. Up to two bytes wait for more, or for `end`. */
  // oxlint-disable-next-line max-params -- those of a copy
  write(data: Buffer, start: number, end: number, out: Buffer, to: number): number {
    let at = start;
    let written = to;
    while (this.#count > 0 && at < end) {
      this.#kept = (this.#kept << 8) | (data[at++] as number);
      if (++this.#count === 3) written = this.#putGroup(out, written);
    }
    for (; at + 3 <= end; at += 3) {
      const a = data[at] as number;
      const b = data[at + 1] as number;
      const c = data[at + 2] as number;
      out[written] = DIGITS[a >> 2] as number;
      out[written + 1] = DIGITS[((a << 4) | (b >> 4)) & 63] as number;
      out[written + 2] = DIGITS[((b << 2) | (c >> 6)) & 63] as number;
      out[written + 3] = DIGITS[c & 63] as number;
      written += 4;
    }
    for (; at < end; at++, this.#count++) this.#kept = (this.#kept << 8) | (data[at] as number);
    return written;
  }

  /** A part ends: what waits leaves with padding. Returns as `write`. */
  end(out: Buffer, to: number): number {
    const missing = 3 - this.#count;
    if (missing === 3) return to;
    this.#kept <<= 8 * missing;
    const end = this.#putGroup(out, to);
    for (let i = 1; i <= missing; i++) out[end - i] = EQUALS;
    return end;
  }

  #putGroup(out: Buffer, to: number): number {
    const bits = this.#kept;
    for (let i = 0; i < 4; i++) out[to + i] = DIGITS[(bits >> (18 - 6 * i)) & 63] as number;
    this.#kept = 0;
    this.#count = 0;
    return to + 4;
  }
}
