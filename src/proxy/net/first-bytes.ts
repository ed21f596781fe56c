/**
 * What a connection has said so far, kept until it is whole. Its room doubles, so that bytes which come one by one are not copied anew
 * for each of them, and it belongs to nobody else: a part of it may be kept.
 */

import { copyWhole } from './copy-whole.ts';

const FIRST_ROOM = 2_048;
const NOTHING = Buffer.alloc(0);

export class FirstBytes {
  length = 0;
  #room: Buffer = NOTHING;

  /** All of them. It stays as it is when more come. */
  get bytes(): Buffer {
    return this.#room.subarray(0, this.length);
  }

  /** Memory that they take. */
  get heldBytes(): number {
    return this.#room.length;
  }

  /** `data[start, end)` came. */
  push(data: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.#room.length) {
      const more = Buffer.allocUnsafe(Math.max(length, 2 * this.#room.length, FIRST_ROOM));
      copyWhole(this.#room, 0, this.length, more, 0);
      this.#room = more;
    }
    this.length = copyWhole(data, start, end, this.#room, this.length);
  }

  /** Somebody else has them now. */
  drop(): void {
    this.#room = NOTHING;
    this.length = 0;
  }
}
