/** The listening socket of one port of one Service on one thread, and the callers connected to it. An acceptor knows what they speak. */

import { endpointKey } from '../../model/endpoint.ts';
import { Line, Stand } from '../../base/line.ts';
import type { Guest } from './caller-room.ts';
import type { NetContext } from './context.ts';
import type { Accepted, ListenAt, ListeningSocket, ListenOwner } from './socket.ts';

/** A connection of a caller, whatever it speaks. */
export interface Caller extends Guest {
  /** Owned by the listener. */
  listed: Stand<Caller> | null;
  /** It is known to the listener and to the room: what it does before its first byte it does now. */
  begin?(): void;
  /** The port closes: what runs is finished, and then the caller is told to go. */
  drain(): void;
  /** The drain is over. */
  cut(): void;
  /** It threw: gives up the connection and what it works for. */
  onDefect(error: unknown): void;
}

export interface CallerHost {
  /** The port closed, and connected callers were told to go: whoever shows up later is to be told, too. */
  readonly isLeaving: boolean;
  closed(caller: Caller): void;
  /** The connection of `before` belongs to `after` from now on. */
  replaced(before: Caller, after: Caller): void;
}

/** Takes a caller in, in the protocol of the port. From then on the connection ends by its own `onClose`, which tells the host. */
export type Acceptor = (accepted: Accepted, host: CallerHost) => Caller;

/** What it is there for. */
export interface ListenFor {
  /** Key of the Service. */
  readonly service: string;
  /** An end would mean something to callers: who is not let in gets a reset. */
  readonly resets: boolean;
}

/** The listener of a port, whatever is carried there. */
export interface PortListener {
  /** Callers that were let in so far, and when the last one was: clock milliseconds, -Infinity before the first. */
  readonly accepted: number;
  readonly acceptedAtMs: number;
  /** Resolves with the port once callers can reach it; rejects with the system's error. All threads share the port. */
  listen(): Promise<number>;
  /** Lets nobody in any more, where that is possible without a loss for those who are. */
  stop(): void;
  /** Callers that can be told to go are told so. */
  tellToGo(): void;
  /** The port is over. `done` runs when the last caller left. */
  close(done: () => void): void;
  /** Cuts what is left. */
  abort(): void;
}

export class Listener implements PortListener, CallerHost, ListenOwner {
  readonly #at: ListenAt;
  /** Key of the Service. */
  readonly #service: string;
  readonly resets: boolean;
  readonly #accept: Acceptor;
  readonly #context: NetContext;
  /** Null until callers can connect. */
  #socket: ListeningSocket | null = null;
  #closed = false;
  #leaving = false;
  readonly #connections = new Line<Caller>();
  #done: (() => void) | undefined;
  #accepted = 0;
  #acceptedAtMs = -Infinity;

  constructor(at: ListenAt, of: ListenFor, context: NetContext, accept: Acceptor) {
    this.#at = at;
    this.#service = of.service;
    this.resets = of.resets;
    this.#context = context;
    this.#accept = accept;
  }

  /** Resolves with the port once callers can connect; rejects with the system's error. All threads share the port. */
  async listen(): Promise<number> {
    const socket = await this.#context.sockets.listen(this.#at, this);
    if (this.#closed) socket.close();
    else {
      this.#socket = socket;
      this.#context.places.add(endpointKey(this.#at));
    }
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

  get isLeaving(): boolean {
    return this.#leaving;
  }

  /** Stops accepting; connected callers hear nothing of it. */
  stop(): void {
    this.#closed = true;
    if (this.#socket !== null) this.#context.places.delete(endpointKey(this.#at));
    this.#socket?.close();
    this.#socket = null;
  }

  /** Connected callers finish what runs and are then told to go. Whoever comes afterwards is not told. */
  tellToGo(): void {
    for (const connection of this.#connections) connection.drain();
  }

  /** Stops accepting, and tells connected callers to go. `done` runs when the last one left. */
  close(done: () => void): void {
    this.#done = done;
    this.stop();
    this.#leaving = true;
    if (this.#connections.size === 0) return done();
    this.tellToGo();
  }

  /** Cuts what is left. */
  abort(): void {
    for (const connection of this.#connections) connection.cut();
  }

  closed(connection: Caller): void {
    // Who could not be taken in was never counted.
    if (!this.#unlist(connection)) return;
    this.#context.room.leave(connection);
    this.#context.callerConnections--;
    if (this.#connections.size === 0) this.#done?.();
  }

  replaced(before: Caller, after: Caller): void {
    this.#unlist(before);
    this.#list(after);
    this.#context.room.leave(before);
    this.#context.room.enter(after);
  }

  #list(connection: Caller): void {
    connection.listed = new Stand(connection);
    this.#connections.add(connection.listed);
  }

  /** False when it was not there. */
  #unlist(connection: Caller): boolean {
    const { listed } = connection;
    connection.listed = null;
    listed?.leave();
    return listed !== null;
  }

  onAccept(accepted: Accepted): void {
    try {
      this.#enter(accepted);
    } catch (error) {
      this.#context.guard.caught('proxy', error);
      this.#refuse(accepted);
    }
  }

  onAcceptFailed(): void {
    this.#context.acceptFailures++;
  }

  #refuse(accepted: Accepted): void {
    if (this.resets) accepted.reset();
    else accepted.destroy();
  }

  #enter(accepted: Accepted): void {
    this.#accepted++;
    this.#acceptedAtMs = this.#context.wheel.nowMs;
    const { room } = this.#context;
    const { remoteAddress, descriptor } = accepted;
    if (!room.admits(remoteAddress, this.#service, descriptor)) return this.#refuse(accepted);
    // From here on it ends by its own `onClose`, which takes back what is counted here.
    const connection = this.#accept(accepted, this);
    this.#context.callerConnections++;
    this.#list(connection);
    room.enter(connection);
    try {
      connection.begin?.();
    } catch (error) {
      // What was accepted is in other hands by now.
      connection.onDefect(error);
    }
  }
}
