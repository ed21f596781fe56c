/** A socket that takes the datagrams of all callers of a port, in batches, and answers them. */

import {
  DATAGRAM_BYTES_MAX,
  type DatagramListener,
  type DatagramListenOwner,
  RECEIVE_BUFFER_BYTES,
  reportDefect,
  tellError,
} from '../datagram.ts';
import { Peer } from '../peer.ts';
import type { ListenAt } from '../socket.ts';
import type { Answerer } from './answers.ts';
import type { DatagramIo } from './datagram-io.ts';
import { EAGAIN, EMSGSIZE, ENOBUFS, errorOf } from './errno.ts';
import type { Watcher } from './event-loop.ts';
import {
  EPOLLERR,
  EPOLLIN,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  type Kernel,
  SO_ERROR,
  SO_RCVBUF,
  SO_REUSEPORT,
  SOL_SOCKET,
} from './kernel-interface.ts';
import { OwedErrors } from './owed-errors.ts';
import { addressIn, AF_INET6, familyOf, portIn, putAddress } from './socket-address.ts';
import { must, onEvery } from './system-listener.ts';

/** A datagram that is passed on is several calls: so many are as much work as an event of a connection. */
const DATAGRAMS_PER_EVENT = 4;

/** @throws the error of the system */
export function listenForDatagrams(
  io: DatagramIo,
  { address, port }: ListenAt,
  owner: DatagramListenOwner,
): DatagramListener {
  return onEvery(address, (each) => open(io, { address: each, port }, owner));
}

function open(io: DatagramIo, at: ListenAt, owner: DatagramListenOwner): DatagramListener {
  const { kernel, loop } = io;
  const family = familyOf(at.address);
  const isV6 = family === AF_INET6;
  const fd = must(kernel.datagrams.socket(family), 'socket');
  try {
    // Without SO_REUSEADDR, which for datagrams would let anybody take the port over.
    must(kernel.setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1), 'setsockopt');
    // The kernel gives what it may.
    kernel.setOption(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    if (isV6) must(kernel.setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0), 'setsockopt');
    const isEvery = at.address === '::' || at.address === '0.0.0.0';
    if (isEvery) must(tellLocal(kernel, fd, isV6), 'setsockopt');
    must(kernel.bind(fd, putAddress(kernel.memory, at.address, at.port)), 'bind');
    must(kernel.localAddress(fd), 'getsockname');
    const listener = new SystemDatagramListener(io, fd, { family, isEvery }, owner);
    must(loop.watch(listener, EPOLLIN), 'epoll_ctl');
    return listener;
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

/** Each datagram comes with the address of ours that it was sent to. */
function tellLocal(kernel: Kernel, fd: number, isV6: boolean): number {
  if (isV6) return kernel.setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  return kernel.setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

class SystemDatagramListener implements DatagramListener, Watcher, Answerer {
  readonly descriptor: number;
  readonly family: number;
  readonly isEvery: boolean;
  readonly port: number;
  generation = 0;
  unsent = 0;
  readonly #io: DatagramIo;
  readonly #owner: DatagramListenOwner;
  /** Its address is our end of each datagram; only where it is one. */
  readonly #local = new Peer();
  readonly #owed = new OwedErrors();
  overflowed = 0;
  /** What was read since the kernel was last asked for that. */
  #unasked = 0;
  #closed = false;

  /** Its own address stands at ADDRESS_AT. */
  constructor(
    io: DatagramIo,
    descriptor: number,
    { family, isEvery }: { readonly family: number; readonly isEvery: boolean },
    owner: DatagramListenOwner,
  ) {
    this.#io = io;
    this.descriptor = descriptor;
    this.family = family;
    this.isEvery = isEvery;
    this.port = portIn(io.kernel.memory);
    this.#owner = owner;
    if (!isEvery) this.#local.setLocal(addressIn(io.kernel.memory));
  }

  send(peer: Peer, data: Buffer, start: number, end: number): void {
    if (this.#closed) return;
    if (end - start > DATAGRAM_BYTES_MAX) return this.lost(EMSGSIZE);
    this.#io.answers.add(this, peer, data, start, end);
  }

  lost(errno: number): void {
    this.unsent++;
    if (this.#closed || errno === EAGAIN || errno === ENOBUFS) return;
    if (this.#owed.isEmpty) this.#io.loop.later(this);
    this.#owed.add(errorOf(errno));
  }

  close(): void {
    if (this.#closed) return;
    this.#io.answers.flush();
    this.overflowed = this.#io.overflowed(this.descriptor);
    this.#closed = true;
    this.#io.loop.forget(this);
    this.#io.kernel.close(this.descriptor);
  }

  onEvents(mask: number): void {
    const { kernel, loop, space } = this.#io;
    // Nothing comes of it here but that it is not told again.
    if ((mask & EPOLLERR) !== 0) kernel.option(this.descriptor, SOL_SOCKET, SO_ERROR);
    const { datagrams } = kernel;
    const count = datagrams.receiveMany(this.descriptor);
    if (count <= 0) return;
    loop.spend(count / DATAGRAMS_PER_EVENT);
    const { peer } = space;
    let bytes = 0;
    for (let i = 0; i < count && !this.#closed; i++) {
      bytes += datagrams.bytes(i);
      space.readPeer(i, this.isEvery ? datagrams.controlBytes(i) : 0);
      if (!this.isEvery) peer.setLocalOf(this.#local);
      try {
        this.#owner.onDatagram(space.data[i] as Buffer, datagrams.bytes(i), peer);
      } catch (error) {
        reportDefect(this.#owner, error);
      }
    }
    if (!this.#closed) this.#hasRead(bytes, count);
  }

  #hasRead(bytes: number, count: number): void {
    this.#unasked += this.#io.weightOf(bytes, count);
    if (!this.#io.isToAsk(this.#unasked)) return;
    this.#unasked = 0;
    this.overflowed = this.#io.overflowed(this.descriptor);
  }

  onTurn(): void {
    this.#owed.tell((error) => {
      if (this.#closed) return false;
      tellError(this.#owner, error);
      return true;
    });
  }
}
