/**
 * The block of the head that was encoded last, for one that is the same: of the same fields and the same table it would be the same.
 * What is one is known by the serial of its fields (`RecentBlocks`); to the endpoint, those of one serial are all of one caller.
 */

import { copyWhole } from '../../net/copy-whole.ts';
import type { HpackEncoder } from './hpack-encoder.ts';

/** Longer ones are not kept: each connection that has sent one has room for it. */
const KEPT_BYTES = 128;

export class RepeatedHead {
  length = 0;
  #bytes: Buffer | null = null;
  #serial = 0;
  /** Of the encoder. */
  #changes = 0;
  #changesBefore = 0;

  /** A block begins. */
  begin({ changes }: HpackEncoder): void {
    this.#changesBefore = changes;
  }

  /** `data[start, end)` is the block. */
  // oxlint-disable-next-line max-params -- once per head: an options object would be an allocation
  keep(serial: number, { changes }: HpackEncoder, data: Buffer, start: number, end: number): void {
    const length = end - start;
    // One that has put something into the table is another one the next time.
    if (length > KEPT_BYTES || changes !== this.#changesBefore) return;
    this.#bytes ??= Buffer.allocUnsafeSlow(KEPT_BYTES);
    copyWhole(data, start, end, this.#bytes, 0);
    this.length = length;
    this.#serial = serial;
    this.#changes = changes;
  }

  /** Whether the one with this serial may go out as it did. */
  isReady(serial: number, { changes }: HpackEncoder): boolean {
    return serial !== 0 && serial === this.#serial && changes === this.#changes;
  }

  /** @returns its end */
  write(out: Buffer, at: number): number {
    return copyWhole(this.#bytes as Buffer, 0, this.length, out, at);
  }
}
