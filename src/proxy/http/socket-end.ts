/** What the two sides of a tunnel have in common: bytes as they are, on a socket. */

import type { TunnelEnd } from './tunnel.ts';
import type { NetContext } from '../net/context.ts';
import { copyWhole } from '../net/copy-whole.ts';
import { READ_BYTES, type Socket } from '../net/socket.ts';

export abstract class SocketEnd implements TunnelEnd {
  readonly socket: Socket;
  readonly #context: NetContext;

  constructor(socket: Socket, context: NetContext) {
    this.socket = socket;
    this.#context = context;
  }

  abstract finish(): void;
  abstract abort(): void;

  write(data: Buffer | null, start: number, end: number): boolean {
    if (data === null) return !this.socket.writableNeedDrain;
    let more = true;
    // What came early may be longer than one read.
    for (let from = start; from < end; from += READ_BYTES) {
      const to = Math.min(end, from + READ_BYTES);
      const length = copyWhole(data, from, to, this.#context.claimOut(null), 0);
      more = this.#context.writeOut(this.socket, length);
    }
    return more;
  }

  endWriting(): void {
    this.socket.end();
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  get waitingBytes(): number {
    return this.socket.destroyed ? 0 : this.socket.writableLength;
  }

  bytesOnTheirWay(): number {
    return this.socket.unsentBytes();
  }
}
