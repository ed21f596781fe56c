/**
 * Connections through the socket classes of the runtime, which read into the thread's one buffer (`onread`): no allocation
 * and no stream event per read.
 *
 * `net.connect` takes `onread` openly. An accepted socket gets it only by wrapping its handle in a new Socket, which
 * uses the private field `_handle`. `probeHandles()` tests at start-up that this works on the running Node; where it
 * does not, accepted sockets fall back to 'data' events, which cost more and do the same.
 */

import net from 'node:net';
import type { PeerProbe } from '../../../base/libc.ts';
import type { KeepAlive } from '../keep-alive.ts';
import {
  type Accepted,
  type DialOwner,
  type Ends,
  giveUp,
  isOfDead,
  type RuntimeHandle,
  type Socket,
  type SocketError,
  type SocketOwner,
  type Target,
} from '../socket.ts';

/** What all of them share on a thread. */
export interface RuntimeParts {
  readonly readBuffer: Buffer;
  /** Null where the kernel cannot be asked: then less is noticed of peers that are not read from or written to. */
  readonly probe: PeerProbe | null;
  readonly keepAlive: KeepAlive;
  /** Whether accepted sockets are adopted by their handles. */
  readonly handlesWork: boolean;
}

interface HandleHolder {
  _handle?:
    | (RuntimeHandle & {
        readonly fd?: number;
        readonly writeQueueSize?: number;
        setKeepAlive?(on: boolean, idle: number, interval: number, count: number): number;
      })
    | null;
}

/** Accepted sockets have it from their listener. The runtime has no name for it there. */
export function keepAcceptedAlive(server: net.Server, keepAlive: KeepAlive): void {
  const { idleSeconds, intervalSeconds, probes } = keepAlive;
  const handle = (server as HandleHolder)._handle;
  if (idleSeconds > 0) handle?.setKeepAlive?.(true, idleSeconds, intervalSeconds, probes);
}

/** A connection that was accepted with `pauseOnConnect`. */
export class RuntimeAccepted implements Accepted {
  readonly remoteAddress: string;
  readonly #sockets: RuntimeParts;
  readonly #accepted: net.Socket;

  constructor(sockets: RuntimeParts, accepted: net.Socket) {
    this.#sockets = sockets;
    this.#accepted = accepted;
    this.remoteAddress = plainAddress(accepted.remoteAddress);
  }

  get descriptor(): number {
    return Math.max(descriptorOf(this.#accepted), 0);
  }

  adopt(owner: SocketOwner): Socket {
    const { handlesWork, readBuffer, probe } = this.#sockets;
    const wrapped = handlesWork
      ? wrapHandle(this.#accepted, readBuffer, (length) => {
          socket.deliver(readBuffer, length);
          return true;
        })
      : null;
    const inner = wrapped ?? this.#accepted;
    const socket: RuntimeSocket = new RuntimeSocket(inner, probe, owner);
    if (wrapped === null) inner.on('data', (data: Buffer) => socket.deliver(data, data.length));
    socket.watch();
    inner.resume();
    return socket;
  }

  destroy(): void {
    this.#accepted.destroy();
  }

  reset(): void {
    this.#accepted.resetAndDestroy();
  }
}

export function dialRuntime(sockets: RuntimeParts, target: Target, owner: DialOwner): Socket {
  const { readBuffer, probe, keepAlive } = sockets;
  const inner: PatientSocket = new PatientSocket({
    allowHalfOpen: true,
    onread: {
      buffer: readBuffer,
      callback: (length) => {
        socket.deliver(readBuffer, length);
        return true;
      },
    },
  });
  const socket: RuntimeSocket = new RuntimeSocket(inner, probe, owner);
  inner.onWriteFailed = () => socket.guard(() => owner.onWriteFailed());
  inner.setNoDelay();
  const { idleSeconds, intervalSeconds, probes } = keepAlive;
  if (idleSeconds > 0)
    inner.setKeepAlive(true, idleSeconds * 1_000, intervalSeconds * 1_000, probes);
  inner.connect({ host: target.address, port: target.port }, () =>
    socket.guard(() => owner.onConnect()),
  );
  socket.watch();
  return socket;
}

export class RuntimeSocket implements Socket {
  readonly copies: boolean = false;
  readonly #inner: net.Socket;
  readonly #probe: PeerProbe | null;
  owner: SocketOwner;

  constructor(inner: net.Socket, probe: PeerProbe | null, owner: SocketOwner) {
    this.#inner = inner;
    this.#probe = probe;
    this.owner = owner;
  }

  handOver(owner: SocketOwner): void {
    this.owner = owner;
  }

  release(): RuntimeHandle | null {
    const inner = this.#inner;
    const handle = handleOf(inner);
    // What the runtime has read already would be lost with it.
    if (handle === null || inner.destroyed || inner.readableLength > 0) return null;
    inner.pause();
    inner.removeAllListeners();
    (inner as HandleHolder)._handle = null;
    return handle;
  }

  get connecting(): boolean {
    return this.#inner.connecting;
  }

  get destroyed(): boolean {
    return this.#inner.destroyed;
  }

  get isPaused(): boolean {
    return this.#inner.isPaused();
  }

  get writableLength(): number {
    return this.#inner.writableLength;
  }

  get writableNeedDrain(): boolean {
    return this.#inner.writableNeedDrain;
  }

  get writeFailed(): boolean {
    return this.#inner.errored !== null;
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten;
  }

  get unreadBytes(): number {
    return this.#inner.readableLength;
  }

  ends(): Ends {
    const { localAddress, localPort = 0, remoteAddress, remotePort = 0 } = this.#inner;
    return {
      localAddress: plainAddress(localAddress),
      localPort,
      remoteAddress: plainAddress(remoteAddress),
      remotePort,
    };
  }

  write(data: Buffer, start: number, end: number): boolean {
    return this.#inner.write(data.subarray(start, end));
  }

  /** The runtime knows no limit for bytes that a peer does not take. */
  watchPeer({ idleSeconds, intervalSeconds, probes }: KeepAlive): void {
    const inner = this.#inner;
    if (idleSeconds === 0) inner.setKeepAlive(false);
    else inner.setKeepAlive(true, idleSeconds * 1_000, intervalSeconds * 1_000, probes);
  }

  end(): void {
    this.#inner.end();
  }

  destroySoon(): void {
    this.#inner.destroySoon();
  }

  destroy(): void {
    this.#inner.destroy();
  }

  /**
   * While our half is being closed, behind all that was to be said, Node can neither reset nor afterwards close it, and
   * would leave it open for ever: then it is closed plainly.
   */
  reset(): void {
    const inner = this.#inner;
    const isClosingHalf =
      inner.writableEnded && !inner.writableFinished && inner.writableLength === 0;
    if (inner.connecting || isClosingHalf) inner.destroy();
    else inner.resetAndDestroy();
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  /** The runtime shows nobody its descriptors. */
  spliceTo(): boolean {
    return false;
  }

  mayHaveMore(): boolean {
    return true;
  }

  unsentBytes(): number {
    const inner = this.#inner;
    const descriptor = descriptorOf(inner);
    const inKernel =
      this.#probe === null || descriptor < 0 ? 0 : this.#probe.unacknowledged(descriptor);
    return inner.writableLength + ((inner as HandleHolder)._handle?.writeQueueSize ?? 0) + inKernel;
  }

  peerState(): 'open' | 'closing' | 'gone' {
    const descriptor = descriptorOf(this.#inner);
    if (this.#probe === null || descriptor < 0) return 'open';
    const { writableEnded, writableLength } = this.#inner;
    // Our end is behind what waits.
    return this.#probe.stateOf(descriptor, writableEnded && writableLength === 0);
  }

  /** Begins to tell its owner. */
  watch(): void {
    const inner = this.#inner;
    let error: SocketError | null = null;
    inner.on('error', (thrown: NodeJS.ErrnoException) => (error = thrown));
    inner.on('end', () => this.guard(() => this.ended()));
    inner.on('drain', () => this.guard(() => this.owner.onDrain()));
    inner.on('close', () => this.guard(() => this.owner.onClose(this.told(error))));
  }

  protected ended(): void {
    this.owner.onEnd();
  }

  /** What its owner gets to know of what it was closed with. */
  protected told(error: SocketError | null): SocketError | null {
    return error;
  }

  /** `guard` without a closure: the path of every read. */
  deliver(data: Buffer, length: number): void {
    try {
      this.owner.onData(data, length);
    } catch (error) {
      giveUp(this, this.owner, error);
    }
  }

  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      giveUp(this, this.owner, error);
    }
  }
}

/** A handle of the runtime for a connection that it has not opened. @throws where the runtime does not take it */
export function openDescriptor(fd: number): RuntimeHandle | null {
  // The types leave out what keeps it from reading at once.
  const socket = new net.Socket({ fd, allowHalfOpen: true, manualStart: true } as object);
  const handle = handleOf(socket);
  (socket as HandleHolder)._handle = null;
  return handle;
}

/** Null where it has none any more. */
function handleOf(socket: net.Socket): RuntimeHandle | null {
  return (socket as HandleHolder)._handle ?? null;
}

/** -1 when not known. */
function descriptorOf(socket: net.Socket): number {
  return (socket as HandleHolder)._handle?.fd ?? -1;
}

/** IPv4 addresses on dual-stack sockets come as ::ffff:a.b.c.d. */
function plainAddress(address = ''): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

export function wrapHandle(
  accepted: net.Socket,
  buffer: Buffer,
  callback: (length: number) => boolean,
): net.Socket | null {
  const handle = (accepted as HandleHolder)._handle;
  if (handle === undefined || handle === null) return null;
  // The constructor takes `handle` and `onread` together; the public types know only one of them.
  const options = { handle, allowHalfOpen: true, onread: { buffer, callback } };
  return new net.Socket(options as object);
}

/**
 * A socket whose failed write does not destroy what has arrived. Who answers early and closes with our bytes unread (413, 401)
 * resets the connection behind the answer; the kernel keeps the answer for us, but Node would drop it with the handle. After
 * such a write the kernel tells of the reset as of an end, so the end is told with the error of the write.
 */
class PatientSocket extends net.Socket {
  onWriteFailed: () => void = () => undefined;
  #failure: NodeJS.ErrnoException | null = null;
  #ended = false;

  override destroy(error?: NodeJS.ErrnoException): this {
    const isWrite = error?.syscall === 'write' || error?.syscall === 'writev';
    if (error === undefined || !isWrite || !isOfDead(error)) return super.destroy(error);
    if (this.#ended || this.destroyed || this.#failure !== null) return super.destroy(error);
    this.#failure = error;
    this.onWriteFailed();
    return this;
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null) return super.push(chunk, encoding);
    this.#ended = true;
    if (this.#failure === null) return super.push(null);
    super.destroy(this.#failure);
    return false;
  }
}
