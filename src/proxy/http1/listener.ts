/** The listening socket of one HTTP port of one Service on one thread, and the callers connected to it. */

import net from 'node:net';
import type { ThreadContext } from '../http/context.ts';
import type { PortState } from '../table/table.ts';
import { descriptorOf } from '../net/socket.ts';
import { CallerConnection, type CallerHost, plainAddress } from './caller.ts';

const BACKLOG = 4_096;

export class Listener implements CallerHost {
  readonly port: PortState;
  readonly #context: ThreadContext;
  readonly #server: net.Server;
  readonly #connections = new Set<CallerConnection>();
  #done: (() => void) | undefined;
  #accepted = 0;
  #acceptedAtMs = -Infinity;

  constructor(port: PortState, context: ThreadContext) {
    this.port = port;
    this.#context = context;
    this.#server = net.createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true },
      (socket) => this.#accept(socket),
    );
  }

  /** Resolves with the port once callers can connect; rejects with the system's error. All threads share the port. */
  async listen(): Promise<number> {
    const { address } = this.port;
    if (address !== '') return await this.#bind(address);
    try {
      return await this.#bind('::');
    } catch (error) {
      if (!isWithoutIpv6(error)) throw error;
      return await this.#bind('0.0.0.0');
    }
  }

  #bind(host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      const { number } = this.port;
      this.#server.listen({ host, port: number, backlog: BACKLOG, reusePort: true }, () => {
        this.#server.removeListener('error', reject);
        // What fails later is a single accept (too many open files); the listener goes on.
        this.#server.on('error', () => this.#context.acceptFailures++);
        const bound = this.#server.address();
        resolve(bound === null || typeof bound === 'string' ? number : bound.port);
      });
    });
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** When the last connection was accepted, clock milliseconds; -Infinity before the first. */
  get acceptedAtMs(): number {
    return this.#acceptedAtMs;
  }

  /** Stops accepting; connected callers finish what runs and are then told to go. `done` runs when the last one left. */
  close(done: () => void): void {
    this.#done = done;
    if (this.#server.listening) this.#server.close();
    if (this.#connections.size === 0) return done();
    for (const connection of this.#connections) connection.drain();
  }

  /** Cuts what is left. */
  abort(): void {
    for (const connection of this.#connections) connection.cut();
  }

  closed(connection: CallerConnection): void {
    this.#connections.delete(connection);
    this.#context.room.leave(connection);
    this.#context.callerConnections--;
    if (this.#connections.size === 0) this.#done?.();
  }

  #accept(socket: net.Socket): void {
    try {
      this.#enter(socket);
    } catch (error) {
      this.#context.guard.caught('proxy', error);
      socket.destroy();
    }
  }

  #enter(socket: net.Socket): void {
    this.#accepted++;
    this.#acceptedAtMs = this.#context.wheel.nowMs;
    const { room } = this.#context;
    const { key } = this.port.service.service;
    const address = plainAddress(socket.remoteAddress ?? '');
    if (!room.admits(address, key, descriptorOf(socket))) return void socket.destroy();
    // From here on it ends by its own `onClose`, which takes back what is counted here.
    const connection = new CallerConnection(socket, this.port, this.#context, this);
    this.#context.callerConnections++;
    this.#connections.add(connection);
    room.enter(connection);
  }
}

function isWithoutIpv6(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL';
}
