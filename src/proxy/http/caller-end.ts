/** The side of a tunnel at a caller. */

import type { NetContext } from '../net/context.ts';
import type { Socket } from '../net/socket.ts';
import { SocketEnd } from './socket-end.ts';

/** The connection that the tunnel runs on. */
export interface TunnelHost {
  pause(): void;
  resume(): void;
  /** The tunnel is over: what was written still leaves. */
  leaveTunnel(): void;
  abort(): void;
}

export class CallerEnd extends SocketEnd {
  readonly #connection: TunnelHost;

  constructor(socket: Socket, context: NetContext, connection: TunnelHost) {
    super(socket, context);
    this.#connection = connection;
  }

  override pause(): void {
    this.#connection.pause();
  }

  override resume(): void {
    this.#connection.resume();
  }

  finish(): void {
    this.#connection.leaveTunnel();
  }

  abort(): void {
    this.#connection.abort();
  }
}
