/** Bytes both ways after a 101 (WebSocket and other upgrades), until both sides closed or nothing moved for too long. */

import type { FailureReason } from '../../model/failure.ts';
import type { NetContext } from '../net/context.ts';
import type { Socket, SocketError } from '../net/socket.ts';
import type { Expiring } from '../net/deadline-wheel.ts';

/** One side of a tunnel. */
export interface TunnelEnd {
  /** Where bytes may come from and go to without being seen; null when somebody must see them. */
  readonly socket: Socket | null;
  /** Without `data`: so much went to `socket` by itself. False when the peer has enough: `onDrain` of the tunnel follows. */
  write(data: Buffer | null, start: number, end: number): boolean;
  /** Nothing more is written. */
  endWriting(): void;
  pause(): void;
  resume(): void;
  /** Written, and not taken by the kernel yet. */
  readonly waitingBytes: number;
  bytesOnTheirWay(): number;
  /** Closes once what was written has left. */
  finish(): void;
  /** Closes at once, with a reset. */
  abort(): void;
}

export interface TunnelResult {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Why it was cut; '' when both sides had ended. */
  readonly failure: FailureReason | '';
}

/** What a tunnel asks of a stream, and tells it. */
interface TunnelStream {
  readonly tunnelEnd: TunnelEnd;
  switchTo(tunnel: Tunnel): void;
}

/** Looks at a slow reader per idle limit. */
const LOOKS = 4;

export class Tunnel implements Expiring {
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #context: NetContext;
  readonly #caller: TunnelEnd;
  readonly #endpoint: TunnelEnd;
  readonly #idleMs: number;
  readonly #done: (result: TunnelResult) => void;
  #lastActivityMs: number;
  #onTheirWay = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  #callerEnded = false;
  #endpointEnded = false;
  #closed = false;

  /** `idleMs` 0: no limit. */
  constructor(
    context: NetContext,
    ends: { readonly caller: TunnelEnd; readonly endpoint: TunnelEnd },
    idleMs: number,
    done: (result: TunnelResult) => void,
  ) {
    this.#context = context;
    this.#caller = ends.caller;
    this.#endpoint = ends.endpoint;
    this.#idleMs = idleMs;
    this.#done = done;
    this.#lastActivityMs = context.wheel.nowMs;
    this.#arm(idleMs > 0 ? this.#lastActivityMs + idleMs : Infinity);
  }

  /** Of the caller, what its endpoint has not taken. */
  get waitingBytes(): number {
    return this.#endpoint.waitingBytes;
  }

  /** Cuts the tunnel when nothing has moved for as long as the limit allows, neither to us nor from us. */
  onDeadline(nowMs: number): void {
    if (this.#closed) return;
    const waiting = this.#caller.bytesOnTheirWay() + this.#endpoint.bytesOnTheirWay();
    if (waiting !== this.#onTheirWay) this.#lastActivityMs = nowMs;
    this.#onTheirWay = waiting;
    const dueMs = this.#lastActivityMs + this.#idleMs;
    if (nowMs >= dueMs) return this.cut('tunnel_idle_timeout');
    this.#arm(waiting === 0 ? dueMs : Math.min(dueMs, nowMs + this.#idleMs / LOOKS));
  }

  onCallerData(data: Buffer | null, start: number, end: number): void {
    this.#lastActivityMs = this.#context.wheel.nowMs;
    this.#sentBytes += end - start;
    if (!this.#endpoint.write(data, start, end)) this.#caller.pause();
  }

  onEndpointData(data: Buffer | null, start: number, end: number): void {
    this.#lastActivityMs = this.#context.wheel.nowMs;
    this.#receivedBytes += end - start;
    if (!this.#caller.write(data, start, end)) this.#endpoint.pause();
  }

  onCallerEnd(): void {
    this.#callerEnded = true;
    this.#endpoint.endWriting();
    if (this.#endpointEnded) this.close();
  }

  onEndpointEnd(): void {
    this.#endpointEnded = true;
    this.#caller.endWriting();
    if (this.#callerEnded) this.close();
  }

  onCallerDrain(): void {
    this.#endpoint.resume();
  }

  onEndpointDrain(): void {
    this.#caller.resume();
  }

  onDefect(): void {
    this.cut('internal');
  }

  /** A reset of one side is passed on as a reset. */
  onEndpointClosed(error: SocketError | null): void {
    if (error === null) this.close();
    else this.cut('endpoint_reset_body');
  }

  onCallerClosed(error: SocketError | null): void {
    if (error === null) this.close();
    else this.cut('caller_gone');
  }

  /** Ends both sides at once, with a reset: neither may take it for an end that the other side wanted. */
  cut(failure: FailureReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endpoint.abort();
    this.#caller.abort();
    this.#end(failure);
  }

  /** Ends both sides once what was written has left. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#endpoint.finish();
    this.#caller.finish();
    this.#end('');
  }

  /** After its end: what the endpoint has not taken it will not get. */
  dropRest(): void {
    this.#endpoint.abort();
  }

  #arm(deadlineMs: number): void {
    this.deadlineMs = deadlineMs;
    this.#context.wheel.arm(this);
  }

  #end(failure: FailureReason | ''): void {
    this.#context.wheel.disarm(this);
    this.#done({ sentBytes: this.#sentBytes, receivedBytes: this.#receivedBytes, failure });
  }
}

/** From now on the bytes of both streams belong to a tunnel. `idleMs` 0: no limit. */
export function openTunnel(
  context: NetContext,
  { caller, endpoint }: { readonly caller: TunnelStream; readonly endpoint: TunnelStream },
  idleMs: number,
  done: (result: TunnelResult) => void,
): void {
  const ends = { caller: caller.tunnelEnd, endpoint: endpoint.tunnelEnd };
  const tunnel = new Tunnel(context, ends, idleMs, done);
  endpoint.switchTo(tunnel);
  caller.switchTo(tunnel);
  if (context.spliceBytes < Infinity) splice(ends.caller.socket, ends.endpoint.socket);
}

/** Both ways, whenever there is much. */
function splice(one: Socket | null, other: Socket | null): void {
  if (one === null || other === null) return;
  one.spliceTo(other, Infinity);
  other.spliceTo(one, Infinity);
}
