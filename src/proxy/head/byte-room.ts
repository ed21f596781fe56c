/** Room for bytes that are written anew for every message: it grows to what was ever needed. */

export class ByteRoom {
  /** Written up to `length`. */
  bytes: Buffer = Buffer.alloc(0);
  length = 0;

  /** Forgets what stands in it, and makes room for so many bytes. */
  begin(atMost: number): void {
    this.length = 0;
    if (this.bytes.length < atMost) this.bytes = Buffer.allocUnsafeSlow(atMost);
  }

  append(part: Buffer, start = 0, end = part.length): void {
    part.copy(this.bytes, this.length, start, end);
    this.length += end - start;
  }

  byte(byte: number): void {
    this.bytes[this.length++] = byte;
  }
}
