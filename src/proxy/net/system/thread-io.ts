/** What all sockets of a thread share: its kernel, its memory, its event loop. */

import { type KeepAlive, NO_KEEP_ALIVE } from '../keep-alive.ts';
import { type ReservedSpace, reserveSpace } from './datagram-space.ts';
import { EventLoop, type Planner, type Watcher } from './event-loop.ts';
import type { Kernel } from './kernel-interface.ts';
import { Pipes } from './pipes.ts';
import { Region } from './region.ts';
import { AF_INET } from './socket-address.ts';

export class ThreadIo {
  readonly kernel: Kernel;
  readonly region: Region;
  readonly loop: EventLoop;
  readonly keepAlive: KeepAlive;
  readonly pipes: Pipes;
  readonly datagramSpace: ReservedSpace;
  /** Negative while there is none. */
  #spare: number;

  /** @throws when the kernel refuses */
  constructor(kernel: Kernel, planner?: Planner, keepAlive = NO_KEEP_ALIVE) {
    this.keepAlive = keepAlive;
    this.kernel = kernel;
    this.region = new Region(kernel.memory);
    this.datagramSpace = reserveSpace(this.region);
    this.pipes = new Pipes(kernel);
    this.loop = new EventLoop(kernel, planner);
    this.#spare = kernel.socket(AF_INET);
  }

  /** What it has open is for somebody else to watch and to close from now on. */
  release(watcher: Watcher): void {
    this.loop.release(watcher);
    this.kernel.disown(watcher.descriptor);
  }

  /** Runs while one descriptor more than usual is free; not at all when there is none to free. */
  withSpare(run: () => void): void {
    if (this.#spare >= 0) {
      this.kernel.close(this.#spare);
      run();
    }
    this.#spare = this.kernel.socket(AF_INET);
  }
}
