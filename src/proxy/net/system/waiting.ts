/** Bytes that the kernel did not take yet, in order, in slabs of their own. */

import { SLAB_BYTES } from '../socket.ts';
import type { Region } from './region.ts';

interface Piece {
  readonly data: Buffer;
  start: number;
  end: number;
}

export class Waiting {
  bytes = 0;
  readonly #region: Region;
  readonly #pieces: Piece[] = [];

  constructor(region: Region) {
    this.#region = region;
  }

  get first(): Piece | undefined {
    return this.#pieces[0];
  }

  add(data: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    let last = this.#pieces.at(-1);
    for (let at = start; at < end;) {
      if (last === undefined || last.end === SLAB_BYTES) {
        last = { data: this.#region.takeSlab(), start: 0, end: 0 };
        this.#pieces.push(last);
      }
      const length = Math.min(end - at, SLAB_BYTES - last.end);
      data.copy(last.data, last.end, at, at + length);
      last.end += length;
      at += length;
    }
  }

  /** The first piece was sent up to `at`; true when that is all of it. */
  sent(piece: Piece, at: number): boolean {
    this.bytes -= at - piece.start;
    piece.start = at;
    if (at < piece.end) return false;
    this.#pieces.shift();
    this.#region.giveSlab(piece.data);
    return true;
  }

  drop(): void {
    for (const { data } of this.#pieces) this.#region.giveSlab(data);
    this.#pieces.length = 0;
    this.bytes = 0;
  }
}
