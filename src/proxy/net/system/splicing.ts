/** Bytes of one connection that go on to another through a pipe: how many are left, and whether it pays just now. */

import { EAGAIN, EINTR, endsConnections, ENOMEM } from './errno.ts';
import { type Pipe, PIPE_BYTES } from './pipes.ts';
import type { ThreadIo } from './thread-io.ts';

export interface SpliceSink {
  /** Nothing waits before what would come, and nothing keeps it from being sent. */
  readonly takesSplices: boolean;
  /** Sends what is in it, and keeps the pipe while something is left. */
  takePipe(pipe: Pipe): void;
}

export class Splicing {
  readonly #io: ThreadIo;
  #sink: SpliceSink | null = null;
  #left = 0;
  /** A source that gives little at once costs less when it is copied: so may one of which nothing is known. */
  #pays = true;

  constructor(io: ThreadIo) {
    this.#io = io;
  }

  begin(sink: SpliceSink, bytes: number): void {
    this.#left = bytes;
    if (this.#sink === sink) return;
    this.#sink = sink;
    this.#pays = bytes < Infinity;
  }

  end(): void {
    this.#sink = null;
  }

  /** So many bytes were moved on; 0 when a read must tell what there is; else the negated error of the connection. */
  move(descriptor: number): number {
    const sink = this.#sink;
    if (sink === null || !this.#pays || !sink.takesSplices) return 0;
    const { kernel, pipes } = this.#io;
    const pipe = pipes.take();
    if (pipe === null) return 0;
    const moved = kernel.spliceIn(descriptor, pipe.input, Math.min(this.#left, PIPE_BYTES));
    if (moved <= 0) {
      pipes.give(pipe);
      if (endsConnections(-moved)) return moved;
      if (!isForNow(moved)) pipes.switchOff();
      return 0;
    }
    pipe.bytes = moved;
    pipes.splicedBytes += moved;
    this.came(moved);
    sink.takePipe(pipe);
    return moved;
  }

  /** So many bytes came, one way or the other. */
  came(bytes: number): void {
    this.#pays = bytes >= this.#io.pipes.worthBytes;
    this.#left -= bytes;
    if (this.#left <= 0) this.#sink = null;
  }
}

/** Nothing there, or nothing to put it in; all else says that the kernel does not do it. */
function isForNow(moved: number): boolean {
  return moved === 0 || moved === -EAGAIN || moved === -EINTR || moved === -ENOMEM;
}
