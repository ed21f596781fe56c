/** Bytes both ways after a 101 (WebSocket and other upgrades), until both sides closed or nothing moved for too long. */

import type { ThreadContext } from '../http/context.ts';
import { READ_BYTES } from '../net/context.ts';
import type { FailureReason } from '../../model/failure.ts';
import { copyWhole } from '../net/copy-whole.ts';
import { bytesOnTheirWay } from '../net/socket.ts';
import type { CallerConnection } from './caller.ts';
import type { ConnectionUser, EndpointConnection } from './endpoint.ts';

export interface TunnelEnd {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Why it was cut; '' when both sides had ended. */
  readonly failure: FailureReason | '';
}

/** Looks at a slow reader per idle limit. */
const LOOKS = 4;

export class Tunnel implements ConnectionUser {
  readonly #context: ThreadContext;
  readonly #caller: CallerConnection;
  readonly #upstream: EndpointConnection;
  readonly #idleMs: number;
  readonly #done: (end: TunnelEnd) => void;
  #lastActivityMs: number;
  #onTheirWay = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #callerEnded = false;
  #upstreamEnded = false;
  #closed = false;

  constructor(
    context: ThreadContext,
    ends: { caller: CallerConnection; upstream: EndpointConnection },
    idleMs: number,
    done: (end: TunnelEnd) => void,
  ) {
    this.#context = context;
    this.#caller = ends.caller;
    this.#upstream = ends.upstream;
    this.#idleMs = idleMs;
    this.#done = done;
    this.#lastActivityMs = context.wheel.nowMs;
    ends.upstream.handTo(this);
  }

  /**
   * Cuts the tunnel when nothing has moved for as long as the limit allows, neither to us nor from us. Returns when to look
   * again; Infinity without a limit.
   */
  onDeadline(nowMs: number): number {
    if (this.#closed || this.#idleMs <= 0) return Infinity;
    const { probe } = this.#context;
    const toCaller = bytesOnTheirWay(this.#caller.socket, probe);
    const waiting = toCaller + bytesOnTheirWay(this.#upstream.socket, probe);
    if (waiting !== this.#onTheirWay) this.#lastActivityMs = nowMs;
    this.#onTheirWay = waiting;
    const dueMs = this.#lastActivityMs + this.#idleMs;
    if (nowMs < dueMs) return waiting === 0 ? dueMs : Math.min(dueMs, nowMs + this.#idleMs / LOOKS);
    this.cut('tunnel_idle_timeout');
    return Infinity;
  }

  onCallerData(data: Buffer, start: number, end: number): void {
    this.#lastActivityMs = this.#context.wheel.nowMs;
    this.#sentBytes += end - start;
    // What came early may be longer than one read.
    for (let from = start; from < end; from += READ_BYTES) {
      const to = Math.min(end, from + READ_BYTES);
      const length = copyWhole(data, from, to, this.#context.out, 0);
      if (!this.#context.writeOut(this.#upstream.socket, length)) this.#caller.pause();
    }
  }

  onResponseData(data: Buffer, length: number): void {
    this.#lastActivityMs = this.#context.wheel.nowMs;
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
    this.cut('internal');
  }

  /** A reset of one side is passed on as a reset. */
  onUpstreamClosed(error: NodeJS.ErrnoException | null): void {
    if (error === null) this.close();
    else this.cut('endpoint_reset_body');
  }

  onCallerClosed(error: NodeJS.ErrnoException | null): void {
    if (error === null) this.close();
    else this.cut('caller_gone');
  }

  /** Ends both sides at once, with a reset: neither may take it for an end that the other side wanted. */
  cut(failure: FailureReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#upstream.reset();
    this.#caller.abort();
    this.#end(failure);
  }

  /** Ends both sides once what was written has left. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#upstream.finish();
    this.#caller.leaveTunnel();
    this.#end('');
  }

  #end(failure: FailureReason | ''): void {
    this.#done({ sentBytes: this.#sentBytes, receivedBytes: this.#receivedBytes, failure });
  }
}
