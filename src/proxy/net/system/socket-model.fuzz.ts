/**
 * Random operations and faults on system sockets, over the scripted kernel or the real one, against what must hold whatever
 * happens: bytes arrive in order, none lost and none twice; nothing is told after the end; no descriptor and no memory is left.
 */

import assert from 'node:assert/strict';
import type { Accepted, DialOwner, ListeningSocket, Socket, SocketError } from '../socket.ts';
import {
  isPatternAt,
  type ModelPeer,
  patternAt,
  type World,
  Written,
} from './model-world.fixture.ts';
import { LASTING_FAULTS, PASSING_FAULTS } from './scripted-kernel.fixture.ts';
import { listenOn } from './system-listener.ts';
import { SystemSocket } from './system-socket.ts';
import { ThreadIo } from './thread-io.ts';

const CONNECTIONS_MAX = 6;
/** Turns until everything that is under way is over. */
const SETTLE_TURNS = 200;
/** Then the kernel is waited for, where there is one. */
const PATIENT_TURNS = 10;
const ALL = 100_000;

/** Turns in which nothing happens any more. */
const QUIET_TURNS = 3;

/** One connection as the model knows it. */
class Connection implements DialOwner {
  /** Null for a dial that failed at once. */
  peer: ModelPeer | null = null;
  socket: Socket | null = null;
  /** Sent by the peer, and got by us. */
  sent = 0;
  got = 0;
  /** Written by us, or spliced. */
  readonly written = new Written();
  /** Who gets what we splice, and how much of it. */
  sink: Connection | null = null;
  toSplice = 0;
  closed = false;
  error: SocketError | null = null;
  /** `destroy` or `reset` was called, or the system failed. */
  dropped = false;
  /** `destroySoon` was called. */
  soon = false;
  /** What the first call that failed threw. */
  defect: unknown = null;
  /** The peer's FIN was told. */
  ended = false;
  #failed = false;

  readonly #whileCalled: () => void;

  constructor(whileCalled: () => void) {
    this.#whileCalled = whileCalled;
  }

  get alive(): Socket | null {
    return this.closed || this.socket === null || this.socket.destroyed ? null : this.socket;
  }

  meet(peer: ModelPeer | null): void {
    this.peer = peer;
    if (peer !== null) peer.expects = this.written;
  }

  onConnect(): void {
    this.#open();
    assert.equal(this.peer?.isPending, false, 'a connection stands when the peer says so');
  }

  onData(data: Buffer, length: number): void {
    this.#open();
    assert(!this.ended, 'no data behind the end');
    assert.equal(this.socket?.isPaused, false, 'no data while paused');
    assert(isPatternAt(this.got, data, length), 'bytes in order');
    this.got += length;
    this.toSplice -= length;
    assert(this.got <= this.sent);
    this.#whileCalled();
  }

  onSpliced(bytes: number): void {
    this.#open();
    assert(!this.ended, 'nothing behind the end');
    assert.equal(this.socket?.isPaused, false, 'nothing while paused');
    this.sink?.written.add(this.got, bytes);
    this.got += bytes;
    this.toSplice -= bytes;
    assert(this.toSplice >= 0, 'no more than it was told');
    assert(this.got <= this.sent);
    this.#whileCalled();
  }

  onEnd(): void {
    this.#open();
    assert(!this.ended, 'one end');
    this.ended = true;
    assert(this.peer?.hasEnded, 'an end is a FIN');
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

/** Keeps its sockets from run to run: what one leaves behind the next would meet. */
export class SocketModel {
  readonly world: World;
  readonly io: ThreadIo;
  #turn: (() => void) | null = null;
  #connections: Connection[] = [];
  readonly #listener: ListeningSocket;
  readonly #idle: number;
  /** Whether data that comes makes its owner close others and dial anew, which gives their descriptors away at once. */
  #unruly = false;
  operations = 0;

  constructor(world: World) {
    this.world = world;
    this.io = new ThreadIo(world.kernel, {
      plan: (turn) => {
        this.#turn = turn;
        return { ref: () => undefined, unref: () => undefined };
      },
      cancel: () => {
        this.#turn = null;
      },
      hold: () => undefined,
    });
    this.io.pipes.worthBytes = 100;
    this.io.pipes.refusedTimes = 1;
    this.#listener = listenOn(this.io, world.listenAt, {
      onAccept: (accepted) => this.#accept(accepted),
      onAcceptFailed: () => undefined,
    });
    this.#idle = this.world.descriptors;
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
    const amount = 1 + ((value * 97) % this.world.bytesMax);
    this.#unruly = operation > 127;
    switch (operation % 16) {
      case 0:
        return this.#dial(value);
      case 1:
        return this.#knock();
      case 2:
      case 3:
        return this.#turn?.();
      case 4:
        return void this.world.faults.push(PASSING_FAULTS[value % PASSING_FAULTS.length] as never);
      case 5:
        return value < 64 ? void this.world.faults.push(lasting(value)) : undefined;
      case 8:
        return this.#splice(value);
      default:
        if (connection === undefined) return;
        if (operation % 16 < 11) this.#peerDoes(connection, operation % 16, amount);
        else this.#weDo(connection, operation % 16, amount);
    }
  }

  #peerDoes(connection: Connection, operation: number, amount: number): void {
    const { peer } = connection;
    if (peer === null) return;
    if (peer.isPending) return peer.decide(operation === 10);
    if (peer.isRefused || peer.isReset) return;
    if (operation === 6 && !peer.hasEnded) connection.sent += peer.send(connection.sent, amount);
    else if (operation === 7) peer.take(amount);
    else if (operation === 9) peer.end();
    else if (operation === 10) peer.reset();
  }

  #weDo(connection: Connection, operation: number, amount: number): void {
    const socket = connection.alive;
    if (socket === null) return;
    if (operation === 11) {
      const before = socket.bytesWritten;
      const from = connection.written.bytes;
      socket.write(patternAt(from, amount), 0, amount);
      connection.written.add(from, socket.bytesWritten - before);
    } else if (operation === 12) socket.pause();
    else if (operation === 13) socket.resume();
    else if (operation === 14) socket.end();
    else if (amount % 3 === 0) {
      connection.soon = true;
      socket.destroySoon();
    } else {
      connection.dropped = true;
      if (amount % 3 === 1) socket.destroy();
      else socket.reset();
    }
  }

  #splice(value: number): void {
    const alive = this.#connections.filter((connection) => connection.alive !== null);
    const from = alive[value % alive.length];
    const to = alive[(value >> 4) % alive.length];
    if (from === undefined || to === undefined || from === to) return;
    from.sink = to;
    from.toSplice = value < 32 ? Infinity : 1 + ((value * 37) % (this.world.bytesMax / 2));
    assert.equal(from.alive?.spliceTo(to.alive as Socket, from.toSplice), true);
  }

  #replaceOne(): void {
    if (!this.#unruly) return;
    this.#unruly = false;
    const victim = this.#connections.find(({ alive }) => alive !== null);
    if (victim === undefined) return;
    victim.dropped = true;
    victim.alive?.destroy();
    if (this.#connections.length === CONNECTIONS_MAX) {
      this.#connections.splice(this.#connections.indexOf(victim), 1);
      victim.peer?.close();
    }
    this.#dial(0);
  }

  #dial(value: number): void {
    if (this.#connections.length >= CONNECTIONS_MAX) return;
    const connection = new Connection(() => this.#replaceOne());
    connection.socket = SystemSocket.dial(this.io, this.world.target(value), connection);
    connection.meet(this.world.dialled());
    this.#connections.push(connection);
  }

  #knock(): void {
    if (this.#connections.length < CONNECTIONS_MAX) this.world.knock(this.#listener.port);
  }

  #accept(accepted: Accepted): void {
    const peer = this.world.peerOf(accepted);
    if (this.#connections.length >= CONNECTIONS_MAX) {
      accepted.destroy();
      return peer.close();
    }
    const connection = new Connection(() => this.#replaceOne());
    connection.meet(peer);
    connection.socket = accepted.adopt(connection);
    this.#connections.push(connection);
  }

  #check(): void {
    for (const { peer, socket, written, defect } of this.#connections) {
      if (defect !== null) throw defect as Error;
      assert((peer?.received ?? 0) <= written.bytes, 'no byte twice');
      assert.equal(socket?.bytesWritten, written.bytes, 'what was written is counted');
    }
    this.#connections = this.#connections.filter((connection) => !this.#isOver(connection));
  }

  #isOver({ closed, dropped, error, peer, written, soon, ended }: Connection): boolean {
    if (!closed) return false;
    if (peer === null) return true;
    const isOrderly = error === null && !dropped && !peer.isReset;
    const mayLose = soon && !ended && this.world.losesBehindUnread;
    if (isOrderly && !mayLose) {
      // What is still under way arrives.
      if (!peer.isDone) peer.take(ALL);
      if (!peer.isDone) return false;
      assert.equal(peer.received, written.bytes, 'no byte lost');
    }
    peer.close();
    return true;
  }

  /** Everything is ended, and everything ends. */
  #settle(): void {
    let quiet = 0;
    for (let turn = 0; turn < SETTLE_TURNS && this.#turn !== null; turn++) {
      for (const { peer, alive } of this.#connections) {
        if (peer !== null) endOf(peer);
        alive?.resume();
        alive?.end();
      }
      this.world.isPatient = turn >= PATIENT_TURNS && this.#connections.length > 0;
      this.#turn();
      this.#check();
      // Callers that wait to be accepted may come in a turn after the last fault.
      quiet = this.#connections.length + this.world.faults.length === 0 ? quiet + 1 : 0;
      if (quiet > QUIET_TURNS) break;
      if (turn > SETTLE_TURNS / 2) this.world.faults.length = 0;
    }
    this.world.faults.length = 0;
    this.world.isPatient = false;
    this.world.clear();
    this.#turn?.();
    assert.equal(this.#connections.length, 0, 'every connection ends');
    // The spare one may be gone: a system that has none left gives it back with the next caller.
    const { open } = this.io.pipes;
    assert(this.world.descriptors - 2 * open <= this.#idle, 'no descriptor is left');
    assert.equal(this.world.inPipes, 0, 'the pipes that are kept are empty');
    assert.equal(this.io.region.taken, 0, 'no memory is left');
    assert.equal(this.io.loop.size, 1, 'only the listener is watched');
  }
}

/** What the peer still does, whatever it was doing. */
function endOf(peer: ModelPeer): void {
  if (peer.isPending) peer.decide(false);
  if (peer.isRefused || peer.isReset) return;
  peer.take(ALL);
  if (!peer.hasEnded) peer.end();
}

function lasting(value: number): { call: string; errno: number } {
  return { ...(LASTING_FAULTS[value % LASTING_FAULTS.length] as (typeof LASTING_FAULTS)[number]) };
}
