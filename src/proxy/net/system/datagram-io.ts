/** What all sockets for datagrams of a thread share. */

import { Answers } from './answers.ts';
import { DatagramSpace } from './datagram-space.ts';
import type { EventLoop } from './event-loop.ts';
import type { Kernel } from './kernel-interface.ts';
import type { Region } from './region.ts';
import type { ThreadIo } from './thread-io.ts';

export class DatagramIo {
  readonly kernel: Kernel;
  readonly loop: EventLoop;
  readonly region: Region;
  readonly space: DatagramSpace;
  readonly answers: Answers;

  /** @throws when the region is full */
  constructor({ kernel, loop, region }: ThreadIo) {
    this.kernel = kernel;
    this.loop = loop;
    this.region = region;
    this.space = new DatagramSpace(kernel, region);
    this.answers = new Answers(kernel.datagrams, this.space, loop);
  }

  /** Datagrams that the kernel has dropped for want of room, as far as it tells. */
  overflowed(fd: number): number {
    return Math.max(this.kernel.datagrams.overflowed(fd), 0);
  }
}
