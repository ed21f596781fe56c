/** The side of a tunnel at a caller of TCP: whatever its endpoint says speaks for the endpoint, and how it ends may not. */

import { CallerEnd, type CallerTunnelHost } from '../net/caller-end.ts';
import type { NetContext } from '../net/context.ts';
import type { Socket } from '../net/socket.ts';

export interface PraisingHost extends CallerTunnelHost {
  wake(): void;
  praise(): void;
  /** Its endpoint says no more. */
  onLastWord(): void;
}

export class PraisingEnd extends CallerEnd {
  readonly #caller: PraisingHost;

  constructor(socket: Socket, context: NetContext, caller: PraisingHost) {
    super(socket, context, caller);
    this.#caller = caller;
  }

  override write(data: Buffer | null, start: number, end: number): boolean {
    this.#caller.wake();
    this.#caller.praise();
    return super.write(data, start, end);
  }

  override endWriting(): void {
    this.#caller.onLastWord();
    super.endWriting();
  }
}
