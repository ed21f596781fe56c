/**
 * A kernel for tests: connections whose other ends the test holds, with faults when it asks for them. Events are told once per
 * change, as with EPOLLET, and descriptors are given anew at once, the lowest first.
 */

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import {
  ADDRESS_AT,
  type DatagramKernel,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  EVENTS_MAX,
  type Kernel,
} from './kernel-interface.ts';
import { putAddress } from './socket-address.ts';

const { EAGAIN, EINTR, EINPROGRESS, ECONNREFUSED, ECONNRESET, EPIPE, EMFILE, ENOBUFS } =
  constants.errno;
const MEMORY_BYTES = 2_097_152;
const FDS_MAX = 64;
/** Bytes that a pipe takes before its room is used up. */
const PIPE_ROOM = 1_200;

/** The far end of a connection, and what the kernel holds between the two. */
export class Peer {
  /** Sent by the peer and not read yet. */
  inbound: number[] = [];
  /** Got by the peer. */
  readonly outbound: number[] = [];
  /** Bytes that the kernel takes before it says EAGAIN. */
  window = 1_000;
  fin = false;
  /** The peer's reset, until it was told. */
  reset = false;
  isReset = false;
  /** What became of our side. */
  ourEnd: 'open' | 'fin' | 'closed' | 'reset' = 'open';
  /** 'pending' until the test decides. */
  standing: 'pending' | 'open' | 'refused' = 'open';
}

interface Open {
  readonly peer: Peer | null;
  readonly queue: Peer[] | null;
  /** What is in it, at both ends of a pipe. */
  readonly pipe: number[] | null;
  watched: { events: number; generation: number } | null;
  /** What changed since it was last told. */
  news: number;
  lingers: boolean;
}

/** Connections only. */
const NO_DATAGRAMS = {} as DatagramKernel;

export class ScriptedKernel implements Kernel {
  readonly memory = Buffer.alloc(MEMORY_BYTES);
  readonly backend = FDS_MAX;
  readonly backendTimeout = (): number => 0;
  readonly backendEvents = (): number => 0;
  readonly datagrams = NO_DATAGRAMS;
  /** The next calls of these names fail so. */
  readonly faults: { call: string; errno: number }[] = [];
  /** What was dialled, in order. */
  readonly dialled: Peer[] = [];
  readonly #open: (Open | undefined)[] = [];
  #pipeEnds: [number, number] = [-1, -1];
  #events: { mask: number; fd: number; generation: number }[] = [];

  /** Descriptors that are open. */
  get descriptors(): number {
    return this.#open.filter((open) => open !== undefined).length;
  }

  /** Bytes in all pipes. */
  get inPipes(): number {
    // Each pipe is seen at both ends.
    return this.#open.reduce((sum, open) => sum + (open?.pipe?.length ?? 0), 0) / 2;
  }

  peerOf(fd: number): Peer {
    return this.#at(fd).peer as Peer;
  }

  /** Tells whoever watches the connection of this peer that something changed. */
  tell(peer: Peer, mask: number): void {
    for (const open of this.#open) if (open?.peer === peer) open.news |= mask;
  }

  /** A caller knocks at the only listening socket. */
  knock(peer: Peer): void {
    const listener = this.#open.find((open) => open !== undefined && open.queue !== null);
    listener?.queue?.push(peer);
  }

  createEpoll(): number {
    return this.#add({ peer: null, queue: null, pipe: null });
  }

  // oxlint-disable-next-line max-params -- those of the interface
  control(
    _epoll: number,
    _operation: number,
    fd: number,
    events: number,
    generation: number,
  ): number {
    if (fd === this.backend) return 0;
    const open = this.#at(fd);
    open.watched = { events, generation };
    // What is so already counts as a change.
    open.news |= this.#state(open);
    return 0;
  }

  wait(): number {
    const fault = this.#fault('wait');
    if (fault < 0) return fault;
    this.#events = [];
    for (const [fd, open] of this.#open.entries()) {
      if (open === undefined || open.watched === null) continue;
      const { events, generation } = open.watched;
      const news = open.queue === null ? open.news : open.queue.length > 0 ? EPOLLIN : 0;
      const mask = news === 0 ? 0 : (news | this.#state(open)) & (events | EPOLLERR | EPOLLHUP);
      open.news = 0;
      if (mask !== 0 && this.#events.length < EVENTS_MAX)
        this.#events.push({ mask, fd, generation });
    }
    return this.#events.length;
  }

  eventMask(index: number): number {
    return this.#events[index]?.mask ?? 0;
  }

  eventDescriptor(index: number): number {
    return this.#events[index]?.fd ?? -1;
  }

  eventGeneration(index: number): number {
    return this.#events[index]?.generation ?? 0;
  }

  socket(): number {
    const fault = this.#fault('socket');
    return fault < 0 ? fault : this.#add({ peer: new Peer(), queue: null, pipe: null });
  }

  bind(): number {
    return 0;
  }

  listen(fd: number): number {
    this.#open[fd] = { ...this.#at(fd), peer: null, queue: [] };
    return 0;
  }

  accept(fd: number): number {
    const fault = this.#fault('accept');
    if (fault < 0) return fault;
    const peer = this.#at(fd).queue?.shift();
    if (peer === undefined) return -EAGAIN;
    putAddress(this.memory, '192.0.2.1', 40_000);
    return this.#add({ peer, queue: null, pipe: null });
  }

  connect(fd: number): number {
    const fault = this.#fault('connect');
    if (fault < 0) return fault;
    const peer = this.#at(fd).peer as Peer;
    peer.standing = 'pending';
    this.dialled.push(peer);
    return -EINPROGRESS;
  }

  localAddress(): number {
    putAddress(this.memory, '192.0.2.2', 80);
    assert.equal(this.memory[ADDRESS_AT], 2);
    return 0;
  }

  setOption(): number {
    return 0;
  }

  setReset(fd: number): number {
    this.#at(fd).lingers = true;
    return 0;
  }

  option(fd: number): number {
    return this.#at(fd).peer?.standing === 'refused' ? ECONNREFUSED : 0;
  }

  unacknowledged(fd: number): number {
    this.#at(fd);
    return 0;
  }

  unread(fd: number): number {
    return (this.#at(fd).peer as Peer).inbound.length;
  }

  pipe(): number {
    const fault = this.#fault('pipe');
    if (fault < 0) return fault;
    const pipe: number[] = [];
    const output = this.#add({ peer: null, queue: null, pipe });
    const input = this.#add({ peer: null, queue: null, pipe });
    this.#pipeEnds = [output, input];
    if (input >= 0) return 0;
    if (output >= 0) this.close(output);
    return -EMFILE;
  }

  pipeEnd(which: 0 | 1): number {
    return this.#pipeEnds[which];
  }

  spliceIn(fd: number, input: number, bytes: number): number {
    const pipe = this.#at(input).pipe as number[];
    assert.equal(pipe.length, 0, 'nothing goes behind the bytes of somebody else');
    return this.#receive(fd, 'spliceIn', Math.min(bytes, PIPE_ROOM), (got) => pipe.push(...got));
  }

  spliceOut(output: number, fd: number, bytes: number): number {
    const pipe = this.#at(output).pipe as number[];
    assert.equal(pipe.length, bytes, 'what is in the pipe is known');
    const sent = this.#send(fd, 'spliceOut', pipe);
    if (sent > 0) pipe.splice(0, sent);
    return sent;
  }

  receive(fd: number, at: number, length: number): number {
    return this.#receive(fd, 'receive', length, (bytes) => this.memory.set(bytes, at));
  }

  #receive(fd: number, call: string, length: number, take: (bytes: number[]) => void): number {
    const peer = this.#at(fd).peer as Peer;
    const fault = this.#fault(call);
    if (fault < 0) return fault;
    const bytes = peer.inbound.splice(0, length);
    take(bytes);
    if (bytes.length > 0) return bytes.length;
    if (peer.reset) {
      peer.reset = false;
      return -ECONNRESET;
    }
    return peer.fin || peer.isReset ? 0 : -EAGAIN;
  }

  send(fd: number, at: number, length: number): number {
    return this.#send(fd, 'send', this.memory.subarray(at, at + length));
  }

  #send(fd: number, call: string, bytes: Uint8Array | readonly number[]): number {
    const peer = this.#at(fd).peer as Peer;
    const fault = this.#fault(call);
    if (fault < 0) return fault;
    assert.equal(peer.ourEnd, 'open', 'nothing is sent behind our end');
    if (peer.isReset) {
      // The first call that fails takes the error with it.
      const errno = peer.reset ? ECONNRESET : EPIPE;
      peer.reset = false;
      return -errno;
    }
    const taken = Math.min(bytes.length, peer.window);
    if (taken === 0) return -EAGAIN;
    peer.window -= taken;
    peer.outbound.push(...bytes.slice(0, taken));
    return taken;
  }

  shutdown(fd: number): number {
    (this.#at(fd).peer as Peer).ourEnd = 'fin';
    return 0;
  }

  disown(): void {
    throw new Error('nothing here gives a connection away');
  }

  close(fd: number): number {
    const { peer, lingers } = this.#at(fd);
    if (peer !== null) peer.ourEnd = lingers || peer.inbound.length > 0 ? 'reset' : 'closed';
    this.#open[fd] = undefined;
    return 0;
  }

  #state({ peer }: Open): number {
    if (peer === null || peer.standing === 'pending') return 0;
    if (peer.standing === 'refused') return EPOLLOUT | EPOLLERR | EPOLLHUP;
    let mask = peer.window > 0 ? EPOLLOUT : 0;
    if (peer.inbound.length > 0) mask |= EPOLLIN;
    if (peer.fin) mask |= EPOLLIN | EPOLLRDHUP;
    if (peer.isReset) mask |= EPOLLIN | EPOLLRDHUP | EPOLLHUP | (peer.reset ? EPOLLERR : 0);
    return mask;
  }

  #add(parts: Pick<Open, 'peer' | 'queue' | 'pipe'>): number {
    let fd = 3;
    while (this.#open[fd] !== undefined) fd++;
    if (fd >= FDS_MAX) return -EMFILE;
    this.#open[fd] = { ...parts, watched: null, news: 0, lingers: false };
    return fd;
  }

  #at(fd: number): Open {
    const open = this.#open[fd];
    assert(open !== undefined, `descriptor ${fd} is open`);
    return open;
  }

  #fault(call: string): number {
    const index = this.faults.findIndex((fault) => fault.call === call);
    return index < 0 ? 0 : -(this.faults.splice(index, 1)[0]?.errno ?? 0);
  }
}

/** What may come of any call, and changes nothing. */
export const PASSING_FAULTS = [
  { call: 'wait', errno: EINTR },
  { call: 'receive', errno: EINTR },
  { call: 'send', errno: EINTR },
  { call: 'spliceIn', errno: EINTR },
  { call: 'spliceIn', errno: EAGAIN },
  { call: 'spliceOut', errno: EINTR },
  { call: 'pipe', errno: EMFILE },
] as const;
/** What ends a connection or a dial. */
export const LASTING_FAULTS = [
  { call: 'receive', errno: ENOBUFS },
  { call: 'send', errno: ENOBUFS },
  { call: 'spliceOut', errno: ENOBUFS },
  { call: 'socket', errno: EMFILE },
  { call: 'accept', errno: EMFILE },
  { call: 'connect', errno: ECONNREFUSED },
] as const;
