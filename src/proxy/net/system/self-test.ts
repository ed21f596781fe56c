/** Tries every call on a connection with itself, before anything depends on it. */

import { EAGAIN, EINPROGRESS, errorOf } from './errno.ts';
import {
  EPOLL_ADD,
  EPOLL_MOD,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  IPPROTO_TCP,
  type Kernel,
  SO_ERROR,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from './kernel-interface.ts';
import { setKeepAlive } from './keep-alive-options.ts';
import { PIPE_BYTES } from './pipes.ts';
import { READ_AT, STAGE_AT } from './region.ts';
import { addressIn, AF_INET, portIn, putAddress } from './socket-address.ts';

const HOST = '127.0.0.1';
const WORD = Buffer.from('self-test');
export const GENERATION = 0x12345678;
const WAIT_MS = 1_000;
const KEEP_ALIVE = { idleSeconds: 77, intervalSeconds: 7, probes: 3, unacknowledgedMs: 0 };

/**
 * Returns why bodies cannot be spliced here, '' where they can.
 * @throws with what else did not do as it should
 */
export function selfTest(kernel: Kernel): string {
  const open: number[] = [];
  const opened = (fd: number, call: string): number => {
    open.push(check(fd, call));
    return fd;
  };
  try {
    const epoll = opened(kernel.createEpoll(), 'epoll_create1');
    check(kernel.control(epoll, EPOLL_ADD, kernel.backend, EPOLLIN, 0), 'epoll_ctl');
    const listener = opened(kernel.socket(AF_INET), 'socket');
    check(kernel.setOption(listener, SOL_SOCKET, SO_REUSEADDR, 1), 'setsockopt');
    check(kernel.setOption(listener, SOL_SOCKET, SO_REUSEPORT, 1), 'setsockopt');
    check(kernel.setOption(listener, IPPROTO_TCP, TCP_NODELAY, 1), 'setsockopt');
    check(setKeepAlive(kernel, listener, KEEP_ALIVE), 'setsockopt');
    check(kernel.bind(listener, putAddress(kernel.memory, HOST, 0)), 'bind');
    check(kernel.listen(listener, 1), 'listen');
    expect(kernel.accept(listener), -EAGAIN, 'accept4 of nobody');
    check(kernel.localAddress(listener), 'getsockname');
    const port = portIn(kernel.memory);
    const ours = opened(kernel.socket(AF_INET), 'socket');
    const connecting = kernel.connect(ours, putAddress(kernel.memory, HOST, port));
    if (connecting !== -EINPROGRESS) check(connecting, 'connect');
    check(kernel.control(epoll, EPOLL_ADD, ours, EPOLLOUT | EPOLLET, GENERATION), 'epoll_ctl');
    awaitEvent(kernel, epoll, ours);
    expect(kernel.option(ours, SOL_SOCKET, SO_ERROR), 0, 'getsockopt');
    const theirs = opened(kernel.accept(listener), 'accept4');
    if (addressIn(kernel.memory) !== HOST) throw new Error('accept4 gave another address');
    expect(kernel.option(theirs, IPPROTO_TCP, TCP_NODELAY), 1, 'TCP_NODELAY of accepted sockets');
    const idleSeconds = kernel.option(theirs, IPPROTO_TCP, TCP_KEEPIDLE);
    expect(idleSeconds, KEEP_ALIVE.idleSeconds, 'TCP_KEEPIDLE of accepted sockets');
    expect(kernel.receive(ours, READ_AT, WORD.length), -EAGAIN, 'recv of nothing');
    WORD.copy(kernel.memory, STAGE_AT);
    expect(kernel.send(theirs, STAGE_AT, WORD.length), WORD.length, 'send');
    const events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    check(kernel.control(epoll, EPOLL_MOD, ours, events, GENERATION), 'epoll_ctl');
    awaitEvent(kernel, epoll, ours);
    expect(kernel.receive(ours, READ_AT, 100), WORD.length, 'recv');
    if (WORD.compare(kernel.memory, READ_AT, READ_AT + WORD.length) !== 0)
      throw new Error('recv gave other bytes than were sent');
    check(kernel.unacknowledged(theirs), 'ioctl');
    const unspliced = trySplice(kernel, epoll, { ours, theirs });
    check(kernel.shutdown(theirs), 'shutdown');
    awaitEvent(kernel, epoll, ours);
    expect(kernel.receive(ours, READ_AT, 100), 0, 'recv at the end');
    check(kernel.setReset(ours), 'SO_LINGER');
    return unspliced;
  } finally {
    for (const fd of open) kernel.close(fd);
  }
}

/** From one end to the other and, through a pipe, back. */
function trySplice(kernel: Kernel, epoll: number, ends: { ours: number; theirs: number }): string {
  const { ours, theirs } = ends;
  const pipe: number[] = [];
  try {
    check(kernel.pipe(PIPE_BYTES), 'pipe2');
    pipe.push(kernel.pipeEnd(0), kernel.pipeEnd(1));
    const [output = -1, input = -1] = pipe;
    check(kernel.control(epoll, EPOLL_ADD, theirs, EPOLLIN | EPOLLET, GENERATION), 'epoll_ctl');
    expect(kernel.spliceIn(ours, input, PIPE_BYTES), -EAGAIN, 'splice of nothing');
    expect(kernel.send(theirs, STAGE_AT, WORD.length), WORD.length, 'send');
    awaitEvent(kernel, epoll, ours);
    expect(kernel.unread(ours), WORD.length, 'ioctl');
    expect(kernel.spliceIn(ours, input, PIPE_BYTES), WORD.length, 'splice into a pipe');
    expect(kernel.spliceOut(output, ours, WORD.length), WORD.length, 'splice out of a pipe');
    awaitEvent(kernel, epoll, theirs);
    expect(kernel.receive(theirs, READ_AT, 100), WORD.length, 'recv of what was spliced');
    if (WORD.compare(kernel.memory, READ_AT, READ_AT + WORD.length) !== 0)
      throw new Error('splice passed on other bytes than were sent');
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    for (const fd of pipe) kernel.close(fd);
    // What went astray is not there for what is tried next.
    for (const fd of [ours, theirs]) kernel.receive(fd, READ_AT, 100);
  }
}

export function awaitEvent(kernel: Kernel, epoll: number, fd: number): void {
  for (let tries = 0; tries < 100; tries++) {
    const count = check(kernel.wait(epoll, WAIT_MS), 'epoll_wait');
    for (let i = 0; i < count; i++)
      if (kernel.eventDescriptor(i) === fd && kernel.eventGeneration(i) === GENERATION) return;
    // With the runtime's loop ready, the wait ends at once: the kernel may need a moment for the other end.
    if (count === 0) break;
  }
  throw new Error('epoll_wait told of no event');
}

export function expect(result: number, wanted: number, call: string): void {
  if (result === wanted) return;
  throw new Error(`${call} gave ${result < 0 ? (errorOf(-result).code ?? '') : result}`);
}

export function check(result: number, call: string): number {
  if (result < 0) throw new Error(`${call} failed with ${errorOf(-result).code ?? ''}`);
  return result;
}
