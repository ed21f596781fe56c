/** Bytes that the kernel did not take yet, in order: those in a pipe, if there is one, then those in slabs of their own. */

import { SLAB_BYTES } from '../socket.ts';
import type { Pipe, Pipes } from './pipes.ts';
import type { Region } from './region.ts';

interface Piece {
  readonly data: Buffer;
  start: number;
  end: number;
}

export class Waiting {
  /** Null when it is empty: then others may have it. */
  pipe: Pipe | null = null;
  readonly #region: Region;
  readonly #pipes: Pipes;
  readonly #pieces: Piece[] = [];
  #inSlabs = 0;

  constructor({ region, pipes }: { readonly region: Region; readonly pipes: Pipes }) {
    this.#region = region;
    this.#pipes = pipes;
  }

  get bytes(): number {
    return this.#inSlabs + (this.pipe === null ? 0 : this.pipe.bytes);
  }

  get first(): Piece | undefined {
    return this.#pieces[0];
  }

  add(data: Buffer, start: number, end: number): void {
    this.#inSlabs += end - start;
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
    this.#inSlabs -= at - piece.start;
    piece.start = at;
    if (at < piece.end) return false;
    this.#pieces.shift();
    this.#region.giveSlab(piece.data);
    return true;
  }

  /** What is still in the pipe is for nobody. */
  dropPipe(): void {
    if (this.pipe !== null) this.#pipes.give(this.pipe);
    this.pipe = null;
  }

  drop(): void {
    this.dropPipe();
    for (const { data } of this.#pieces) this.#region.giveSlab(data);
    this.#pieces.length = 0;
    this.#inSlabs = 0;
  }
}
