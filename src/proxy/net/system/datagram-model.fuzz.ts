/**
 * Random operations and faults on sockets for datagrams, over loopback, against what must hold whatever happens: each datagram comes
 * whole, once, and to whom it was sent; none is lost that nobody counts; nothing is told after a close; no descriptor is left.
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { constants } from 'node:os';
import type {
  DatagramListener,
  DatagramListenOwner,
  DatagramOwner,
  DatagramSocket,
} from '../datagram.ts';
import type { Peer } from '../peer.ts';
import type { SocketError } from '../socket.ts';
import { DatagramIo } from './datagram-io.ts';
import { listenForDatagrams } from './datagram-listener.ts';
import { SystemDatagramSocket } from './datagram-socket.ts';
import { openKernel } from './kernel.ts';
import type { Calls } from './system-calls.ts';
import { ThreadIo } from './thread-io.ts';
import { marksOf, shareMarks } from './thread-marks.ts';

const { EAGAIN, ECONNREFUSED, EINTR, EMFILE, ENETUNREACH, ENOBUFS, ENOMEM, ENOSPC, EPERM } =
  constants.errno;
const LISTENERS_MAX = 3;
const SOCKETS_MAX = 6;
/** Ports of listeners, a range for each process, below those that the system gives. */
const PORTS_FROM = 10_000;
const PORT_RANGES = 100;
const PORTS = 100;
const ADDRESSES = ['127.0.0.1', '127.0.0.2', '::1', ''] as const;
/** By which a wildcard address is reached. */
const WAYS = ['127.0.0.1', '127.0.0.3', '::1'] as const;
const SIZES = [0, 1, 8, 100, 1_472, 9_000, 65_507] as const;
const SETTLE_TURNS = 12;
const ID_BYTES = 4;
/** Then what is still under way is lost. */
const WAITS_MAX = 40;
const WAIT_MS = 50;
/** A call is made twice before its error is believed. */
const FAULTS: readonly (readonly [keyof Calls, number, 1 | 2])[] = [
  ['recvmmsg', EINTR, 1],
  ['recvmmsg', EAGAIN, 1],
  ['recvmmsg', ENOMEM, 2],
  ['sendmmsg', EINTR, 1],
  ['sendmmsg', EAGAIN, 1],
  ['sendmmsg', ENOBUFS, 2],
  ['sendmmsg', EPERM, 2],
  ['read', EINTR, 1],
  ['read', EAGAIN, 1],
  ['read', ECONNREFUSED, 1],
  ['read', ENOMEM, 2],
  ['write', EINTR, 1],
  ['write', EAGAIN, 1],
  ['write', ECONNREFUSED, 1],
  ['write', ENOBUFS, 2],
  ['write', EPERM, 2],
  ['socket', EMFILE, 2],
  ['connect', ENETUNREACH, 2],
  ['epoll_ctl', ENOSPC, 2],
  ['getsockopt', ENOMEM, 1],
];

/** One that is under way. */
interface Sent {
  readonly data: Buffer;
  /** Who is to get it; null when nobody was there any more: ports are given anew. */
  readonly to: ModelSocket | ModelListener | null;
}

class ModelListener implements DatagramListenOwner {
  listener: DatagramListener | null = null;
  readonly address: string;
  closed = false;
  readonly kept: Peer[] = [];
  readonly #model: DatagramModel;

  constructor(model: DatagramModel, address: string) {
    this.#model = model;
    this.address = address;
  }

  onDatagram(data: Buffer, length: number, peer: Peer): void {
    assert(!this.closed, 'nothing after the close');
    this.#model.heard(this, data.subarray(0, length), peer);
  }

  onError({ code }: SocketError): void {
    assert(!this.closed, 'nothing after the close');
    assert.equal(code, 'EPERM', 'only what was injected');
  }

  onDefect(error: unknown): void {
    this.#model.defect ??= error;
  }

  close(): void {
    this.closed = true;
    this.listener?.close();
  }
}

class ModelSocket implements DatagramOwner {
  socket: DatagramSocket | null = null;
  readonly port: number;
  readonly address: string;
  local = 0;
  closed = false;
  failed = false;
  readonly #model: DatagramModel;

  constructor(model: DatagramModel, address: string, port: number) {
    this.#model = model;
    this.address = address;
    this.port = port;
  }

  onDatagram(data: Buffer, length: number): void {
    assert(!this.closed && !this.failed, 'nothing after the close');
    this.#model.answered(this, data.subarray(0, length));
  }

  onError({ code }: SocketError): void {
    assert(!this.closed && !this.failed, 'nothing after the close');
    assert(code === 'ECONNREFUSED' || code === 'EPERM', `${code}`);
  }

  onFailed(): void {
    assert(!this.closed && !this.failed, 'one end');
    this.failed = true;
  }

  onDefect(error: unknown): void {
    this.#model.defect ??= error;
  }

  close(): void {
    this.closed = true;
    this.socket?.close();
  }
}

/** Keeps its thread from run to run: what one leaves behind the next would meet. */
export class DatagramModel {
  operations = 0;
  arrived = 0;
  defect: unknown = null;
  readonly #marks = marksOf(shareMarks());
  readonly #io: DatagramIo;
  readonly #thread: ThreadIo;
  readonly #idle: number;
  readonly #faults: { call: keyof Calls; errno: number }[] = [];
  readonly #underWay = new Map<number, Sent>();
  #turn: (() => void) | null = null;
  #listeners: ModelListener[] = [];
  #sockets: ModelSocket[] = [];
  /** Datagrams that the sockets that are closed have counted as lost. */
  #counted = 0;
  /** Ports are given again: what another process sends to one that was somebody else's a moment ago has numbers of its own. */
  readonly #before = randomInt(2 ** 31);
  #ids = this.#before;
  #ports = 0;
  #timeoutMs = 0;
  /** What the next datagram that comes makes its owner do. */
  #unruly = 0;

  constructor() {
    const kernel = openKernel(this.#marks, (calls, errno) => this.#faulty(calls, errno));
    // The runtime has nothing to do, and nothing is waited for.
    Object.assign(kernel, { backendTimeout: () => this.#timeoutMs, backendEvents: () => 0 });
    this.#thread = new ThreadIo(kernel, {
      plan: (turn) => {
        this.#turn = turn;
        return { ref: () => undefined, unref: () => undefined };
      },
      cancel: () => {
        this.#turn = null;
      },
      hold: () => undefined,
    });
    this.#io = new DatagramIo(this.#thread);
    this.#idle = this.#descriptors();
  }

  /** Two bytes are one operation. @throws when something does not hold */
  run(input: Uint8Array): void {
    for (let i = 0; i + 1 < input.length; i += 2) {
      this.operations++;
      this.#operate(input[i] as number, input[i + 1] as number);
      if (this.defect !== null) throw this.defect as Error;
    }
    this.#settle();
  }

  heard(by: ModelListener, data: Buffer, peer: Peer): void {
    const port = by.listener?.port ?? 0;
    if (!this.#take(data, by)) return;
    const from = this.#sockets.find(({ local }) => local === peer.port);
    if (from !== undefined && from.port === port)
      assert.deepEqual([peer.address, peer.localAddress], [sourceOf(from.address), from.address]);
    const unruly = this.#unruly;
    this.#unruly = 0;
    if (unruly % 4 === 1) this.#answer(by, peer, unruly);
    else if (unruly % 4 === 2) by.kept.push(peer.keep());
    else if (unruly % 4 === 3) this.#close(unruly);
    if (unruly % 8 === 5) this.#answer(by, peer, unruly + 1);
  }

  answered(by: ModelSocket, data: Buffer): void {
    if (!this.#take(data, by)) return;
    const unruly = this.#unruly;
    this.#unruly = 0;
    if (unruly % 4 === 1) this.#send(by, unruly);
    else if (unruly % 4 === 2) this.#dial(unruly);
    else if (unruly % 4 === 3) this.#close(unruly);
  }

  #operate(operation: number, value: number): void {
    this.#unruly = operation >> 3;
    switch (operation % 8) {
      case 0:
        return this.#listen(value);
      case 1:
        return this.#dial(value);
      case 2:
      case 3: {
        const from = this.#sockets[value % SOCKETS_MAX];
        return from === undefined ? undefined : this.#send(from, value >> 3);
      }
      case 4:
        return this.#turn?.();
      case 5:
        return this.#fail(value);
      case 6:
        return value < 96 ? this.#close(value) : undefined;
      default:
        return this.#answerLate(value);
    }
  }

  #fail(value: number): void {
    const [call, errno, times] = FAULTS[value % FAULTS.length] as (typeof FAULTS)[number];
    // Not behind another one of that call: the two would be believed.
    if (this.#faults.some((fault) => fault.call === call)) return;
    for (let i = 0; i < times; i++) this.#faults.push({ call, errno });
  }

  /** Many at once, which are read at once. */
  #answerLate(value: number): void {
    const by = this.#listeners[value % LISTENERS_MAX];
    const peer = by?.kept[0];
    if (by === undefined || peer === undefined) return;
    for (let i = 0; i <= value >> 3; i++) this.#answer(by, peer, i % 4);
  }

  #listen(value: number): void {
    if (this.#listeners.length >= LISTENERS_MAX) return;
    const address = ADDRESSES[value % ADDRESSES.length] as string;
    const owner = new ModelListener(this, address);
    try {
      owner.listener = listenForDatagrams(this.#io, { address, port: this.#freePort() }, owner);
    } catch (error) {
      assert.match(String(error), /EMFILE|ENOSPC|EADDRINUSE/);
      return;
    }
    this.#listeners.push(owner);
  }

  /** The system would give one that another listener has, since they may share: of this process, or of another one. */
  #freePort(): number {
    let port: number;
    do {
      this.#ports = (this.#ports + 1) % PORTS;
      port = PORTS_FROM + (process.pid % PORT_RANGES) * PORTS + this.#ports;
    } while (this.#listeners.some(({ listener }) => listener?.port === port));
    return port;
  }

  #dial(value: number): void {
    const to = this.#listeners[value % LISTENERS_MAX];
    if (this.#sockets.length >= SOCKETS_MAX || to === undefined) return;
    const address = to.address === '' ? (WAYS[value % WAYS.length] as string) : to.address;
    const owner = new ModelSocket(this, address, to.listener?.port ?? 0);
    owner.socket = new SystemDatagramSocket(this.#io, { address, port: owner.port }, owner);
    owner.local = owner.socket.ends().localPort;
    this.#sockets.push(owner);
  }

  #send(from: ModelSocket, value: number): void {
    if (from.closed || from.socket === null) return;
    const { data, id } = this.#make(value);
    // From memory of the region, and of anywhere else.
    const memory = value % 2 === 0 ? data : this.#thread.region.takeSlab();
    const isCopied = memory !== data && data.length <= memory.length;
    if (isCopied) data.copy(memory);
    if (from.socket.send(isCopied ? memory : data, 0, data.length) === null)
      this.#put(id, data, this.#listenerAt(from));
    if (memory !== data) this.#thread.region.giveSlab(memory);
  }

  #answer(by: ModelListener, peer: Peer, value: number): void {
    if (by.closed) return;
    const { data, id } = this.#make(value);
    // Another one may have its port by now, and listen to another address of ours.
    const to = this.#sockets.find(
      ({ local, port, address }) =>
        local === peer.port && port === by.listener?.port && address === peer.localAddress,
    );
    this.#put(id, data, to ?? null);
    by.listener?.send(peer, data, 0, data.length);
    data.fill(0xee);
  }

  /** Two may have one port, each at an address of its own; the one at that address comes before the one at all of them. */
  #listenerAt({ address, port }: ModelSocket): ModelListener | null {
    const there = this.#listeners.filter(({ listener }) => listener?.port === port);
    return (
      there.find((each) => each.address === address) ??
      there.find((each) => each.address === '') ??
      null
    );
  }

  #close(value: number): void {
    const victim = value % 2 === 0 ? this.#sockets : this.#listeners;
    const index = value % (victim.length + 1);
    const gone = victim[index];
    if (gone === undefined) return;
    victim.splice(index, 1);
    this.#end(gone);
  }

  #end(gone: ModelSocket | ModelListener): void {
    gone.close();
    const counts = gone instanceof ModelSocket ? gone.socket : gone.listener;
    // What was sent by a socket and did not leave is known at once.
    if (gone instanceof ModelListener) this.#counted += gone.listener?.unsent ?? 0;
    this.#counted += counts?.overflowed ?? 0;
    for (const [id, { to }] of this.#underWay) if (to === gone) this.#underWay.delete(id);
  }

  /** The first bytes tell it from all others; one that is shorter is told by nothing. */
  #make(value: number): { readonly data: Buffer; readonly id: number } {
    const id = ++this.#ids;
    const data = Buffer.alloc(SIZES[value % SIZES.length] as number, id & 0xff);
    if (data.length >= ID_BYTES) data.writeUInt32LE(id);
    return { data, id };
  }

  #put(id: number, data: Buffer, to: Sent['to']): void {
    if (data.length >= ID_BYTES) this.#underWay.set(id, { data: Buffer.from(data), to });
  }

  /** False for one that is nobody's here. */
  #take(data: Buffer, by: ModelSocket | ModelListener): boolean {
    if (data.length < ID_BYTES) {
      this.arrived++;
      assert(SIZES.includes(data.length as 0), 'none is cut off, and no two are one');
      return true;
    }
    const id = data.readUInt32LE();
    if (id <= this.#before || id > this.#ids) return false;
    this.arrived++;
    const sent = this.#underWay.get(id);
    assert(sent !== undefined, `${id} comes once`);
    assert(sent.to === null || sent.to === by, 'to whom it was sent');
    assert(sent.data.equals(data), 'as it was sent');
    this.#underWay.delete(id);
    return true;
  }

  /** All that is under way comes, or is counted. */
  #settle(): void {
    this.#unruly = 0;
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      if (turn > 2) this.#faults.length = 0;
      this.#turn?.();
      if (this.defect !== null) throw this.defect as Error;
    }
    // With much to do, the kernel delivers later.
    for (let waits = 0; this.#missing() > this.#accounted() && waits < WAITS_MAX; waits++) {
      this.#timeoutMs = WAIT_MS;
      this.#turn?.();
      this.#timeoutMs = 0;
    }
    assert(
      this.#missing() <= this.#accounted(),
      `${this.#missing()} lost, ${this.#accounted()} counted`,
    );
    for (const end of [...this.#listeners, ...this.#sockets]) this.#end(end);
    this.#listeners = [];
    this.#sockets = [];
    this.#underWay.clear();
    this.#counted = 0;
    this.#turn?.();
    assert.equal(this.#io.answers.size, 0, 'no answer waits');
    assert.equal(this.#io.loop.size, 0, 'nothing is watched');
    assert.equal(this.#descriptors(), this.#idle, 'no descriptor is left');
  }

  /** Under way to somebody who is there. */
  #missing(): number {
    return [...this.#underWay.values()].filter(({ to }) => to !== null && !to.closed).length;
  }

  #accounted(): number {
    const overflowed = [
      ...this.#listeners.map(({ listener }) => listener),
      ...this.#sockets.map(({ socket }) => socket),
    ];
    const unsent = this.#listeners.reduce((sum, { listener }) => sum + (listener?.unsent ?? 0), 0);
    return overflowed.reduce((sum, end) => sum + (end?.overflowed ?? 0), this.#counted + unsent);
  }

  #descriptors(): number {
    return this.#marks.open.reduce((sum, each) => sum + each, 0);
  }

  #faulty(calls: Calls, errno: Int32Array): Calls {
    const made: Partial<Calls> = {};
    for (const [name, call] of Object.entries(calls) as [keyof Calls, Calls[keyof Calls]][])
      made[name] = (...args) => {
        const index = this.#faults.findIndex((fault) => fault.call === name);
        if (index < 0) return call(...args);
        errno[0] = this.#faults.splice(index, 1)[0]?.errno ?? 0;
        return -1;
      };
    return made as Calls;
  }
}

/** From where the kernel sends to an address of loopback. */
function sourceOf(address: string): string {
  return address.includes(':') ? '::1' : '127.0.0.1';
}
