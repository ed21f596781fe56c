/**
 * Random operations and faults on system sockets over the scripted kernel, against what must hold whatever happens: bytes arrive in
 * order, none lost and none twice; nothing is told after the end; no descriptor and no memory is left.
 */

import assert from 'node:assert/strict';
import type { Accepted, DialOwner, ListeningSocket, Socket, SocketError } from '../socket.ts';
import { EPOLLIN, EPOLLOUT, EPOLLRDHUP } from './kernel-interface.ts';
import { LASTING_FAULTS, PASSING_FAULTS, Peer, ScriptedKernel } from './scripted-kernel.fixture.ts';
import { listenOn } from './system-listener.ts';
import { SystemSocket } from './system-socket.ts';
import { ThreadIo } from './thread-io.ts';

const CONNECTIONS_MAX = 6;
/** Turns until everything that is under way is over. */
const SETTLE_TURNS = 200;

/** Turns in which nothing happens any more. */
const QUIET_TURNS = 3;

/** One connection as the model knows it. */
class Connection implements DialOwner {
  peer: Peer;
  socket: Socket | null = null;
  /** Sent by the peer, and got by us. */
  sent = 0;
  got = 0;
  /** Written by us. */
  written = 0;
  closed = false;
  error: SocketError | null = null;
  /** `destroy` or `reset` was called, or the system failed. */
  dropped = false;
  /** What the first call that failed threw. */
  defect: unknown = null;
  #ended = false;
  #failed = false;

  readonly #whileCalled: () => void;

  constructor(peer: Peer, whileCalled: () => void) {
    this.peer = peer;
    this.#whileCalled = whileCalled;
  }

  get alive(): Socket | null {
    return this.closed || this.socket === null || this.socket.destroyed ? null : this.socket;
  }

  onConnect(): void {
    this.#open();
    assert.equal(this.peer.standing, 'open', 'a connection stands when the peer says so');
  }

  onData(data: Buffer, length: number): void {
    this.#open();
    assert(!this.#ended, 'no data behind the end');
    assert.equal(this.socket?.isPaused, false, 'no data while paused');
    for (let i = 0; i < length; i++) assert.equal(data[i], pattern(this.got + i), 'bytes in order');
    this.got += length;
    assert(this.got <= this.sent);
    this.#whileCalled();
  }

  onEnd(): void {
    this.#open();
    assert(!this.#ended, 'one end');
    this.#ended = true;
    assert(this.peer.fin, 'an end is a FIN');
    assert.equal(this.got, this.sent, 'all data before the end');
  }

  onDrain(): void {
    this.#open();
    assert.equal(this.socket?.writableLength, 0);
  }

  onWriteFailed(): void {
    this.#open();
    assert(!this.#failed, 'one failed write');
    this.#failed = true;
  }

  onClose(error: SocketError | null): void {
    assert(!this.closed, 'one close');
    assert.notEqual(error?.code, 'EINTR', 'a signal ends nothing');
    this.closed = true;
    this.error = error;
  }

  onDefect(error: unknown): void {
    this.defect ??= error;
  }

  #open(): void {
    assert(!this.closed, 'nothing after the close');
    assert(this.socket?.destroyed !== true, 'nothing after destroy');
  }
}

/** The byte at a place of any stream. */
function pattern(at: number): number {
  return (at * 31 + (at >> 8)) & 0xff;
}

/** Keeps its sockets from run to run: what one leaves behind the next would meet. */
export class SocketModel {
  readonly kernel = new ScriptedKernel();
  readonly io: ThreadIo;
  #turn: (() => void) | null = null;
  #connections: Connection[] = [];
  readonly #listener: ListeningSocket;
  readonly #idle: number;
  /** Whether data that comes makes its owner close others and dial anew, which gives their descriptors away at once. */
  #unruly = false;
  operations = 0;

  constructor() {
    this.io = new ThreadIo(this.kernel, {
      plan: (turn) => {
        this.#turn = turn;
        return { ref: () => undefined, unref: () => undefined };
      },
      cancel: () => {
        this.#turn = null;
      },
      hold: () => undefined,
    });
    this.#listener = listenOn(
      this.io,
      { address: '192.0.2.2', port: 80 },
      { onAccept: (accepted) => this.#accept(accepted), onAcceptFailed: () => undefined },
    );
    this.#idle = this.kernel.descriptors;
  }

  /** Two bytes are one operation. @throws when something does not hold */
  run(input: Uint8Array): void {
    for (let i = 0; i + 1 < input.length; i += 2) {
      this.operations++;
      this.#operate(input[i] as number, input[i + 1] as number);
      this.#check();
    }
    this.#settle();
  }

  close(): void {
    this.#listener.close();
    this.#turn?.();
  }

  #operate(operation: number, value: number): void {
    const connection = this.#connections[value % CONNECTIONS_MAX];
    const amount = 1 + ((value * 97) % 3_000);
    this.#unruly = operation > 127;
    switch (operation % 16) {
      case 0:
        return this.#dial();
      case 1:
        return this.#knock();
      case 2:
      case 3:
        return this.#turn?.();
      case 4:
        return void this.kernel.faults.push(PASSING_FAULTS[value % PASSING_FAULTS.length] as never);
      case 5:
        return value < 64 ? void this.kernel.faults.push(lasting(value)) : undefined;
      default:
        if (connection === undefined) return;
        if (operation % 16 < 11) this.#peerDoes(connection, operation % 16, amount);
        else this.#weDo(connection, operation % 16, amount);
    }
  }

  #peerDoes(connection: Connection, operation: number, amount: number): void {
    const { peer } = connection;
    if (peer.standing === 'pending') {
      peer.standing = operation === 10 ? 'refused' : 'open';
      return this.kernel.tell(peer, EPOLLOUT);
    }
    if (peer.standing === 'refused' || peer.isReset) return;
    if (operation === 6) this.#peerSends(connection, amount);
    else if (operation === 7 || operation === 8) {
      const wasFull = peer.window === 0;
      peer.window += amount;
      this.kernel.tell(peer, wasFull ? EPOLLOUT : 0);
    } else if (operation === 9) {
      peer.fin = true;
      this.kernel.tell(peer, EPOLLIN | EPOLLRDHUP);
    } else if (operation === 10) {
      peer.isReset = true;
      peer.reset = true;
      this.kernel.tell(peer, EPOLLIN | EPOLLRDHUP);
    }
  }

  /** Each change is told once, as the kernel does it. */
  #peerEnds(peer: Peer): void {
    if (peer.standing === 'pending') {
      peer.standing = 'open';
      this.kernel.tell(peer, EPOLLOUT);
    }
    if (peer.window === 0) this.kernel.tell(peer, EPOLLOUT);
    peer.window += 100_000;
    if (peer.fin || peer.isReset) return;
    peer.fin = true;
    this.kernel.tell(peer, EPOLLIN | EPOLLRDHUP);
  }

  #peerSends(connection: Connection, amount: number): void {
    const { peer } = connection;
    if (peer.fin) return;
    for (let i = 0; i < amount; i++) peer.inbound.push(pattern(connection.sent + i));
    connection.sent += amount;
    this.kernel.tell(peer, EPOLLIN);
  }

  #weDo(connection: Connection, operation: number, amount: number): void {
    const socket = connection.alive;
    if (socket === null) return;
    if (operation === 11) {
      const before = socket.bytesWritten;
      const data = Buffer.from(
        Array.from({ length: amount }, (_, i) => pattern(connection.written + i)),
      );
      socket.write(data, 0, amount);
      connection.written += socket.bytesWritten - before;
    } else if (operation === 12) socket.pause();
    else if (operation === 13) socket.resume();
    else if (operation === 14) socket.end();
    else if (amount % 3 === 0) socket.destroySoon();
    else {
      connection.dropped = true;
      if (amount % 3 === 1) socket.destroy();
      else socket.reset();
    }
  }

  #replaceOne(): void {
    if (!this.#unruly) return;
    this.#unruly = false;
    const victim = this.#connections.find(({ alive }) => alive !== null);
    if (victim === undefined) return;
    victim.dropped = true;
    victim.alive?.destroy();
    if (this.#connections.length === CONNECTIONS_MAX)
      this.#connections.splice(this.#connections.indexOf(victim), 1);
    this.#dial();
  }

  #dial(): void {
    if (this.#connections.length >= CONNECTIONS_MAX) return;
    const before = this.kernel.dialled.length;
    // A dial that fails at once has no peer.
    const connection = new Connection(new Peer(), () => this.#replaceOne());
    connection.socket = SystemSocket.dial(this.io, { address: '192.0.2.3', port: 80 }, connection);
    const peer = this.kernel.dialled[before];
    if (peer !== undefined) connection.peer = peer;
    this.#connections.push(connection);
  }

  #knock(): void {
    if (this.#connections.length < CONNECTIONS_MAX) this.kernel.knock(new Peer());
  }

  #accept(accepted: Accepted): void {
    assert.equal(accepted.remoteAddress, '192.0.2.1');
    if (this.#connections.length >= CONNECTIONS_MAX) return accepted.destroy();
    const peer = this.kernel.peerOf(accepted.descriptor);
    const connection = new Connection(peer, () => this.#replaceOne());
    connection.socket = accepted.adopt(connection);
    this.#connections.push(connection);
  }

  #check(): void {
    for (const { peer, written, defect } of this.#connections) {
      if (defect !== null) throw defect as Error;
      assert(peer.outbound.length <= written, 'no byte twice');
      for (const [at, byte] of peer.outbound.entries())
        assert.equal(byte, pattern(at), 'bytes in order');
    }
    this.#connections = this.#connections.filter((connection) => !this.#isOver(connection));
  }

  #isOver({ closed, dropped, error, peer, written }: Connection): boolean {
    if (!closed) return false;
    // An orderly close has lost nothing.
    if (error === null && !dropped) assert.equal(peer.outbound.length, written, 'no byte lost');
    return true;
  }

  /** Everything is ended, and everything ends. */
  #settle(): void {
    let quiet = 0;
    for (let turn = 0; turn < SETTLE_TURNS && this.#turn !== null; turn++) {
      for (const connection of this.#connections) {
        this.#peerEnds(connection.peer);
        connection.alive?.resume();
        connection.alive?.end();
      }
      this.#turn();
      this.#check();
      // Callers that wait to be accepted may come in a turn after the last fault.
      quiet = this.#connections.length + this.kernel.faults.length === 0 ? quiet + 1 : 0;
      if (quiet > QUIET_TURNS) break;
      if (turn > SETTLE_TURNS / 2) this.kernel.faults.length = 0;
    }
    this.kernel.faults.length = 0;
    this.kernel.dialled.length = 0;
    this.#turn?.();
    assert.equal(this.#connections.length, 0, 'every connection ends');
    // The spare one may be gone: a system that has none left gives it back with the next caller.
    assert(this.kernel.descriptors <= this.#idle, 'no descriptor is left');
    assert.equal(this.io.region.taken, 0, 'no memory is left');
    assert.equal(this.io.loop.size, 1, 'only the listener is watched');
  }
}

function lasting(value: number): { call: string; errno: number } {
  return { ...(LASTING_FAULTS[value % LASTING_FAULTS.length] as (typeof LASTING_FAULTS)[number]) };
}
