/** The sockets of one thread that go through the socket classes of the runtime. */

import net from 'node:net';
import type { PeerProbe } from '../../../base/libc.ts';
import type {
  DatagramListener,
  DatagramListenOwner,
  DatagramOwner,
  DatagramSocket,
} from '../datagram.ts';
import { type KeepAlive, NO_KEEP_ALIVE } from '../keep-alive.ts';
import {
  BACKLOG,
  type DialOwner,
  isWithoutIpv6,
  type ListenAt,
  type ListeningSocket,
  type ListenOwner,
  READ_BYTES,
  type Socket,
  type Sockets,
  type Target,
  type Turn,
} from '../socket.ts';
import { listenForRuntimeDatagrams } from './runtime-datagram-listener.ts';
import { dialRuntimeDatagrams } from './runtime-datagram-socket.ts';
import {
  dialRuntime,
  keepAcceptedAlive,
  RuntimeAccepted,
  type RuntimeParts,
  wrapHandle,
} from './runtime-socket.ts';

export class RuntimeSockets implements Sockets, RuntimeParts {
  readonly kind = 'runtime';
  /** A socket holds what it could not send. */
  readonly copies = false;
  readonly splicedBytes = 0;
  /** Before its timers have their turn again, the runtime tells all that is there. */
  readonly hasReadAll = true;
  readonly readBuffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly probe: PeerProbe | null;
  readonly keepAlive: KeepAlive;
  handlesWork = true;
  #later: Turn[] = [];
  readonly #turn = (): void => this.#runLater();

  constructor(probe: PeerProbe | null, keepAlive = NO_KEEP_ALIVE) {
    this.probe = probe;
    this.keepAlive = keepAlive;
  }

  allocate(bytes: number): Buffer<ArrayBuffer> {
    return Buffer.allocUnsafeSlow(bytes);
  }

  async listen({ address, port }: ListenAt, owner: ListenOwner): Promise<ListeningSocket> {
    if (address !== '') return await this.#bind(address, port, owner);
    try {
      return await this.#bind('::', port, owner);
    } catch (error) {
      if (!isWithoutIpv6(error)) throw error;
      return await this.#bind('0.0.0.0', port, owner);
    }
  }

  /** Nothing is saved by `unwatched` here. */
  dial(target: Target, owner: DialOwner): Socket {
    return dialRuntime(this, target, owner);
  }

  listenDatagrams(at: ListenAt, owner: DatagramListenOwner): Promise<DatagramListener> {
    return listenForRuntimeDatagrams(at, owner);
  }

  dialDatagrams(target: Target, owner: DatagramOwner): DatagramSocket {
    return dialRuntimeDatagrams(target, owner);
  }

  later(task: Turn): void {
    this.#later.push(task);
    if (this.#later.length === 1) setImmediate(this.#turn);
  }

  #runLater(): void {
    const due = this.#later;
    this.#later = [];
    for (const task of due) task.onTurn();
  }

  #bind(host: string, port: number, owner: ListenOwner): Promise<ListeningSocket> {
    return new Promise((resolve, reject) => {
      const server = net.createServer(
        { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
        (socket) => owner.onAccept(new RuntimeAccepted(this, socket)),
      );
      server.once('error', reject);
      server.listen({ host, port, backlog: BACKLOG, reusePort: true }, () => {
        server.removeListener('error', reject);
        keepAcceptedAlive(server, this.keepAlive);
        // What fails later is a single accept (too many open files); the listener goes on.
        server.on('error', () => owner.onAcceptFailed());
        const bound = server.address();
        resolve({
          port: bound === null || typeof bound === 'string' ? port : bound.port,
          close: () => void (server.listening && server.close()),
        });
      });
    });
  }
}

/** Whether an accepted socket can be adopted by its handle on this runtime. */
export function probeHandles(): Promise<boolean> {
  return new Promise<boolean>((resolve) => {
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
}
