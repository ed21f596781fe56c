/**
 * Base64 (RFC 4648 §4) as it comes, in pieces of any size. Any group of four may end with padding, and others follow: in gRPC-Web each
 * part of a body may be encoded by itself.
 */

const EQUALS = 0x3d;
/** Not of the alphabet; above all that is. */
const OTHER = 64;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

const VALUES = new Uint8Array(256).fill(OTHER);
for (let i = 0; i < ALPHABET.length; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

/** What one group becomes. */
const GROUP_BYTES = 3;

export class Base64Decoder {
  /** Bytes that the last `read` wrote. */
  written = 0;
  /** Of the group that has begun. */
  #bits = 0;
  #characters = 0;
  #padding = 0;

  /** No group has begun: the content may end here. */
  get isWhole(): boolean {
    return this.#characters === 0;
  }

  /** Decodes `data[start, end)` into `out` as far as it has room, of which one group is the least. Returns how far it came, -1 where it is no base64. */
  read(data: Buffer, start: number, end: number, out: Buffer): number {
    let at = start;
    this.written = 0;
    while (at < end && this.written + GROUP_BYTES <= out.length) {
      const next = this.#characters === 0 && at + 4 <= end ? this.#readGroup(data, at, out) : at;
      if (next > at) {
        at = next;
        continue;
      }
      if (!this.#readOne(data[at] as number, out)) return -1;
      at++;
    }
    return at;
  }

  /** A whole group without padding; `at` where it is not one. */
  #readGroup(data: Buffer, at: number, out: Buffer): number {
    const a = VALUES[data[at] as number] as number;
    const b = VALUES[data[at + 1] as number] as number;
    const c = VALUES[data[at + 2] as number] as number;
    const d = VALUES[data[at + 3] as number] as number;
    if ((a | b | c | d) >= OTHER) return at;
    const to = this.written;
    out[to] = (a << 2) | (b >> 4);
    out[to + 1] = ((b << 4) | (c >> 2)) & 0xff;
    out[to + 2] = ((c << 6) | d) & 0xff;
    this.written = to + GROUP_BYTES;
    return at + 4;
  }

  #readOne(byte: number, out: Buffer): boolean {
    const value = VALUES[byte] as number;
    if (byte === EQUALS) {
      if (this.#characters < 2) return false;
      this.#padding++;
      this.#bits <<= 6;
    } else {
      if (value === OTHER || this.#padding > 0) return false;
      this.#bits = (this.#bits << 6) | value;
    }
    return ++this.#characters < 4 || this.#endGroup(out);
  }

  /** False where bits are set that padding leaves over. */
  #endGroup(out: Buffer): boolean {
    const bits = this.#bits;
    const bytes = GROUP_BYTES - this.#padding;
    for (let i = 0; i < bytes; i++) out[this.written++] = (bits >> (16 - 8 * i)) & 0xff;
    const left = bits & ((1 << (8 * this.#padding)) - 1);
    this.#bits = 0;
    this.#characters = 0;
    this.#padding = 0;
    return left === 0;
  }
}
