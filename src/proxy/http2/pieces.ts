/**
 * Content that waits, in order. Peers cut it as they like, into frames of a byte each, too: an object for each of these would take a
 * hundred times the memory that is counted, and to shift them one by one off a long list keeps a thread busy for seconds.
 */

import { copyWhole } from '../net/copy-whole.ts';

/** What small pieces are gathered in: as much as there is already, within these. */
const SMALL_BYTES = 256;
const LARGE_BYTES = 16_384;

export class Pieces {
  bytes = 0;
  readonly #rooms: Buffer[] = [];
  /** Where what waits begins in the first one, and ends in the last one. */
  #start = 0;
  #end = 0;

  add(data: Buffer, start: number, end: number): void {
    const last = this.#rooms.at(-1);
    const room = last === undefined ? 0 : last.length - this.#end;
    const split = Math.min(end, start + room);
    if (last !== undefined) this.#end = copyWhole(data, start, split, last, this.#end);
    if (split < end) this.#addRoom(data, split, end);
    this.bytes += end - start;
  }

  #addRoom(data: Buffer, start: number, end: number): void {
    const gathered = Math.min(Math.max(this.bytes, SMALL_BYTES), LARGE_BYTES);
    // Not of a pool, of which a few bytes would keep all.
    const room = Buffer.allocUnsafeSlow(Math.max(end - start, gathered));
    this.#end = copyWhole(data, start, end, room, 0);
    this.#rooms.push(room);
  }

  /** The first of it, at most `bytesMax`: as much as stands together. What was taken stays as it is when more comes. */
  take(bytesMax: number): Buffer {
    const [first = NOTHING] = this.#rooms;
    const start = this.#start;
    const end = this.#rooms.length === 1 ? this.#end : first.length;
    const to = Math.min(end, start + bytesMax);
    this.bytes -= to - start;
    this.#start = to;
    if (to === end) {
      this.#rooms.shift();
      this.#start = 0;
    }
    return first.subarray(start, to);
  }
}

const NOTHING = Buffer.alloc(0);
