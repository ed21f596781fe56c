/** A listening socket: takes callers in batches. */

import {
  BACKLOG,
  isWithoutIpv6,
  type ListenAt,
  type ListeningSocket,
  type ListenOwner,
} from '../socket.ts';
import { BatchSize } from './batch-size.ts';
import { EAGAIN, EINTR, EMFILE, ENFILE, systemError } from './errno.ts';
import type { Watcher } from './event-loop.ts';
import {
  EPOLLIN,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  type Kernel,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
  TCP_NODELAY,
} from './kernel-interface.ts';
import { setKeepAlive } from './keep-alive-options.ts';
import { addressIn, AF_INET6, familyOf, portIn, putAddress } from './socket-address.ts';
import { SystemSocket } from './system-socket.ts';
import type { ThreadIo } from './thread-io.ts';

/** Callers taken per event; the others stay in the queue for the next look. */
const ACCEPTS_MAX = 64;

/** @throws the error of the system */
export function listenOn(
  io: ThreadIo,
  { address, port }: ListenAt,
  owner: ListenOwner,
): ListeningSocket {
  return onEvery(address, (each) => open(io, { address: each, port }, owner));
}

/** Opens on this address, or, of '', on every address that there is. */
export function onEvery<T>(address: string, open: (address: string) => T): T {
  if (address !== '') return open(address);
  try {
    return open('::');
  } catch (error) {
    if (!isWithoutIpv6(error)) throw error;
    return open('0.0.0.0');
  }
}

function open(io: ThreadIo, at: ListenAt, owner: ListenOwner): ListeningSocket {
  const { kernel } = io;
  const family = familyOf(at.address);
  const fd = must(kernel.socket(family), 'socket');
  try {
    must(kernel.setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1), 'setsockopt');
    must(kernel.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1), 'setsockopt');
    // Accepted sockets have these from their listener.
    must(kernel.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1), 'setsockopt');
    must(setKeepAlive(kernel, fd, io.keepAlive), 'setsockopt');
    if (family === AF_INET6) must(kernel.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0), 'setsockopt');
    must(kernel.bind(fd, putAddress(kernel.memory, at.address, at.port)), 'bind');
    must(kernel.listen(fd, BACKLOG), 'listen');
    must(kernel.localAddress(fd), 'getsockname');
    const listener = new SystemListener(io, fd, portIn(kernel.memory), owner);
    must(io.loop.watch(listener, EPOLLIN), 'epoll_ctl');
    return listener;
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

export function must(result: number, call: string): number {
  if (result < 0) throw systemError(-result, call);
  return result;
}

class SystemListener implements ListeningSocket, Watcher {
  readonly descriptor: number;
  readonly port: number;
  generation = 0;
  readonly #io: ThreadIo;
  readonly #owner: ListenOwner;
  #closed = false;
  /** To ask for a caller who is not there costs the kernel ten times as much as a look: it makes the socket first. */
  readonly #batch = new BatchSize(ACCEPTS_MAX);

  constructor(io: ThreadIo, descriptor: number, port: number, owner: ListenOwner) {
    this.#io = io;
    this.descriptor = descriptor;
    this.port = port;
    this.#owner = owner;
  }

  /** Who waits in the queue is taken before: the kernel would reset them. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { kernel, loop } = this.#io;
    loop.forget(this);
    for (let i = 0; i < BACKLOG; i++) {
      const fd = kernel.accept(this.descriptor);
      if (fd >= 0) this.#owner.onAccept(this.#accepted(fd, kernel));
      else if (fd !== -EINTR) break;
    }
    // Right behind the last look: whoever comes in between is lost.
    kernel.close(this.descriptor);
  }

  onEvents(): void {
    const { kernel } = this.#io;
    const wanted = this.#batch.size;
    for (let i = 0; i < wanted && !this.#closed; i++) {
      const fd = kernel.accept(this.descriptor);
      if (fd === -EAGAIN) return this.#batch.short(i);
      if (fd >= 0) this.#owner.onAccept(this.#accepted(fd, kernel));
      else if (fd !== -EINTR) {
        this.#owner.onAcceptFailed();
        return this.#refuse(-fd);
      }
    }
    this.#batch.full(this.#io.loop.looks);
  }

  onTurn(): void {
    // Listeners ask for none.
  }

  #accepted(fd: number, { memory }: Kernel): SystemSocket {
    return new SystemSocket(this.#io, fd, addressIn(memory), portIn(memory));
  }

  /** Whoever waits in the queue would be told of again and again: all are let go of, with the descriptor kept for that. */
  #refuse(errno: number): void {
    if (errno !== EMFILE && errno !== ENFILE) return;
    const { kernel } = this.#io;
    this.#io.withSpare(() => {
      for (let i = 0; i < BACKLOG; i++) {
        const fd = kernel.accept(this.descriptor);
        if (fd >= 0) {
          if (this.#owner.resets === true) kernel.setReset(fd);
          kernel.close(fd);
        } else if (fd !== -EINTR) return;
      }
    });
  }
}
