/**
 * One connection to an endpoint: dialled, used by one exchange at a time, kept idle in between.
 *
 *   connecting ──► busy ──► idle ──► busy …
 *        └───────────┴────────┴──► closed
 */

import type { Socket } from 'node:net';
import type { EndpointState, IdleConnection } from '../balance/endpoint-state.ts';
import type { LimitPolicy } from '../../model/policy.ts';
import type { ThreadContext } from '../http/context.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../ledger/layout.ts';
import { dial, type DialOwner, reset } from '../net/socket.ts';

/** The exchange that a connection works for. */
export interface ConnectionUser {
  onConnected(): void;
  /** Bytes of the response; valid only during the call. */
  onResponseData(data: Buffer, length: number): void;
  /** The endpoint sent FIN. */
  onResponseEnd(): void;
  onUpstreamDrain(): void;
  /** It takes no more bytes; those of a response that came before still arrive, then `onUpstreamClosed`. */
  onUpstreamDeaf(): void;
  /** The connection is gone, for whatever reason. */
  onUpstreamClosed(error: NodeJS.ErrnoException | null): void;
  /** One of these, or the deadline of the connection, threw. */
  onDefect(error: unknown): void;
}

/**
 * A request that must not run twice is not sent on a connection idle for longer: its endpoint may be closing it just now. The
 * shortest keep-alive time that servers come with is 2 s.
 */
const FRESH_IDLE_MS_MAX = 1_000;
/**
 * After a response without the content that it announced (HEAD, 304), a connection must be silent for this long before another
 * request may take it: servers that send the content all the same send it now, and it would be read as the next response.
 */
const QUIET_MS = 500;
/** An endpoint that does not take the last bytes of a tunnel for this long does not get them. */
const FINISH_MS = 10_000;

export class EndpointConnection implements DialOwner, IdleConnection, Expiring {
  readonly endpoint: EndpointState;
  readonly socket: Socket;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  connected = false;
  closed = false;
  /** True once an earlier exchange used it: then a close without a byte of response means it went stale. */
  reused = false;
  /** A byte of response came since it was acquired. */
  answered = false;
  /** A write failed: there is no sense in another one. */
  deaf = false;
  readonly #context: ThreadContext;
  #ownDial = 0;
  #user: ConnectionUser | null;
  /** Bytes of a response head that is not complete yet. */
  #stash: Buffer | null = null;
  #stashed = 0;
  #writtenBefore = 0;
  #idleSinceMs = 0;
  #usableFromMs = -Infinity;

  constructor(endpoint: EndpointState, context: ThreadContext, user: ConnectionUser) {
    this.endpoint = endpoint;
    this.#context = context;
    this.#user = user;
    context.room.endpointConnections++;
    const { words, w, own, o } = endpoint.cells;
    Atomics.add(words, w + ENDPOINT_WORD.connections, 1);
    own[o + ENDPOINT_OWN.connections] = (own[o + ENDPOINT_OWN.connections] as number) + 1;
    own[o + ENDPOINT_OWN.connectionsOpened] =
      (own[o + ENDPOINT_OWN.connectionsOpened] as number) + 1;
    this.socket = dial(endpoint, this, context, () => {
      this.connected = true;
      this.#ownDial = context.ownDials.add(this.socket);
      this.#user?.onConnected();
    });
  }

  /**
   * Takes the most recently used idle connection of the endpoint that still stands, or dials a new one. `repeatable` is
   * false for a request that is lost when the endpoint closes the connection meanwhile.
   */
  static acquire(
    endpoint: EndpointState,
    context: ThreadContext,
    user: ConnectionUser,
    repeatable: boolean,
  ): EndpointConnection {
    for (;;) {
      const idle = endpoint.idle.at(-1) as EndpointConnection | undefined;
      if (idle === undefined || !idle.#isUsable(repeatable))
        return new EndpointConnection(endpoint, context, user);
      endpoint.idle.pop();
      if (idle.closed || idle.socket.destroyed) continue;
      idle.#user = user;
      idle.reused = true;
      idle.answered = false;
      idle.deadlineMs = Infinity;
      return idle;
    }
  }

  /**
   * Gives the connection back after a whole response; it is kept if there is room. With `inDoubt`, content may follow that the
   * response must not have.
   */
  release(limits: LimitPolicy, inDoubt: boolean): void {
    this.#user = null;
    const { idle, gone } = this.endpoint;
    const isFull = idle.length >= limits.idleConnectionsPerEndpoint;
    if (this.closed || this.deaf || gone || isFull || this.#context.draining || !this.#isListening)
      return this.close();
    const now = this.#context.wheel.nowMs;
    this.#idleSinceMs = now;
    this.#usableFromMs = inDoubt ? now + QUIET_MS : now;
    this.deadlineMs = now + limits.idleConnectionMs;
    this.#context.wheel.arm(this);
    // Below those that may be taken, and above those in doubt that came later: the last one tells for all.
    if (inDoubt) idle.unshift(this);
    else idle.push(this);
  }

  /** A slow caller may have made us stop reading: then nobody knows what stands behind the response. */
  get #isListening(): boolean {
    return !this.socket.isPaused();
  }

  #isUsable(repeatable: boolean): boolean {
    const { nowMs } = this.#context.wheel;
    if (nowMs < this.#usableFromMs) return false;
    return repeatable || nowMs - this.#idleSinceMs < FRESH_IDLE_MS_MAX;
  }

  /** Another user takes over the open connection. */
  handTo(user: ConnectionUser): void {
    this.#user = user;
  }

  /** Lets go of the user and closes once what was written has left. */
  finish(): void {
    this.#user = null;
    if (this.closed) return;
    this.socket.destroySoon();
    this.deadlineMs = this.#context.wheel.nowMs + FINISH_MS;
    this.#context.wheel.arm(this);
  }

  /** Lets go of the user and cuts the connection with a reset. */
  reset(): void {
    this.#user = null;
    reset(this.socket);
  }

  /** Lets go of the user and closes at once; half-sent bytes are dropped. Safe to call twice. */
  close(): void {
    this.#user = null;
    this.deadlineMs = Infinity;
    this.#stash = null;
    this.socket.destroy();
  }

  /** Keeps a part of a response head until more arrives. */
  keep(data: Buffer, start: number, end: number): void {
    const size = end - start;
    const stash = Buffer.allocUnsafe(size);
    data.copy(stash, 0, start, end);
    this.#stash = stash;
    this.#stashed = size;
  }

  onData(data: Buffer, length: number): void {
    const user = this.#user;
    // An endpoint that speaks while nobody asked is not in step with us: its next response cannot be trusted.
    if (user === null) return this.close();
    this.answered = true;
    if (this.#stash === null) return user.onResponseData(data, length);
    const whole = Buffer.concat([this.#stash.subarray(0, this.#stashed), data.subarray(0, length)]);
    this.#stash = null;
    user.onResponseData(whole, whole.length);
  }

  onEnd(): void {
    if (this.#user === null) this.close();
    else this.#user.onResponseEnd();
  }

  onDrain(): void {
    this.#user?.onUpstreamDrain();
  }

  onWriteFailed(): void {
    this.deaf = true;
    if (this.#user === null) this.close();
    else this.#user.onUpstreamDeaf();
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.closed = true;
    this.#context.room.endpointConnections--;
    if (this.#ownDial !== 0) this.#context.ownDials.remove(this.#ownDial);
    this.#context.wheel.disarm(this);
    const { words, w, own, o } = this.endpoint.cells;
    Atomics.sub(words, w + ENDPOINT_WORD.connections, 1);
    own[o + ENDPOINT_OWN.connections] = (own[o + ENDPOINT_OWN.connections] as number) - 1;
    const user = this.#user;
    this.#user = null;
    if (user !== null) return user.onUpstreamClosed(error);
    const index = this.endpoint.idle.indexOf(this);
    if (index >= 0) this.endpoint.idle.splice(index, 1);
  }

  onDeadline(): void {
    if (this.#user === null) this.close();
  }

  onDefect(error: unknown): void {
    const user = this.#user;
    this.close();
    if (user === null) this.#context.guard.caught('proxy', error);
    else user.onDefect(error);
  }

  /**
   * Whether exactly `bytes` left on it since it was acquired. Asked before it is used again: a request that was cut, or
   * doubled, would make the next one something else than its caller wrote.
   */
  isInStep(bytes: number): boolean {
    const written = this.socket.bytesWritten;
    const left = written - this.#writtenBefore;
    this.#writtenBefore = written;
    return left === bytes || this.socket.destroyed;
  }
}
