/** The sockets of one thread that calls the kernel itself. */

import {
  type DialOwner,
  type ListenAt,
  type ListeningSocket,
  type ListenOwner,
  type Socket,
  type Sockets,
  type Target,
} from '../socket.ts';
import { EventLoop } from './event-loop.ts';
import type { Kernel } from './kernel-interface.ts';
import { listenOn } from './system-listener.ts';
import { Region } from './region.ts';
import { AF_INET } from './socket-address.ts';
import { SystemSocket } from './system-socket.ts';

export class SystemSockets implements Sockets {
  readonly kind = 'system';
  readonly copies = true;
  readonly kernel: Kernel;
  readonly region: Region;
  readonly loop: EventLoop;
  readonly readBuffer: Buffer<ArrayBuffer>;

  /** Negative while there is none. */
  #spare: number;

  /** @throws when the kernel refuses */
  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.region = new Region(kernel.memory);
    this.loop = new EventLoop(kernel);
    this.readBuffer = this.region.readBuffer;
    this.#spare = kernel.socket(AF_INET);
  }

  /** Runs while one descriptor more than usual is free; not at all when there is none to free. */
  withSpare(run: () => void): void {
    if (this.#spare >= 0) {
      this.kernel.close(this.#spare);
      run();
    }
    this.#spare = this.kernel.socket(AF_INET);
  }

  allocate(bytes: number): Buffer<ArrayBuffer> {
    return this.region.allocate(bytes);
  }

  // oxlint-disable-next-line require-await -- what it throws is the rejection
  async listen(at: ListenAt, owner: ListenOwner): Promise<ListeningSocket> {
    return listenOn(this, at, owner);
  }

  dial(target: Target, owner: DialOwner): Socket {
    return SystemSocket.dial(this, target, owner);
  }
}
