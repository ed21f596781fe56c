/**
 * What is kept of a request for another try: the bytes of its head as they came and the content of its body, in one buffer. What is
 * longer streams through and makes the request final.
 */

import type { NetContext } from '../net/context.ts';
import { copyWhole } from '../net/copy-whole.ts';
import type { Head } from './head.ts';

export class Replay {
  /** The head, then the body. Empty between requests. */
  buffer: Buffer = NOTHING;
  headBytes = 0;
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** The target is sent on with other bytes than it came. */
  targetChanges = false;
  /** Of the buffer. */
  end = 0;
  /** How far of it was sent in the present try. */
  sent = 0;
  /** All of the request that came so far is kept. */
  isWhole = false;
  /** Body bytes that may be kept beyond what fits beside the head. */
  bodyMax = 0;
  trailers: Buffer | null = null;
  readonly #context: NetContext;

  constructor(context: NetContext) {
    this.#context = context;
  }

  /** Copies the head that stands in `data[start, end)`. */
  begin(data: Buffer, head: Head, start: number, end: number): void {
    this.headBytes = end - start;
    this.methodStart = head.methodStart - start;
    this.methodEnd = head.methodEnd - start;
    this.targetStart = head.targetStart - start;
    this.targetEnd = head.targetEnd - start;
    this.targetChanges = head.targetSlash || head.targetRaw > 0;
    const slab = this.#context.takeSlab();
    if (this.headBytes <= slab.length) this.buffer = slab;
    else {
      this.#context.giveSlab(slab);
      this.buffer = Buffer.allocUnsafeSlow(this.headBytes);
    }
    this.end = copyWhole(data, start, end, this.buffer, 0);
    this.isWhole = true;
    this.bodyMax = 0;
    this.trailers = null;
    this.rewind();
  }

  /** Keeps body bytes for the next `flush`. False when they are too many: from then on nothing is kept. */
  keep(data: Buffer, start: number, end: number): boolean {
    if (!this.isWhole || !this.#makeRoom(end - start)) {
      this.isWhole = false;
      return false;
    }
    this.end = copyWhole(data, start, end, this.buffer, this.end);
    return true;
  }

  /** The next try sends everything again. */
  rewind(): void {
    this.sent = this.headBytes;
  }

  release(): void {
    this.#context.giveSlab(this.buffer);
    this.buffer = NOTHING;
    this.trailers = null;
  }

  #makeRoom(more: number): boolean {
    const needed = this.end + more;
    if (needed <= this.buffer.length) return true;
    if (needed - this.headBytes > this.bodyMax) return false;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    copyWhole(this.buffer, 0, this.end, larger, 0);
    this.#context.giveSlab(this.buffer);
    this.buffer = larger;
    return true;
  }
}

const NOTHING = Buffer.alloc(0);
