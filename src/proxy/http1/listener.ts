/** The listening socket of one HTTP port of one Service on one thread, and the callers connected to it. */

import type { ThreadContext } from '../http/context.ts';
import type { PortState } from '../table/table.ts';
import type { Accepted, ListeningSocket, ListenOwner } from '../net/socket.ts';
import { CallerConnection, type CallerHost } from './caller.ts';
import type { RequestPool } from './request-pool.ts';

export class Listener implements CallerHost, ListenOwner {
  readonly port: PortState;
  readonly requests: RequestPool;
  readonly #context: ThreadContext;
  /** Null until callers can connect. */
  #socket: ListeningSocket | null = null;
  #closed = false;
  readonly #connections = new Set<CallerConnection>();
  #done: (() => void) | undefined;
  #accepted = 0;
  #acceptedAtMs = -Infinity;

  constructor(port: PortState, context: ThreadContext, requests: RequestPool) {
    this.port = port;
    this.requests = requests;
    this.#context = context;
  }

  /** Resolves with the port once callers can connect; rejects with the system's error. All threads share the port. */
  async listen(): Promise<number> {
    const { address, number } = this.port;
    const socket = await this.#context.sockets.listen({ address, port: number }, this);
    if (this.#closed) socket.close();
    else this.#socket = socket;
    return socket.port;
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
    this.#closed = true;
    this.#socket?.close();
    this.#socket = null;
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

  onAccept(accepted: Accepted): void {
    try {
      this.#enter(accepted);
    } catch (error) {
      this.#context.guard.caught('proxy', error);
      accepted.destroy();
    }
  }

  onAcceptFailed(): void {
    this.#context.acceptFailures++;
  }

  #enter(accepted: Accepted): void {
    this.#accepted++;
    this.#acceptedAtMs = this.#context.wheel.nowMs;
    const { room } = this.#context;
    const { key } = this.port.service.service;
    const { remoteAddress, descriptor } = accepted;
    if (!room.admits(remoteAddress, key, descriptor)) return accepted.destroy();
    // From here on it ends by its own `onClose`, which takes back what is counted here.
    const connection = new CallerConnection(accepted, this.port, this.#context, this);
    this.#context.callerConnections++;
    this.#connections.add(connection);
    room.enter(connection);
  }
}
