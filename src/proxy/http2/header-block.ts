/** A block of fields that comes in several frames: RFC 9113 §4.3. Bounded in bytes and in pieces (CVE-2024-27316 and its kin). */

import { copyWhole } from '../net/copy-whole.ts';
import { FLAG_END_STREAM, FRAME_HEADERS } from './codec/frame.ts';
import type { Frame } from './codec/frame-reader.ts';

/** A block of this size is larger than any list that is accepted. */
const BLOCK_BYTES_MAX = 131_072;
/** Frames of one block. */
const PIECES_MAX = 64;

export class HeaderBlock {
  /** Whose it is; 0 while there is none. */
  stream = 0;
  endStream = false;
  /** Of `bytes`. */
  length = 0;
  bytes: Buffer = NOTHING;
  #pieces = 0;

  get heldBytes(): number {
    return this.bytes.length;
  }

  /** Takes a piece of it. False when there is too much. */
  add(data: Buffer, frame: Frame): boolean {
    if (frame.type === FRAME_HEADERS) {
      this.stream = frame.stream;
      this.endStream = (frame.flags & FLAG_END_STREAM) !== 0;
    }
    const more = frame.end - frame.start;
    const needed = this.length + more;
    if (++this.#pieces > PIECES_MAX || needed > BLOCK_BYTES_MAX) return false;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.bytes.length));
      copyWhole(this.bytes, 0, this.length, larger, 0);
      this.bytes = larger;
    }
    this.length = copyWhole(data, frame.start, frame.end, this.bytes, this.length);
    return true;
  }

  reset(): void {
    this.stream = 0;
    this.length = 0;
    this.bytes = NOTHING;
    this.#pieces = 0;
  }
}

const NOTHING = Buffer.alloc(0);
