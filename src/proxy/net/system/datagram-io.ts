/** What all sockets for datagrams of a thread share. */

import { Answers } from './answers.ts';
import { DatagramSpace } from './datagram-space.ts';
import type { EventLoop } from './event-loop.ts';
import type { Kernel } from './kernel-interface.ts';
import type { Region } from './region.ts';
import type { ThreadIo } from './thread-io.ts';

/**
 * So much was read, with what the kernel needs for each datagram: its count of those that it dropped is read again. It drops when
 * more than that waits, and this is read afterwards: no drop is missed, and few datagrams cost a call.
 */
const UNASKED_MAX = 32_768;
const DATAGRAM_EXTRA = 512;

export class DatagramIo {
  readonly kernel: Kernel;
  readonly loop: EventLoop;
  readonly region: Region;
  readonly space: DatagramSpace;
  readonly answers: Answers;

  /** @throws when the region has no room for it */
  constructor({ kernel, loop, region, datagramSpace }: ThreadIo) {
    this.kernel = kernel;
    this.loop = loop;
    this.region = region;
    this.space = new DatagramSpace(kernel, datagramSpace);
    this.answers = new Answers(kernel.datagrams, this.space, loop);
  }

  /** Datagrams that the kernel has dropped for want of room, as far as it tells. */
  overflowed(fd: number): number {
    return Math.max(this.kernel.datagrams.overflowed(fd), 0);
  }

  /** To add to `unasked` for what was read. */
  weightOf(bytes: number, datagrams: number): number {
    return bytes + datagrams * DATAGRAM_EXTRA;
  }

  isToAsk(unasked: number): boolean {
    return unasked >= UNASKED_MAX;
  }
}
