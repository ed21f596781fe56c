/** The sockets of one thread that calls the kernel itself. */

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
import { listenOn } from './system-listener.ts';
import { SystemSocket } from './system-socket.ts';
import type { ThreadIo } from './thread-io.ts';

export class SystemSockets implements Sockets {
  readonly kind = 'system';
  readonly copies = true;
  readonly io: ThreadIo;
  readonly readBuffer: Buffer<ArrayBuffer>;

  constructor(io: ThreadIo) {
    this.io = io;
    this.readBuffer = io.region.readBuffer;
  }

  get splicedBytes(): number {
    return this.io.pipes.splicedBytes;
  }

  allocate(bytes: number): Buffer<ArrayBuffer> {
    return this.io.region.allocate(bytes);
  }

  // oxlint-disable-next-line require-await -- what it throws is the rejection
  async listen(at: ListenAt, owner: ListenOwner): Promise<ListeningSocket> {
    return listenOn(this.io, at, owner);
  }

  dial(target: Target, owner: DialOwner): Socket {
    return SystemSocket.dial(this.io, target, owner);
  }

  later(task: Turn): void {
    this.io.loop.later(task);
  }
}
