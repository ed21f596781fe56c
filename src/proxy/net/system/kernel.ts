/**
 * The kernel as the sockets of a thread see it. The calls themselves are in `system-calls.ts`; here is what their results mean.
 *
 * The error number stands in memory of the thread until another call fails. The runtime may make one between a call of
 * ours and our look, when it compiles or collects. So a call whose error would end something is made again, and only
 * what both tell is believed.
 */

import { arch } from 'node:os';
import { SO_LINGER } from './call-table.ts';
import {
  EAGAIN,
  EALREADY,
  ECONNRESET,
  EINPROGRESS,
  EISCONN,
  EMFILE,
  endsConnections,
  EPIPE,
} from './errno.ts';
import { SystemDatagramKernel } from './datagram-kernel.ts';
import { EVENT_AT, EVENTS_AT, type Kernel, OPTION_AT, SOL_SOCKET } from './kernel-interface.ts';
import { type Between, openSystemCalls, type SystemCalls } from './system-calls.ts';
import type { ThreadMarks } from './thread-marks.ts';

const EVENT = EVENT_AT >> 2;
const EVENTS = EVENTS_AT >> 2;
const OPTION = OPTION_AT >> 2;
/** Of all descriptors, those that may be a pipe's. */
const PIPES_PART = 0.75;

/**
 * What was opened is noted in `marks`, so that `reclaim` can close it when the thread dies. `between` is for tests.
 * @throws NoSystemCalls where this machine has none
 */
export function openKernel(marks: ThreadMarks, between: Between = (calls) => calls): Kernel {
  return new SystemKernel(openSystemCalls(marks, between));
}

class SystemKernel implements Kernel {
  readonly memory: Buffer<ArrayBuffer>;
  readonly backend: number;
  readonly backendTimeout: () => number;
  readonly backendEvents: () => number;
  readonly datagrams: SystemDatagramKernel;
  readonly #calls: SystemCalls;
  readonly #words: Int32Array;
  /** `struct epoll_event` is packed on x86-64 and has a gap elsewhere. Both in words. */
  readonly #stride: number;
  readonly #dataAt: number;

  constructor(calls: SystemCalls) {
    this.memory = calls.memory;
    this.backend = calls.backend;
    this.backendTimeout = calls.backendTimeout;
    this.backendEvents = calls.backendEvents;
    this.datagrams = new SystemDatagramKernel(calls);
    this.#calls = calls;
    this.#words = calls.words;
    const isX64 = arch() === 'x64';
    this.#stride = isX64 ? 3 : 4;
    this.#dataAt = isX64 ? 1 : 2;
  }

  createEpoll(): number {
    return this.#calls.createEpoll();
  }

  // oxlint-disable-next-line max-params -- those of epoll_ctl(2)
  control(
    epoll: number,
    operation: number,
    fd: number,
    events: number,
    generation: number,
  ): number {
    const words = this.#words;
    words[EVENT] = events;
    words[EVENT + this.#dataAt] = fd;
    words[EVENT + this.#dataAt + 1] = generation;
    const result = this.#calls.control(epoll, operation, fd);
    return result >= 0 ? result : this.#calls.control(epoll, operation, fd);
  }

  wait(epoll: number, timeoutMs: number): number {
    const count = this.#calls.wait(epoll, timeoutMs);
    // Mostly a signal, which is told by the runtime; whatever else there is to tell is told without waiting.
    return count >= 0 ? count : this.#calls.wait(epoll, 0);
  }

  eventMask(index: number): number {
    return this.#words[EVENTS + index * this.#stride] as number;
  }

  eventDescriptor(index: number): number {
    return this.#words[EVENTS + index * this.#stride + this.#dataAt] as number;
  }

  eventGeneration(index: number): number {
    return this.#words[EVENTS + index * this.#stride + this.#dataAt + 1] as number;
  }

  socket(family: number): number {
    const fd = this.#calls.socket(family);
    return fd >= 0 ? fd : this.#calls.socket(family);
  }

  bind(fd: number, length: number): number {
    const result = this.#calls.bind(fd, length);
    return result >= 0 ? result : this.#calls.bind(fd, length);
  }

  listen(fd: number, backlog: number): number {
    const result = this.#calls.listen(fd, backlog);
    return result >= 0 ? result : this.#calls.listen(fd, backlog);
  }

  accept(fd: number): number {
    const accepted = this.#calls.accept(fd);
    return accepted >= 0 || accepted === -EAGAIN ? accepted : this.#calls.accept(fd);
  }

  connect(fd: number, length: number): number {
    const first = this.#calls.connect(fd, length);
    if (first >= 0 || first === -EINPROGRESS) return first;
    const second = this.#calls.connect(fd, length);
    return second === -EALREADY || second === -EISCONN ? -EINPROGRESS : second;
  }

  localAddress(fd: number): number {
    return this.#calls.localAddress(fd);
  }

  setOption(fd: number, level: number, name: number, value: number): number {
    this.#words[OPTION] = value;
    return this.#calls.setOption(fd, level, name, 4);
  }

  setReset(fd: number): number {
    // `struct linger`: on, and for no time.
    this.#words[OPTION] = 1;
    this.#words[OPTION + 1] = 0;
    return this.#calls.setOption(fd, SOL_SOCKET, SO_LINGER, 8);
  }

  option(fd: number, level: number, name: number): number {
    const result = this.#calls.option(fd, level, name);
    return result < 0 ? result : (this.#words[OPTION] as number);
  }

  unacknowledged(fd: number): number {
    const result = this.#calls.unacknowledged(fd);
    return result < 0 ? result : (this.#words[OPTION] as number);
  }

  unread(fd: number): number {
    const result = this.#calls.unread(fd);
    return result < 0 ? result : (this.#words[OPTION] as number);
  }

  pipe(bytes: number): number {
    const calls = this.#calls;
    const result = calls.pipe();
    if (result < 0) return result;
    const [output, input] = [this.pipeEnd(0), this.pipeEnd(1)];
    // The last descriptors are for connections: a body without a pipe is copied.
    const isFree = Math.max(output, input) < calls.descriptorsEnd * PIPES_PART;
    const size = isFree ? calls.sizePipe(input, bytes) : -EMFILE;
    if (size >= bytes) return 0;
    calls.close(output);
    calls.close(input);
    return size < 0 ? size : -EMFILE;
  }

  pipeEnd(which: 0 | 1): number {
    return this.#words[OPTION + which] as number;
  }

  spliceIn(fd: number, pipe: number, bytes: number): number {
    const got = this.#calls.splice(fd, pipe, bytes);
    if (got >= 0 || got === -EAGAIN) return got;
    const second = this.#calls.splice(fd, pipe, bytes);
    if (second !== 0) return second;
    // As in `#receiveAgain`.
    return endsConnections(-got) ? got : -ECONNRESET;
  }

  spliceOut(pipe: number, fd: number, bytes: number): number {
    const sent = this.#calls.splice(pipe, fd, bytes);
    if (sent >= 0 || sent === -EAGAIN) return sent;
    const second = this.#calls.splice(pipe, fd, bytes);
    return second === -EPIPE && endsConnections(-sent) ? sent : second;
  }

  receive(fd: number, at: number, length: number): number {
    const got = this.#calls.read(fd, at, length);
    return got >= 0 || got === -EAGAIN ? got : this.#receiveAgain(-got, fd, at, length);
  }

  /** A dead connection tells its error once, and then an end. */
  #receiveAgain(errno: number, fd: number, at: number, length: number): number {
    const got = this.#calls.read(fd, at, length);
    if (got !== 0) return got;
    return endsConnections(errno) ? -errno : -ECONNRESET;
  }

  send(fd: number, at: number, length: number): number {
    const sent = this.#calls.write(fd, at, length);
    return sent >= 0 || sent === -EAGAIN ? sent : this.#sendAgain(-sent, fd, at, length);
  }

  /** A dead connection tells its error once, and then EPIPE. */
  #sendAgain(errno: number, fd: number, at: number, length: number): number {
    const sent = this.#calls.write(fd, at, length);
    return sent === -EPIPE && endsConnections(errno) ? -errno : sent;
  }

  shutdown(fd: number): number {
    return this.#calls.shutdown(fd);
  }

  close(fd: number): number {
    return this.#calls.close(fd);
  }

  disown(fd: number): void {
    this.#calls.disown(fd);
  }
}
