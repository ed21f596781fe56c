/**
 * Datagrams as the sockets of a thread see them. As in `kernel.ts`, a call that failed is made again, since the number of its error
 * may be that of another call: what both tell is believed. A socket to an endpoint tells of an ICMP error once, by whatever call
 * comes next; so the second one does what the first was for. The error itself stands in a queue, from where it comes as data.
 */

import { EAGAIN } from './errno.ts';
import { type DatagramKernel, MEMINFO_AT, type MessageSizes } from './kernel-interface.ts';
import type { SystemCalls } from './system-calls.ts';

/** SK_MEMINFO_DROPS. */
const DROPS = (MEMINFO_AT >> 2) + 8;

export class SystemDatagramKernel implements DatagramKernel {
  readonly #calls: SystemCalls;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
  }

  socket(family: number): number {
    const fd = this.#calls.datagramSocket(family);
    return fd >= 0 ? fd : this.#calls.datagramSocket(family);
  }

  receive(fd: number, at: number, length: number): number {
    const got = this.#calls.read(fd, at, length);
    return got >= 0 || got === -EAGAIN ? got : this.#calls.read(fd, at, length);
  }

  send(fd: number, at: number, length: number): number {
    const sent = this.#calls.write(fd, at, length);
    return sent >= 0 || sent === -EAGAIN ? sent : this.#calls.write(fd, at, length);
  }

  receiveAt(at: number): void {
    this.#calls.receiveAt(at);
  }

  receiveMany(fd: number): number {
    const count = this.#calls.receiveMany(fd, false);
    return count >= 0 || count === -EAGAIN ? count : this.#calls.receiveMany(fd, false);
  }

  receiveErrors(fd: number): number {
    const count = this.#calls.receiveMany(fd, true);
    return count >= 0 || count === -EAGAIN ? count : this.#calls.receiveMany(fd, true);
  }

  bytes(index: number): number {
    return this.#calls.messageBytes(index);
  }

  controlBytes(index: number): number {
    return this.#calls.controlBytes(index);
  }

  put(message: number, at: number, sizes: MessageSizes): void {
    this.#calls.putMessage(message, at, sizes);
  }

  sendMany(fd: number, first: number, count: number): number {
    const sent = this.#calls.sendMany(fd, first, count);
    return sent >= 0 || sent === -EAGAIN ? sent : this.#calls.sendMany(fd, first, count);
  }

  overflowed(fd: number): number {
    const result = this.#calls.memoryInfo(fd);
    return result < 0 ? result : (this.#calls.words[DROPS] as number);
  }
}
