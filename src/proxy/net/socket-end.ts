/** What the two sides of a tunnel have in common: bytes as they are, on a socket. */

import type { TunnelEnd } from './tunnel.ts';
import type { NetContext } from './context.ts';
import { copyWhole } from './copy-whole.ts';
import { READ_BYTES, type Socket } from './socket.ts';

/** The connection that the tunnel runs on. */
export interface TunnelHost {
  /** The tunnel is over: what was written still leaves. */
  leaveTunnel(): void;
  /** The tunnel is over, or what it has left is given up. */
  abort(): void;
}

export class SocketEnd implements TunnelEnd {
  readonly socket: Socket;
  readonly #context: NetContext;
  readonly #host: TunnelHost;

  constructor(socket: Socket, context: NetContext, host: TunnelHost) {
    this.socket = socket;
    this.#context = context;
    this.#host = host;
  }

  finish(): void {
    this.#host.leaveTunnel();
  }

  abort(): void {
    this.#host.abort();
  }

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
