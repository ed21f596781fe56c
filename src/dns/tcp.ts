/** The TCP half of the DNS server: connections with any number of queries each, bounded in number, size and time (RFC 7766). */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import type { Clock, Timer } from '../base/clock.ts';
import type { Guard } from '../base/guard.ts';
import { type Visitor, Visitors } from '../base/visitors.ts';
import { frame, MessageReader } from './framing.ts';

export interface TcpSideOptions {
  readonly address: string;
  readonly port: number;
  readonly clock: Clock;
  readonly guard: Guard;
  readonly messageBytesMax: number;
  readonly connectionsMax: number;
  readonly idleMs: number;
  readonly stats: {
    dropped: number;
    tcpConnections: number;
    tcpEvicted: number;
    tcpAborted: number;
  };
  /** The answer to one message; null is a message that gets none. */
  readonly respond: (message: Buffer) => Buffer | null;
  readonly onError: (error: unknown) => void;
  /** A connection of this source was closed to let another one in. */
  readonly onEvict: (source: string) => void;
}

interface Connection {
  readonly socket: Socket;
  readonly visitor: Visitor;
  /** Time of the last whole query, or of the accept. */
  activeAtMs: number;
}

/** A caller that sends queries and does not read answers is cut off beyond this. */
const UNREAD_BYTES_MAX = 65_536;

export class TcpSide {
  readonly #options: TcpSideOptions;
  readonly #connections = new Set<Connection>();
  readonly #visitors: Visitors;
  readonly #server: Server;
  #sweep: Timer | null = null;

  constructor(options: TcpSideOptions) {
    this.#options = options;
    this.#visitors = new Visitors(options.connectionsMax, (source) => {
      options.stats.tcpEvicted += 1;
      options.onEvict(source);
    });
    const { guard } = options;
    this.#server = createServer(
      { noDelay: true },
      guard.wrap(
        'dns',
        (socket) => this.#accept(socket),
        (socket) => socket.destroy(),
      ),
    );
  }

  /** Returns the port, which is any free one for 0. Rejects with the error of the system when it cannot listen. */
  async start(): Promise<number> {
    const { address, port, clock, idleMs } = this.#options;
    this.#server.listen({ host: address, port, reusePort: true });
    await once(this.#server, 'listening');
    this.#server.on('error', this.#options.onError);
    this.#sweep = clock.every(Math.max(idleMs / 4, 1), () => this.#closeIdle());
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#sweep?.cancel();
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const connection of this.#connections) connection.socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    const { stats } = this.#options;
    // Errors of one connection are the caller's business: the close that follows is all there is to do.
    socket.on('error', () => socket.destroy());
    const visitor = this.#visitors.enter(socket);
    const connection: Connection = { socket, visitor, activeAtMs: this.#options.clock.nowMs() };
    this.#connections.add(connection);
    stats.tcpConnections += 1;
    socket.on('close', () => {
      this.#connections.delete(connection);
      stats.tcpConnections -= 1;
    });
    const reader = new MessageReader(this.#options.messageBytesMax, (message) =>
      this.#answer(connection, message),
    );
    const receive = (chunk: Buffer | string): void => {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
      if (!reader.push(bytes)) this.#abort(connection);
    };
    socket.on(
      'data',
      this.#options.guard.wrap('dns', receive, () => this.#abort(connection)),
    );
  }

  #answer(connection: Connection, message: Buffer): void {
    const { socket } = connection;
    if (socket.destroyed) return;
    if (socket.writableLength > UNREAD_BYTES_MAX) {
      this.#abort(connection);
      return;
    }
    connection.activeAtMs = this.#options.clock.nowMs();
    this.#visitors.touch(connection.visitor);
    const response = this.#options.respond(message);
    if (response === null) this.#options.stats.dropped += 1;
    else socket.write(frame(response));
  }

  #closeIdle(): void {
    const before = this.#options.clock.nowMs() - this.#options.idleMs;
    for (const connection of this.#connections) {
      if (connection.activeAtMs <= before) this.#abort(connection);
    }
  }

  #abort(connection: Connection): void {
    if (connection.socket.destroyed) return;
    this.#options.stats.tcpAborted += 1;
    connection.socket.destroy();
  }
}
