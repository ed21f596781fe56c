/**
 * TCP sockets that read into the thread's one buffer (`onread`): no allocation and no stream event per read.
 *
 * `net.connect` takes `onread` openly. An accepted socket gets it only by wrapping its handle in a new Socket, which
 * uses the private field `_handle`. `probeHandles()` tests at start-up that this works on the running Node; where it
 * does not, accepted sockets fall back to 'data' events, which cost more and do the same.
 */

import net from 'node:net';
import type { PeerProbe } from '../../base/libc.ts';
import type { NetContext } from './context.ts';

/** What a socket tells its owner. `data` is valid only during the call. */
export interface SocketOwner {
  onData(data: Buffer, length: number): void;
  onEnd(): void;
  onDrain(): void;
  /** Last call for this socket; `error` is null after an orderly close. */
  onClose(error: NodeJS.ErrnoException | null): void;
  /** One of the others threw: gives up the connection and what it works for. */
  onDefect(error: unknown): void;
}

/** The owner of a connection that we opened. */
export interface DialOwner extends SocketOwner {
  /** Nothing can be sent any more; what the peer had sent before still comes, and then `onClose` with the error. */
  onWriteFailed(): void;
}

interface HandleHolder {
  _handle?: { readonly fd?: number; readonly writeQueueSize?: number } | null;
}

/** Bytes on their way that the peer has not taken, as far as anybody can tell: they shrink while it reads. */
export function bytesOnTheirWay(socket: net.Socket, probe: PeerProbe | null): number {
  const handle = (socket as HandleHolder)._handle;
  const descriptor = handle?.fd ?? -1;
  const inKernel = probe === null || descriptor < 0 ? 0 : probe.unacknowledged(descriptor);
  return socket.writableLength + (handle?.writeQueueSize ?? 0) + inKernel;
}

/** Number of the file descriptor of an accepted socket; 0 when not known. */
export function descriptorOf(socket: net.Socket): number {
  const handle: { readonly fd?: number } | null | undefined = (socket as HandleHolder)._handle;
  return handle?.fd ?? 0;
}

let handlesWork = true;

/** Decides how this thread adopts accepted sockets. Call once before listening; resolves to whether handles work. */
export async function probeHandles(): Promise<boolean> {
  handlesWork = await new Promise<boolean>((resolve) => {
    const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
      const buffer = Buffer.alloc(16);
      const socket = wrapHandle(accepted, buffer, (length) => {
        socket?.end(buffer.subarray(0, length));
        return true;
      });
      if (socket === null) accepted.destroy();
      else socket.resume();
    });
    server.on('error', () => resolve(false));
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      let echoed = '';
      const client = net.connect(port, '127.0.0.1', () => client.end('probe'));
      client.setTimeout(2_000, () => client.destroy());
      client.on('data', (data) => (echoed += data.toString()));
      client.on('error', () => resolve(false));
      client.on('close', () => {
        server.close();
        resolve(echoed === 'probe');
      });
    });
  });
  return handlesWork;
}

function wrapHandle(
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

/** Takes over a socket that was accepted with `pauseOnConnect`, and starts to read from it. */
export function adopt(accepted: net.Socket, owner: SocketOwner, context: NetContext): net.Socket {
  const buffer = context.readBuffer;
  const wrapped = handlesWork
    ? wrapHandle(accepted, buffer, (length) => {
        deliver(socket, owner, buffer, length);
        return true;
      })
    : null;
  const socket = wrapped ?? accepted;
  if (wrapped === null) {
    socket.on('data', (data: Buffer) => deliver(socket, owner, data, data.length));
  }
  watch(socket, owner);
  socket.resume();
  return socket;
}

/** Opens a connection; `onConnect` runs once it stands. Errors arrive through `owner.onClose`. */
export function dial(
  target: { readonly address: string; readonly port: number },
  owner: DialOwner,
  context: NetContext,
  onConnect: () => void,
): net.Socket {
  const buffer = context.readBuffer;
  const socket = new PatientSocket(owner, {
    allowHalfOpen: true,
    onread: {
      buffer,
      callback: (length) => {
        deliver(socket, owner, buffer, length);
        return true;
      },
    },
  });
  socket.setNoDelay();
  socket.connect({ host: target.address, port: target.port }, () =>
    guard(socket, owner, onConnect),
  );
  watch(socket, owner);
  return socket;
}

/** Codes of a write to a connection that is dead: whatever its peer had sent can be read to its end. */
const DEAD: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/**
 * A socket whose failed write does not destroy what has arrived. Who answers early and closes with our bytes unread (413, 401)
 * resets the connection behind the answer; the kernel keeps the answer for us, but Node would drop it with the handle. After
 * such a write the kernel tells of the reset as of an end, so the end is told with the error of the write.
 */
class PatientSocket extends net.Socket {
  readonly #owner: DialOwner;
  #failure: NodeJS.ErrnoException | null = null;
  #ended = false;

  constructor(owner: DialOwner, options: net.SocketConstructorOpts) {
    super(options);
    this.#owner = owner;
  }

  override destroy(error?: NodeJS.ErrnoException): this {
    const isWrite = error?.syscall === 'write' || error?.syscall === 'writev';
    if (error === undefined || !isWrite || !DEAD.has(error.code)) return super.destroy(error);
    if (this.#ended || this.destroyed || this.#failure !== null) return super.destroy(error);
    this.#failure = error;
    guard(this, this.#owner, () => this.#owner.onWriteFailed());
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

/**
 * Cuts a connection with a reset. While our half is being closed, behind all that was to be said, Node can neither reset
 * nor afterwards close it, and would leave it open for ever: then it is closed plainly.
 */
export function reset(socket: net.Socket): void {
  const isClosingHalf =
    socket.writableEnded && !socket.writableFinished && socket.writableLength === 0;
  if (socket.connecting || isClosingHalf) socket.destroy();
  else socket.resetAndDestroy();
}

function watch(socket: net.Socket, owner: SocketOwner): void {
  let error: NodeJS.ErrnoException | null = null;
  socket.on('error', (thrown: NodeJS.ErrnoException) => (error = thrown));
  socket.on('end', () => guard(socket, owner, () => owner.onEnd()));
  socket.on('drain', () => guard(socket, owner, () => owner.onDrain()));
  socket.on('close', () => guard(socket, owner, () => owner.onClose(error)));
}

/** `guard` without a closure: the path of every read. */
function deliver(socket: net.Socket, owner: SocketOwner, data: Buffer, length: number): void {
  try {
    owner.onData(data, length);
  } catch (error) {
    giveUp(socket, owner, error);
  }
}

/** Nothing that a peer can cause may leave an event handler: it would end the thread, and with it everybody's requests. */
function guard(socket: net.Socket, owner: SocketOwner, run: () => void): void {
  try {
    run();
  } catch (error) {
    giveUp(socket, owner, error);
  }
}

function giveUp(socket: net.Socket, owner: SocketOwner, error: unknown): void {
  try {
    owner.onDefect(error);
  } catch {
    // The first error is the one that was logged; what is left to do is to let nothing more pass.
    socket.destroy();
  }
}
