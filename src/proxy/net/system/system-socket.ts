/**
 * A connection that this thread drives itself. Events are told once per change: what is known of the socket is kept here,
 * and a pause costs no call. What the kernel does not take is copied to slabs and sent when there is room.
 *
 *   dialled ──► connecting ──┐
 *   accepted ────────────────┴──► open ──► our half closed, their half closed ──► destroyed ──► onClose
 */

import { openDescriptor } from '../runtime/runtime-socket.ts';
import {
  type Accepted,
  type DialOwner,
  type Ends,
  giveUp,
  HIGH_WATER_BYTES,
  isOfDead,
  READ_BYTES,
  type RuntimeHandle,
  type Socket,
  type SocketError,
  type SocketOwner,
  type Target,
} from '../socket.ts';
import { EAGAIN, ECONNRESET, EINPROGRESS, EINTR, EPIPE, errorOf } from './errno.ts';
import type { Watcher } from './event-loop.ts';
import type { KeepAlive } from '../keep-alive.ts';
import { changeKeepAlive, setKeepAlive } from './keep-alive-options.ts';
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  IPPROTO_TCP,
  SO_ERROR,
  SOL_SOCKET,
  TCP_NODELAY,
} from './kernel-interface.ts';
import type { Pipe } from './pipes.ts';
import { READ_AT, STAGE_AT } from './region.ts';
import { familyOf, localEnd, putAddress } from './socket-address.ts';
import { type SpliceSink, Splicing } from './splicing.ts';
import { TELL_CONNECT, TELL_DRAIN, TELL_END, TELL_SPLICED, TELL_WRITE_FAILED } from './tells.ts';
import type { ThreadIo } from './thread-io.ts';
import { Waiting } from './waiting.ts';

const READS = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
const BOTH = READS | EPOLLOUT;
/** Reads of one connection before others have their turn … */
const READS_MAX = 4;
/** … and while so many of them wait for it already, when each reads once. */
const CROWD = 4;

export class SystemSocket implements Socket, Accepted, Watcher, SpliceSink {
  readonly copies = true;
  readonly descriptor: number;
  generation = 0;
  remoteAddress: string;
  remotePort: number;
  connecting = false;
  destroyed = false;
  isPaused = false;
  bytesWritten = 0;
  /** What is paused is not read. */
  readonly unreadBytes = 0;
  writableNeedDrain = false;
  writeFailed = false;
  readonly #io: ThreadIo;
  #owner: SocketOwner | null = null;
  /** Set for a connection that we opened: it learns of a failed write before the end. */
  #dialOwner: DialOwner | null = null;
  #waiting: Waiting | null = null;
  /** There may be something to read. */
  #readable = false;
  #splicing: Splicing | null = null;
  /** Of EPOLLRDHUP, EPOLLHUP and EPOLLERR, what was seen so far. */
  #hangUp = 0;
  /** Urgent data came: a read ends before it, whatever stands behind. */
  #wasUrgent = false;
  #watchesWrites = false;
  #hasTurn = false;
  /** The peer's FIN was read. */
  #ended = false;
  /** `end` was called … */
  #ending = false;
  /** … and everything is with the kernel. */
  #finished = false;
  #closesWhenFinished = false;
  /** Why it closes, or why nothing can be written any more. */
  #error: SocketError | null = null;
  #owesWriteFailed = false;

  constructor(io: ThreadIo, descriptor: number, address: string, port: number) {
    this.#io = io;
    this.descriptor = descriptor;
    this.remoteAddress = address;
    this.remotePort = port;
  }

  /** Opens a connection; whatever goes wrong is told later. */
  static dial(io: ThreadIo, target: Target, owner: DialOwner, unwatched = false): SystemSocket {
    const { kernel } = io;
    const fd = kernel.socket(familyOf(target.address));
    const socket = new SystemSocket(io, fd, target.address, target.port);
    socket.#owner = owner;
    socket.#dialOwner = owner;
    socket.connecting = true;
    if (fd < 0) {
      socket.#fail(-fd);
      return socket;
    }
    kernel.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (!unwatched) setKeepAlive(kernel, fd, io.keepAlive);
    const result = kernel.connect(fd, putAddress(kernel.memory, target.address, target.port));
    if (result < 0 && result !== -EINPROGRESS && result !== -EINTR) socket.#fail(-result);
    else socket.#watch(BOTH);
    return socket;
  }

  handOver(owner: SocketOwner): void {
    this.#owner = owner;
  }

  release(): RuntimeHandle | null {
    if (this.destroyed || this.connecting || this.writableLength > 0) return null;
    // Before anything of it is let go of: it throws where the runtime does not take it.
    const handle = openDescriptor(this.descriptor);
    this.#io.release(this);
    this.destroyed = true;
    this.#owner = null;
    return handle;
  }

  adopt(owner: SocketOwner): Socket {
    this.#owner = owner;
    this.#watch(READS);
    return this;
  }

  get writableLength(): number {
    return this.#waiting === null ? 0 : this.#waiting.bytes;
  }

  ends(): Ends {
    const local = localEnd(this.#io.kernel, this.destroyed ? -1 : this.descriptor);
    return { ...local, remoteAddress: this.remoteAddress, remotePort: this.remotePort };
  }

  write(data: Buffer, start: number, end: number): boolean {
    if (this.destroyed || this.#ending) return false;
    this.bytesWritten += end - start;
    if (this.writeFailed) return false;
    let at = start;
    if (!this.connecting && this.writableLength === 0) {
      at = this.#send(data, start, end);
      if (at === end || at < 0) return at === end;
    }
    this.#waiting ??= new Waiting(this.#io);
    this.#waiting.add(data, at, end);
    if (this.#waiting.bytes >= HIGH_WATER_BYTES) this.writableNeedDrain = true;
    if (!this.#watchesWrites) this.#watchWrites();
    return !this.writableNeedDrain;
  }

  watchPeer(keepAlive: KeepAlive): void {
    if (!this.destroyed) changeKeepAlive(this.#io.kernel, this.descriptor, keepAlive);
  }

  end(): void {
    if (this.#ending || this.destroyed) return;
    this.#ending = true;
    if (!this.connecting && this.writableLength === 0) this.#finish();
  }

  destroySoon(): void {
    this.end();
    if (this.#finished) this.destroy();
    else this.#closesWhenFinished = true;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.connecting = false;
    this.writableNeedDrain = false;
    this.#waiting?.drop();
    this.#waiting = null;
    this.#splicing?.end();
    if (this.descriptor >= 0) {
      this.#io.loop.forget(this);
      this.#io.kernel.close(this.descriptor);
    }
    this.#takeTurn();
  }

  reset(): void {
    if (this.destroyed) return;
    if (!this.connecting) this.#io.kernel.setReset(this.descriptor);
    this.destroy();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    if (this.#readable) this.#takeTurn();
  }

  spliceTo(sink: Socket, bytes: number): boolean {
    if (!(sink instanceof SystemSocket)) return false;
    this.#splicing ??= new Splicing(this.#io);
    this.#splicing.begin(sink, bytes);
    return true;
  }

  get takesSplices(): boolean {
    const isOpen = !this.connecting && !this.destroyed && !this.#ending && !this.writeFailed;
    return isOpen && this.#waiting === null;
  }

  takePipe(pipe: Pipe): void {
    this.bytesWritten += pipe.bytes;
    if (this.#sendPipe(pipe)) return this.#io.pipes.give(pipe);
    this.#waiting = new Waiting(this.#io);
    this.#waiting.pipe = pipe;
    this.writableNeedDrain = true;
    if (!this.#watchesWrites) this.#watchWrites();
  }

  mayHaveMore(): boolean {
    if (this.destroyed || this.#hangUp !== 0) return true;
    return this.#io.kernel.unread(this.descriptor) !== 0;
  }

  unsentBytes(): number {
    if (this.destroyed) return 0;
    const inKernel = this.#io.kernel.unacknowledged(this.descriptor);
    return this.writableLength + Math.max(inKernel, 0);
  }

  peerState(): 'open' | 'closing' | 'gone' {
    // Once both halves are closed in order, the kernel says "hung up" as well.
    const dead = this.#finished ? EPOLLERR : EPOLLERR | EPOLLHUP;
    if (this.destroyed || (this.#hangUp & dead) !== 0) return 'gone';
    return this.#hangUp === 0 ? 'open' : 'closing';
  }

  /** There is nothing more to wait for: where the kernel seems to say so, its error number was lost. */
  #isDead(): boolean {
    return (this.#hangUp & (EPOLLERR | EPOLLHUP)) !== 0;
  }

  onEvents(mask: number): void {
    if (this.connecting && !this.#connected(mask)) return;
    // Before an answer that is read now: its reader must not take the connection for one that can be used again.
    this.#tellWriteFailed();
    if (this.destroyed) return;
    if ((mask & EPOLLPRI) !== 0) this.#wasUrgent = true;
    if ((mask & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) {
      this.#hangUp |= mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
      this.#readable = true;
    }
    if ((mask & EPOLLOUT) !== 0 && this.#waiting !== null) {
      this.#flush();
      this.#tellWriteFailed();
    }
    // A dead connection takes nothing more, and what it has for us ends with the error. Who waits for its turn reads then.
    if (this.#readable && !this.isPaused && !this.#hasTurn) this.#read();
  }

  onTurn(): void {
    this.#hasTurn = false;
    const owner = this.#owner;
    if (owner === null) return;
    if (this.destroyed) {
      this.#owner = null;
      this.#dialOwner = null;
      try {
        owner.onClose(this.#error);
      } catch (error) {
        giveUp(this, owner, error);
      }
      return;
    }
    this.#tellWriteFailed();
    if (this.#readable && !this.isPaused && !this.destroyed) this.#read();
  }

  #tellWriteFailed(): void {
    if (!this.#owesWriteFailed) return;
    this.#owesWriteFailed = false;
    this.#tell(TELL_WRITE_FAILED);
  }

  #watch(events: number): void {
    this.#watchesWrites = (events & EPOLLOUT) !== 0;
    const result = this.#io.loop.watch(this, events);
    if (result < 0) this.#fail(-result);
  }

  #watchWrites(): void {
    this.#watchesWrites = true;
    const result = this.#io.loop.rewatch(this, BOTH);
    if (result < 0) this.#fail(-result);
  }

  /** False when it does not stand, or not yet. */
  #connected(mask: number): boolean {
    if ((mask & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return false;
    // Where there is no error, nobody need ask for its number.
    const isWell = (mask & (EPOLLERR | EPOLLHUP)) === 0;
    const errno = isWell ? 0 : this.#io.kernel.option(this.descriptor, SOL_SOCKET, SO_ERROR);
    if (errno !== 0) {
      this.#fail(Math.abs(errno));
      return false;
    }
    this.connecting = false;
    this.#tell(TELL_CONNECT);
    if (this.destroyed) return false;
    if (this.#waiting === null && this.#ending) this.#finish();
    return !this.destroyed;
  }

  #read(): void {
    for (let reads = 0; this.#readable && !this.isPaused && !this.destroyed; reads++) {
      if (reads >= READS_MAX || (reads > 0 && this.#io.loop.waiting >= CROWD))
        return this.#takeTurn();
      const moved = this.#splicing === null ? 0 : this.#splicing.move(this.descriptor);
      if (moved === 0) this.#receive();
      else if (moved < 0) this.#fail(-moved);
      else {
        // It may have been as much as several reads, at half their price.
        reads++;
        this.#tell(TELL_SPLICED, moved);
      }
    }
  }

  #receive(): void {
    const { kernel, region } = this.#io;
    const got = kernel.receive(this.descriptor, READ_AT, READ_BYTES);
    if (got === 0) return this.#end();
    if (got < 0) return this.#cannotRead(-got);
    this.#splicing?.came(got);
    // Less than there was room for is all there was; a FIN or error behind it is known by then, or comes as an event.
    if (got < READ_BYTES && this.#hangUp === 0 && !this.#wasUrgent) this.#readable = false;
    try {
      (this.#owner as SocketOwner).onData(region.readBuffer, got);
    } catch (error) {
      giveUp(this, this.#owner as SocketOwner, error);
    }
  }

  #cannotRead(errno: number): void {
    if (errno === EINTR) return;
    if (errno !== EAGAIN) this.#fail(errno);
    else if (this.#isDead()) this.#fail(ECONNRESET);
    else this.#readable = false;
  }

  #end(): void {
    this.#readable = false;
    if (this.#ended) return;
    this.#ended = true;
    // After a failed write the kernel tells of a reset as of an end.
    if (this.writeFailed) return this.destroy();
    // Some call before was told of the error, which came as another number.
    if ((this.#hangUp & EPOLLERR) !== 0) return this.#fail(ECONNRESET);
    this.#tell(TELL_END);
    if (this.#finished) this.destroy();
  }

  /** Sends what the kernel takes and returns where it came to; -1 when the connection failed. */
  #send(data: Buffer, start: number, end: number): number {
    const { region } = this.#io;
    const offset = region.offsetOf(data);
    let at = start;
    while (at < end) {
      const length = offset < 0 ? region.stage(data, at, end) : end - at;
      const from = offset < 0 ? STAGE_AT : offset + at;
      const sent = this.#io.kernel.send(this.descriptor, from, length);
      if (sent > 0) at += sent;
      if (sent === length || sent === -EINTR) continue;
      if (sent >= 0 || (sent === -EAGAIN && !this.#isDead())) return at;
      this.#cannotWrite(sent === -EAGAIN ? EPIPE : -sent);
      return -1;
    }
    return at;
  }

  /** False when the kernel does not take all of it now; what is left after a failure is for nobody. */
  #sendPipe(pipe: Pipe): boolean {
    while (pipe.bytes > 0) {
      const sent = this.#io.kernel.spliceOut(pipe.output, this.descriptor, pipe.bytes);
      if (sent > 0) pipe.bytes -= sent;
      else if (sent === -EAGAIN && !this.#isDead()) return false;
      else if (sent !== -EINTR) {
        this.#cannotWrite(sent === -EAGAIN ? EPIPE : -sent);
        break;
      }
    }
    return true;
  }

  /** There is room in the kernel again. */
  #flush(): void {
    const waiting = this.#waiting as Waiting;
    if (waiting.pipe !== null) {
      if (!this.#sendPipe(waiting.pipe) || this.#waiting === null) return;
      waiting.dropPipe();
    }
    for (let piece = waiting.first; piece !== undefined; piece = waiting.first) {
      const at = this.#send(piece.data, piece.start, piece.end);
      if (at < 0) return;
      if (!waiting.sent(piece, at)) return;
    }
    this.#waiting = null;
    if (this.writableNeedDrain) {
      this.writableNeedDrain = false;
      this.#tell(TELL_DRAIN);
    }
    if (this.#ending && !this.#finished && !this.destroyed && this.writableLength === 0)
      this.#finish();
  }

  #finish(): void {
    this.#finished = true;
    // All of the peer was read: to close says the same as to end our half first.
    if (this.#ended) return this.destroy();
    // That the peer has reset it meanwhile is told by the next read.
    this.#io.kernel.shutdown(this.descriptor);
    if (this.#closesWhenFinished) this.destroy();
  }

  #cannotWrite(errno: number): void {
    const error = errorOf(errno);
    if (this.#dialOwner === null || this.#ended || !isOfDead(error)) return this.#fail(errno);
    this.#error = error;
    this.writeFailed = true;
    this.#owesWriteFailed = true;
    this.#waiting?.drop();
    this.#waiting = null;
    this.writableNeedDrain = false;
    // The event of the reset may have come already.
    this.#hangUp |= EPOLLERR;
    this.#readable = true;
    this.#takeTurn();
  }

  #fail(errno: number): void {
    if (this.destroyed) return;
    this.#error ??= errorOf(errno);
    this.destroy();
  }

  #takeTurn(): void {
    if (this.#hasTurn) return;
    this.#hasTurn = true;
    this.#io.loop.later(this);
  }

  #tell(what: number, bytes = 0): void {
    const owner = this.#owner as SocketOwner;
    try {
      if (what === TELL_SPLICED) owner.onSpliced(bytes);
      else if (what === TELL_END) owner.onEnd();
      else if (what === TELL_DRAIN) owner.onDrain();
      else if (what === TELL_CONNECT) this.#dialOwner?.onConnect();
      else this.#dialOwner?.onWriteFailed();
    } catch (error) {
      giveUp(this, owner, error);
    }
  }
}
