/**
 * A socket to one endpoint. What the network says of its datagrams (nobody listens, no way there) the kernel keeps in a queue,
 * which is read when an event tells of it; a call that fails meanwhile fails for that reason, and is made again.
 */

import {
  type DatagramOwner,
  type DatagramSocket,
  NOT_OPEN,
  reportDefect,
  tellError,
} from '../datagram.ts';
import { type Ends, READ_BYTES, type SocketError, type Target } from '../socket.ts';
import { BatchSize } from './batch-size.ts';
import type { DatagramIo } from './datagram-io.ts';
import { EMSGSIZE, errorOf } from './errno.ts';
import type { Watcher } from './event-loop.ts';
import {
  DATAGRAMS_MAX,
  EPOLLERR,
  EPOLLIN,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  SO_ERROR,
  SOL_SOCKET,
} from './kernel-interface.ts';
import { OwedErrors } from './owed-errors.ts';
import { READ_AT, STAGE_AT, STAGE_BYTES } from './region.ts';
import { addressIn, AF_INET6, familyOf, portIn, putAddress } from './socket-address.ts';

/** Events of an error that is not found, before the kernel is asked to keep none. */
const VAIN_MAX = 4;

export class SystemDatagramSocket implements DatagramSocket, Watcher {
  readonly descriptor: number;
  generation = 0;
  unsent = 0;
  readonly #io: DatagramIo;
  readonly #owner: DatagramOwner;
  readonly #target: Target;
  readonly #batch = new BatchSize(DATAGRAMS_MAX);
  readonly #isV6: boolean;
  #owed: OwedErrors | null = null;
  overflowed = 0;
  #unasked = 0;
  #closed = false;
  /** It could not be opened. */
  #failed = 0;
  #vain = 0;

  /** Whatever goes wrong is told later. */
  constructor(io: DatagramIo, target: Target, owner: DatagramOwner) {
    const { kernel } = io;
    this.#io = io;
    this.#owner = owner;
    this.#target = target;
    const family = familyOf(target.address);
    this.#isV6 = family === AF_INET6;
    this.descriptor = kernel.datagrams.socket(family);
    const result = this.descriptor < 0 ? this.descriptor : this.#connect();
    if (result < 0) this.#fail(-result);
  }

  #connect(): number {
    const { kernel, loop } = this.#io;
    const { address, port } = this.#target;
    // Without it the kernel tells of few errors.
    this.#keepErrors(1);
    const connected = kernel.connect(this.descriptor, putAddress(kernel.memory, address, port));
    return connected < 0 ? connected : loop.watch(this, EPOLLIN);
  }

  ends(): Ends {
    const { address: remoteAddress, port: remotePort } = this.#target;
    const { kernel } = this.#io;
    if (!this.#isOpen() || kernel.localAddress(this.descriptor) < 0)
      return { localAddress: '', localPort: 0, remoteAddress, remotePort };
    const { memory } = kernel;
    return {
      localAddress: addressIn(memory),
      localPort: portIn(memory),
      remoteAddress,
      remotePort,
    };
  }

  send(data: Buffer, start: number, end: number): SocketError | null {
    if (!this.#isOpen()) return NOT_OPEN;
    const { kernel, region } = this.#io;
    const length = end - start;
    const offset = region.offsetOf(data);
    let sent = -EMSGSIZE;
    if (offset >= 0) sent = kernel.datagrams.send(this.descriptor, offset + start, length);
    else if (length <= STAGE_BYTES) {
      region.stage(data, start, end);
      sent = kernel.datagrams.send(this.descriptor, STAGE_AT, length);
    }
    if (sent >= 0) return null;
    this.unsent++;
    return errorOf(-sent);
  }

  close(): void {
    if (this.#closed) return;
    const isOpen = this.#isOpen();
    this.#closed = true;
    if (isOpen) this.#release();
  }

  onEvents(mask: number): void {
    if ((mask & EPOLLERR) !== 0) this.#readErrors();
    if ((mask & EPOLLIN) !== 0) this.#read();
  }

  onTurn(): void {
    if (this.#closed || this.#failed === 0) return;
    this.#closed = true;
    try {
      this.#owner.onFailed(errorOf(this.#failed));
    } catch (error) {
      reportDefect(this.#owner, error);
    }
  }

  #isOpen(): boolean {
    return !this.#closed && this.#failed === 0;
  }

  #read(): void {
    const { kernel, loop, region } = this.#io;
    const wanted = this.#batch.size;
    for (let reads = 0; reads < wanted; reads++) {
      if (this.#closed) return;
      const got = kernel.datagrams.receive(this.descriptor, READ_AT, READ_BYTES);
      if (got < 0) {
        this.#batch.short(reads);
        return;
      }
      if (reads > 0) loop.spend(1);
      this.#hasRead(got);
      try {
        this.#owner.onDatagram(region.readBuffer, got);
      } catch (error) {
        reportDefect(this.#owner, error);
      }
    }
    this.#batch.full(loop.looks);
  }

  /** As that of a listener. */
  #hasRead(bytes: number): void {
    this.#unasked += this.#io.weightOf(bytes, 1);
    if (!this.#io.isToAsk(this.#unasked)) return;
    this.#unasked = 0;
    this.overflowed = this.#io.overflowed(this.descriptor);
  }

  #readErrors(): void {
    const { kernel, space } = this.#io;
    const { datagrams } = kernel;
    const count = datagrams.receiveErrors(this.descriptor);
    this.#owed ??= new OwedErrors();
    for (let i = 0; i < count; i++) {
      const error = space.errorAt(i, datagrams.controlBytes(i), this.#target.address);
      if (error !== null) this.#owed.add(error);
    }
    if (count > 0) this.#vain = 0;
    else {
      const errno = kernel.option(this.descriptor, SOL_SOCKET, SO_ERROR);
      if (errno > 0) this.#owed.add(errorOf(errno));
      // An error that stays is told at each look.
      else if (++this.#vain >= VAIN_MAX) this.#keepErrors(0);
    }
    this.#tellOwed();
  }

  #keepErrors(isOn: 0 | 1): void {
    const { kernel } = this.#io;
    if (this.#isV6) kernel.setOption(this.descriptor, IPPROTO_IPV6, IPV6_RECVERR, isOn);
    else kernel.setOption(this.descriptor, IPPROTO_IP, IP_RECVERR, isOn);
  }

  #tellOwed(): void {
    this.#owed?.tell((error) => {
      if (this.#closed) return false;
      tellError(this.#owner, error);
      return true;
    });
  }

  #fail(errno: number): void {
    this.#failed = errno;
    if (this.descriptor >= 0) this.#release();
    this.#io.loop.later(this);
  }

  #release(): void {
    this.#io.loop.forget(this);
    this.#io.kernel.close(this.descriptor);
  }
}
