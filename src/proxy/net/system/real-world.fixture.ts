/**
 * The model's world on the real kernel: connections over loopback, whose other ends a second kernel object of the same thread holds.
 * Buffers and segments are small, so that little fills them.
 */

import assert from 'node:assert/strict';
import type { Accepted, ListenAt, Target } from '../socket.ts';
import { EAGAIN, EINPROGRESS } from './errno.ts';
import { openKernel } from './kernel.ts';
import { IPPROTO_TCP, type Kernel, SOL_SOCKET } from './kernel-interface.ts';
import {
  type Fault,
  type ModelPeer,
  patternAt,
  type World,
  Written,
} from './model-world.fixture.ts';
import { READ_AT, STAGE_AT, STAGE_BYTES } from './region.ts';
import { AF_INET, portIn, putAddress } from './socket-address.ts';
import type { SystemSocket } from './system-socket.ts';
import { marksOf, shareMarks } from './thread-marks.ts';

const OURS = '127.0.0.1';
const THEIRS = '127.0.0.2';
const BACKLOG = 64;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const TCP_MAXSEG = 2;
const SEGMENT_BYTES = 1_400;
/** The kernel doubles it. */
const BUFFER_BYTES = 4_096;
/** Of 16 dials, one goes where nobody listens. */
const REFUSED_PART = 16;
/** A wait that ends with the next event. */
const PATIENCE_MS = 1_000;
/** Looks for the connection that a dial has just made. */
const LOOKS_MAX = 1_000_000;

/** The real one, with faults in front, and every connection with small buffers. */
class FaultyKernel implements Kernel {
  readonly memory: Kernel['memory'];
  readonly backend: number;
  readonly backendEvents = (): number => 0;
  readonly backendTimeout = (): number => this.timeoutMs;
  readonly faults: Fault[] = [];
  readonly datagrams: Kernel['datagrams'];
  timeoutMs = 0;
  /** Dials that left. */
  dials = 0;
  /** Descriptors that are open. */
  open = 0;
  readonly #real: Kernel;

  constructor(real: Kernel) {
    this.datagrams = real.datagrams;
    this.#real = real;
    this.memory = real.memory;
    this.backend = real.backend;
  }

  createEpoll(): number {
    return this.#opened(this.#real.createEpoll());
  }

  // oxlint-disable-next-line max-params -- those of the interface
  control(
    epoll: number,
    operation: number,
    fd: number,
    events: number,
    generation: number,
  ): number {
    return this.#real.control(epoll, operation, fd, events, generation);
  }

  wait(epoll: number, timeoutMs: number): number {
    return this.#fault('wait') || this.#real.wait(epoll, timeoutMs);
  }

  eventMask(index: number): number {
    return this.#real.eventMask(index);
  }

  eventDescriptor(index: number): number {
    return this.#real.eventDescriptor(index);
  }

  eventGeneration(index: number): number {
    return this.#real.eventGeneration(index);
  }

  socket(family: number): number {
    const fd = this.#fault('socket') || this.#opened(this.#real.socket(family));
    if (fd < 0) return fd;
    this.#real.setOption(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
    this.#real.setOption(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
    this.#real.setOption(fd, IPPROTO_TCP, TCP_MAXSEG, SEGMENT_BYTES);
    return fd;
  }

  bind(fd: number, addressBytes: number): number {
    return this.#real.bind(fd, addressBytes);
  }

  listen(fd: number, backlog: number): number {
    return this.#real.listen(fd, backlog);
  }

  accept(fd: number): number {
    return this.#fault('accept') || this.#opened(this.#real.accept(fd));
  }

  connect(fd: number, addressBytes: number): number {
    const fault = this.#fault('connect');
    if (fault < 0) return fault;
    this.dials++;
    return this.#real.connect(fd, addressBytes);
  }

  localAddress(fd: number): number {
    return this.#real.localAddress(fd);
  }

  setOption(fd: number, level: number, name: number, value: number): number {
    return this.#real.setOption(fd, level, name, value);
  }

  setReset(fd: number): number {
    return this.#real.setReset(fd);
  }

  option(fd: number, level: number, name: number): number {
    return this.#real.option(fd, level, name);
  }

  unacknowledged(fd: number): number {
    return this.#real.unacknowledged(fd);
  }

  unread(fd: number): number {
    return this.#real.unread(fd);
  }

  pipe(bytes: number): number {
    const result = this.#fault('pipe') || this.#real.pipe(bytes);
    if (result === 0) this.open += 2;
    return result;
  }

  pipeEnd(which: 0 | 1): number {
    return this.#real.pipeEnd(which);
  }

  spliceIn(fd: number, pipe: number, bytes: number): number {
    return this.#fault('spliceIn') || this.#real.spliceIn(fd, pipe, bytes);
  }

  spliceOut(pipe: number, fd: number, bytes: number): number {
    return this.#fault('spliceOut') || this.#real.spliceOut(pipe, fd, bytes);
  }

  receive(fd: number, at: number, length: number): number {
    return this.#fault('receive') || this.#real.receive(fd, at, length);
  }

  send(fd: number, at: number, length: number): number {
    return this.#fault('send') || this.#real.send(fd, at, length);
  }

  shutdown(fd: number): number {
    return this.#real.shutdown(fd);
  }

  close(fd: number): number {
    this.open--;
    return this.#real.close(fd);
  }

  disown(fd: number): void {
    this.#real.disown(fd);
  }

  #opened(fd: number): number {
    if (fd >= 0) this.open++;
    return fd;
  }

  /** 0 for none. */
  #fault(call: string): number {
    if (this.faults.length === 0) return 0;
    const index = this.faults.findIndex((fault) => fault.call === call);
    return index < 0 ? 0 : -(this.faults.splice(index, 1)[0]?.errno ?? 0);
  }
}

export class RealWorld implements World {
  readonly kernel = new FaultyKernel(openKernel(marksOf(shareMarks())));
  readonly faults = this.kernel.faults;
  readonly listenAt: ListenAt = { address: OURS, port: 0 };
  readonly losesBehindUnread = true;
  readonly bytesMax = 24_000;
  /** What is left in one comes out at the wrong place. */
  readonly inPipes = 0;
  readonly #far = new FaultyKernel(openKernel(marksOf(shareMarks())));
  readonly #listener = this.#open(0);
  readonly #port: number;
  /** Bound, and not listened on. */
  readonly #deafPort: number;
  /** Callers that nobody has accepted yet, by port. */
  readonly #knocking = new Map<number, RealPeer>();
  #target = 0;
  #seen = 0;

  constructor() {
    this.#port = this.#portOf(this.#listener);
    check(this.#far.listen(this.#listener, BACKLOG));
    this.#deafPort = this.#portOf(this.#open(0));
  }

  get descriptors(): number {
    return this.kernel.open + this.#far.open;
  }

  target(value: number): Target {
    this.#seen = this.kernel.dials;
    this.#target = value % REFUSED_PART === 1 ? this.#deafPort : this.#port;
    return { address: THEIRS, port: this.#target };
  }

  /** A dial over loopback stands when the call returns, or a moment later. */
  dialled(): ModelPeer | null {
    const { dials } = this.kernel;
    if (this.#target !== this.#port || dials === this.#seen) return null;
    this.#seen = dials;
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const fd = this.#far.accept(this.#listener);
      if (fd >= 0) return new RealPeer(this.#far, fd);
      assert.equal(fd, -EAGAIN);
    }
    return assert.fail('a dial over loopback arrives');
  }

  knock(port: number): void {
    const fd = this.#open(0);
    const peer = new RealPeer(this.#far, fd);
    this.#knocking.set(this.#portOf(fd), peer);
    const result = this.#far.connect(fd, putAddress(this.#far.memory, OURS, port));
    assert(result === 0 || result === -EINPROGRESS);
  }

  peerOf(accepted: Accepted): ModelPeer {
    assert.equal(accepted.remoteAddress, THEIRS);
    const port = (accepted as SystemSocket).remotePort;
    const peer = this.#knocking.get(port);
    assert(peer !== undefined, 'a caller that is accepted has dialled');
    this.#knocking.delete(port);
    return peer;
  }

  set isPatient(isPatient: boolean) {
    this.kernel.timeoutMs = isPatient ? PATIENCE_MS : 0;
  }

  clear(): void {
    // What was refused for want of descriptors.
    for (const peer of this.#knocking.values()) peer.close();
    this.#knocking.clear();
  }

  #open(port: number): number {
    const far = this.#far;
    const fd = check(far.socket(AF_INET));
    check(far.bind(fd, putAddress(far.memory, THEIRS, port)));
    return fd;
  }

  #portOf(fd: number): number {
    check(this.#far.localAddress(fd));
    return portIn(this.#far.memory);
  }
}

class RealPeer implements ModelPeer {
  readonly isPending = false;
  readonly isRefused = false;
  hasEnded = false;
  isReset = false;
  received = 0;
  expects = new Written();
  isDone = false;
  readonly #far: Kernel;
  readonly #fd: number;
  #closed = false;

  constructor(far: Kernel, fd: number) {
    this.#far = far;
    this.#fd = fd;
  }

  decide(): void {
    assert.fail('the kernel has decided');
  }

  send(sent: number, amount: number): number {
    const length = Math.min(amount, STAGE_BYTES);
    patternAt(sent, length).copy(this.#far.memory, STAGE_AT);
    return Math.max(this.#far.send(this.#fd, STAGE_AT, length), 0);
  }

  take(amount: number): void {
    for (let left = amount; left > 0 && !this.isDone;) {
      const got = this.#far.receive(this.#fd, READ_AT, Math.min(left, STAGE_BYTES));
      if (got === -EAGAIN) return;
      if (got <= 0) this.isDone = true;
      else {
        const data = this.#far.memory.subarray(READ_AT, READ_AT + got);
        assert(this.expects.has(this.received, data, got), 'bytes in order');
        this.received += got;
        left -= got;
      }
    }
  }

  end(): void {
    this.hasEnded = true;
    this.#far.shutdown(this.#fd);
  }

  reset(): void {
    this.isReset = true;
    this.close();
  }

  /** With a reset: the port is free again at once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#far.setReset(this.#fd);
    this.#far.close(this.#fd);
  }
}

function check(result: number): number {
  assert(result >= 0, `the kernel refuses with ${-result}`);
  return result;
}
