/** The side of a tunnel at a caller. */

import type { NetContext } from './context.ts';
import type { Socket } from './socket.ts';
import { SocketEnd, type TunnelHost } from './socket-end.ts';

/** The connection of the caller that the tunnel runs on. */
export interface CallerTunnelHost extends TunnelHost {
  pause(): void;
  resume(): void;
}

export class CallerEnd extends SocketEnd {
  readonly #caller: CallerTunnelHost;

  constructor(socket: Socket, context: NetContext, caller: CallerTunnelHost) {
    super(socket, context, caller);
    this.#caller = caller;
  }

  override pause(): void {
    this.#caller.pause();
  }

  override resume(): void {
    this.#caller.resume();
  }
}
