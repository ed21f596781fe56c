/**
 * Hands out the region of a thread: what is allocated once, and slabs that come back. Untouched pages cost nothing. When the
 * region is full, ordinary memory takes its place: that is copied before it is sent, and works as well.
 */

import { READ_BYTES, SLAB_BYTES } from '../socket.ts';
import { FREE_AT } from './kernel-interface.ts';

/** Where everything is read to, … */
export const READ_AT = FREE_AT;
/** … and where what is not in the region is copied to before it is sent. */
export const STAGE_AT = READ_AT + READ_BYTES;
export const STAGE_BYTES = 65_536;
const ALIGNMENT = 4_096;

export class Region {
  readonly memory: Buffer<ArrayBuffer>;
  readonly readBuffer: Buffer<ArrayBuffer>;
  /** The last one given back is the first one taken: it is still in the caches. */
  readonly #slabs: Buffer<ArrayBuffer>[] = [];
  #end = STAGE_AT + STAGE_BYTES;
  #taken = 0;

  constructor(memory: Buffer<ArrayBuffer>) {
    this.memory = memory;
    this.readBuffer = memory.subarray(READ_AT, READ_AT + READ_BYTES);
  }

  /** Slabs of the region that are with somebody. */
  get taken(): number {
    return this.#taken;
  }

  allocate(bytes: number): Buffer<ArrayBuffer> {
    const start = this.reserve(bytes);
    if (start < 0) return Buffer.allocUnsafeSlow(bytes);
    return this.memory.subarray(start, start + bytes);
  }

  /** Offset of memory of the region, and of nothing else; -1 when that is full. */
  reserve(bytes: number): number {
    const start = this.#end;
    if (start + bytes > this.memory.length) return -1;
    this.#end = Math.ceil((start + bytes) / ALIGNMENT) * ALIGNMENT;
    return start;
  }

  takeSlab(): Buffer<ArrayBuffer> {
    const slab = this.#slabs.pop() ?? this.allocate(SLAB_BYTES);
    if (slab.buffer === this.memory.buffer) this.#taken++;
    return slab;
  }

  /** Others than slabs of the region are left to the collector. */
  giveSlab(slab: Buffer): void {
    if (slab.buffer !== this.memory.buffer || slab.length !== SLAB_BYTES) return;
    this.#taken--;
    this.#slabs.push(slab as Buffer<ArrayBuffer>);
  }

  /** Copies what is not in the region to STAGE_AT, as much as has room, and returns how much that is. */
  stage(data: Buffer, start: number, end: number): number {
    const length = Math.min(end - start, STAGE_BYTES);
    return data.copy(this.memory, STAGE_AT, start, start + length);
  }

  /** Offset of what lies in the region; -1 for everything else. */
  offsetOf(data: Buffer): number {
    return data.buffer === this.memory.buffer ? data.byteOffset - this.memory.byteOffset : -1;
  }
}
