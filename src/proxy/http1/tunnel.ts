/** Bytes both ways after a 101 (WebSocket and other upgrades), until both sides closed or nothing moved for too long. */

import { READ_BYTES, type ThreadContext } from '../context.ts';
import { copyWhole } from '../copy-whole.ts';
import type { CallerConnection } from './caller-connection.ts';
import type { ConnectionUser, EndpointConnection } from './endpoint-connection.ts';

export class Tunnel implements ConnectionUser {
  lastActivityMs: number;
  readonly #context: ThreadContext;
  readonly #caller: CallerConnection;
  readonly #upstream: EndpointConnection;
  readonly #idleMs: number;
  readonly #done: (sentBytes: number, receivedBytes: number) => void;
  #sentBytes = 0;
  #receivedBytes = 0;
  #callerEnded = false;
  #upstreamEnded = false;
  #closed = false;

  constructor(
    context: ThreadContext,
    ends: { caller: CallerConnection; upstream: EndpointConnection },
    idleMs: number,
    done: (sentBytes: number, receivedBytes: number) => void,
  ) {
    this.#context = context;
    this.#caller = ends.caller;
    this.#upstream = ends.upstream;
    this.#idleMs = idleMs;
    this.#done = done;
    this.lastActivityMs = context.wheel.nowMs;
    ends.upstream.handTo(this);
  }

  /** When the tunnel closes unless something moves; Infinity without an idle limit. */
  get deadlineMs(): number {
    return this.#idleMs > 0 ? this.lastActivityMs + this.#idleMs : Infinity;
  }

  onCallerData(data: Buffer, start: number, end: number): void {
    this.lastActivityMs = this.#context.wheel.nowMs;
    this.#sentBytes += end - start;
    // What came early may be longer than one read.
    for (let from = start; from < end; from += READ_BYTES) {
      const to = Math.min(end, from + READ_BYTES);
      const length = copyWhole(data, from, to, this.#context.out, 0);
      if (!this.#context.writeOut(this.#upstream.socket, length)) this.#caller.pause();
    }
  }

  onResponseData(data: Buffer, length: number): void {
    this.lastActivityMs = this.#context.wheel.nowMs;
    this.#receivedBytes += length;
    copyWhole(data, 0, length, this.#context.out, 0);
    if (!this.#context.writeOut(this.#caller.socket, length)) this.#upstream.socket.pause();
  }

  onCallerEnd(): void {
    this.#callerEnded = true;
    this.#upstream.socket.end();
    if (this.#upstreamEnded) this.close();
  }

  onResponseEnd(): void {
    this.#upstreamEnded = true;
    this.#caller.socket.end();
    if (this.#callerEnded) this.close();
  }

  onCallerDrain(): void {
    this.#upstream.socket.resume();
  }

  onUpstreamDrain(): void {
    this.#caller.resume();
  }

  onUpstreamDeaf(): void {
    // What it said before it cut the connection still goes to the caller.
  }

  onConnected(): void {
    // The connection stood before the tunnel began.
  }

  onDefect(): void {
    this.#upstream.reset();
    this.#caller.abort();
    this.close();
  }

  /** A reset of one side is passed on as a reset. */
  onUpstreamClosed(error: NodeJS.ErrnoException | null): void {
    if (error !== null) this.#caller.abort();
    this.close();
  }

  onCallerClosed(error: NodeJS.ErrnoException | null): void {
    if (error !== null) this.#upstream.reset();
    this.close();
  }

  /** Ends both sides once what was written has left. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#upstream.finish();
    this.#caller.leaveTunnel();
    this.#done(this.#sentBytes, this.#receivedBytes);
  }
}
