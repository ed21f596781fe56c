/** The sockets of one thread that calls the kernel itself. */

import type {
  DatagramListener,
  DatagramListenOwner,
  DatagramOwner,
  DatagramSocket,
} from '../datagram.ts';
import { dialRuntimeDatagrams } from '../runtime/runtime-datagram-socket.ts';
import { listenForRuntimeDatagrams } from '../runtime/runtime-datagram-listener.ts';
import type {
  DialOwner,
  ListenAt,
  ListeningSocket,
  ListenOwner,
  Socket,
  Sockets,
  Target,
  Turn,
} from '../socket.ts';
import { DatagramIo } from './datagram-io.ts';
import { listenForDatagrams } from './datagram-listener.ts';
import { SystemDatagramSocket } from './datagram-socket.ts';
import { listenOn } from './system-listener.ts';
import { SystemSocket } from './system-socket.ts';
import type { ThreadIo } from './thread-io.ts';

export class SystemSockets implements Sockets {
  readonly kind = 'system';
  readonly copies = true;
  readonly io: ThreadIo;
  readonly readBuffer: Buffer<ArrayBuffer>;
  readonly #hasDatagrams: boolean;
  /** Made when the first datagram may come: most threads have none. */
  #datagrams: DatagramIo | null = null;

  /** `hasDatagrams`: these are the system's, too, and not the runtime's. */
  constructor(io: ThreadIo, hasDatagrams = true) {
    this.io = io;
    this.readBuffer = io.region.readBuffer;
    this.#hasDatagrams = hasDatagrams;
  }

  get splicedBytes(): number {
    return this.io.pipes.splicedBytes;
  }

  get hasReadAll(): boolean {
    return this.io.loop.isQuiet;
  }

  allocate(bytes: number): Buffer<ArrayBuffer> {
    return this.io.region.allocate(bytes);
  }

  // oxlint-disable-next-line require-await -- what it throws is the rejection
  async listen(at: ListenAt, owner: ListenOwner): Promise<ListeningSocket> {
    return listenOn(this.io, at, owner);
  }

  dial(target: Target, owner: DialOwner, unwatched = false): Socket {
    return SystemSocket.dial(this.io, target, owner, unwatched);
  }

  async listenDatagrams(at: ListenAt, owner: DatagramListenOwner): Promise<DatagramListener> {
    if (!this.#hasDatagrams) return await listenForRuntimeDatagrams(at, owner);
    return listenForDatagrams(this.#datagramIo(), at, owner);
  }

  dialDatagrams(target: Target, owner: DatagramOwner): DatagramSocket {
    if (!this.#hasDatagrams) return dialRuntimeDatagrams(target, owner);
    return new SystemDatagramSocket(this.#datagramIo(), target, owner);
  }

  #datagramIo(): DatagramIo {
    this.#datagrams ??= new DatagramIo(this.io);
    return this.#datagrams;
  }

  later(task: Turn): void {
    this.io.loop.later(task);
  }
}
