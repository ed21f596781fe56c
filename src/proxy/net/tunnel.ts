/** Bytes both ways, after an upgrade or from the start, until both sides closed or nothing moved for too long. */

import type { Stand } from '../../base/line.ts';
import type { FailureReason } from '../../model/failure.ts';
import type { TimeoutPolicy } from '../../model/policy.ts';
import type { NetContext } from './context.ts';
import { READ_BYTES, type Socket, type SocketError } from './socket.ts';
import type { DeadlineWheel, Expiring } from './deadline-wheel.ts';

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

/** Where a tunnel stays for as long as it stands, and who tells it when that is over. */
export interface TunnelHome {
  enter(tunnel: Tunnel): void;
  leave(tunnel: Tunnel): void;
}

/** Whom a tunnel is for. */
export interface TunnelUser {
  /** The one that `ends.endpoint` leads to. */
  readonly endpoint: TunnelHome | null;
  onTunnelEnd(result: TunnelResult): void;
}

/** Looks at a slow reader per idle limit. */
const LOOKS = 4;
/** And at a caller of whom nothing is read, or no end can come any more: that it has reset the connection tells no event. */
const CALLER_LOOK_MS = 2_000;
/** Not known: more than before, since a reader has fallen behind. */
const GROWN = -1;

export interface TunnelEnds {
  readonly caller: TunnelEnd;
  readonly endpoint: TunnelEnd;
}

export class Tunnel implements Expiring {
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  /** Owned by what it stays with. */
  tenancy: Stand<{ endpointLeft(drainMs: number): void }> | null = null;
  protected readonly context: NetContext;
  protected readonly ends: TunnelEnds;
  protected callerEnded = false;
  protected endpointEnded = false;
  /** When it has stood for as long as it may, or something else is due. */
  protected dueAtMs: number;
  readonly #idleMs: number;
  readonly #user: TunnelUser;
  /** Null while its endpoint stays, or may be stayed with. */
  #parting: Parting | null = null;
  #lastActivityMs: number;
  /** At the last look. */
  #onTheirWay = 0;
  #sentBytes = 0;
  #receivedBytes = 0;
  /** Its endpoint has enough: nothing is read from the caller. */
  #holdsCaller = false;
  #closed = false;
  #maySplice = false;

  constructor(
    context: NetContext,
    ends: TunnelEnds,
    { idleMs, tunnelMs }: TimeoutPolicy,
    user: TunnelUser,
  ) {
    this.context = context;
    this.ends = ends;
    this.#idleMs = idleMs === 0 ? Infinity : idleMs;
    this.#user = user;
    this.#lastActivityMs = context.wheel.nowMs;
    this.dueAtMs = tunnelMs > 0 ? this.#lastActivityMs + tunnelMs : Infinity;
    this.#arm(this.#lastActivityMs + this.#idleMs);
    user.endpoint?.enter(this);
  }

  /** Its endpoint is none any more. Who stayed with it comes back elsewhere, and not all at once. */
  endpointLeft(drainMs: number): void {
    const { wheel, random } = this.context;
    this.#parting?.stop();
    const patienceMs = drainMs * (1 - PARTING_SPREAD * random.next());
    this.#parting = new Parting(this, wheel, patienceMs);
  }

  /** The time that it had with an endpoint that left is over. */
  part(_nowMs: number): void {
    this.cut('endpoint_removed');
  }

  /** The proxy ends soon, or the port is gone. What nobody can end politely goes on, until the proxy ends. */
  leave(): void {
    // Nobody knows how to say goodbye here.
  }

  /** It has stood for as long as it may, or what else was due is. */
  protected onDue(_nowMs: number): void {
    this.cut('tunnel_lifetime');
  }

  /** From now on, `onDue` comes at this time. */
  protected dueAt(ms: number): void {
    this.dueAtMs = ms;
    if (ms < this.deadlineMs) this.#arm(ms);
  }

  /** What the endpoint said first went to the caller with the head. */
  onFirstBytes(_data: Buffer): void {
    // What they are is of no interest.
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Of the caller, so far. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Of the caller, what its endpoint has not taken. */
  get waitingBytes(): number {
    return this.ends.endpoint.waitingBytes;
  }

  /** Cuts the tunnel when nothing has moved for as long as the limit allows, neither to us nor from us. */
  onDeadline(nowMs: number): void {
    if (nowMs >= this.dueAtMs) this.onDue(nowMs);
    if (this.#closed) return;
    const { socket } = this.ends.caller;
    const isBlind = socket !== null && (this.#holdsCaller || this.callerEnded);
    if (isBlind && socket.peerState() === 'gone') return this.cut('caller_gone');
    const waiting = this.ends.caller.bytesOnTheirWay() + this.ends.endpoint.bytesOnTheirWay();
    if (waiting !== this.#onTheirWay) this.#lastActivityMs = nowMs;
    this.#onTheirWay = waiting;
    const idleAtMs = this.#lastActivityMs + this.#idleMs;
    if (nowMs >= idleAtMs) return this.cut('tunnel_idle_timeout');
    const lookMs = Math.min(
      waiting === 0 ? Infinity : this.#idleMs / LOOKS,
      isBlind ? CALLER_LOOK_MS : Infinity,
    );
    this.#arm(Math.min(idleAtMs, nowMs + lookMs));
  }

  #watchCaller(): void {
    // Of a stream its session tells.
    if (this.ends.caller.socket === null) return;
    const lookAtMs = this.context.wheel.nowMs + CALLER_LOOK_MS;
    if (lookAtMs < this.deadlineMs) this.#arm(lookAtMs);
  }

  /** What comes may go to the other side unseen, both ways, once there is much of it: few tunnels of many ever have that. */
  maySplice(): void {
    this.#maySplice = this.context.spliceBytes !== Infinity;
  }

  #splice(from: Socket | null, to: Socket | null): void {
    if (from !== null && to !== null) from.spliceTo(to, Infinity);
  }

  onCallerData(data: Buffer | null, start: number, end: number): void {
    this.#lastActivityMs = this.context.wheel.nowMs;
    this.#sentBytes += end - start;
    const { caller, endpoint } = this.ends;
    if (this.#maySplice && isMuch(data, start, end)) this.#splice(caller.socket, endpoint.socket);
    if (!endpoint.write(data, start, end)) {
      caller.pause();
      this.#holdsCaller = true;
      this.#watchCaller();
    }
    if (endpoint.waitingBytes > 0) this.#onTheirWay = GROWN;
  }

  onEndpointData(data: Buffer | null, start: number, end: number): void {
    this.#lastActivityMs = this.context.wheel.nowMs;
    this.#receivedBytes += end - start;
    const { caller, endpoint } = this.ends;
    if (this.#maySplice && isMuch(data, start, end)) this.#splice(endpoint.socket, caller.socket);
    if (!caller.write(data, start, end)) endpoint.pause();
    if (caller.waitingBytes > 0) this.#onTheirWay = GROWN;
  }

  onCallerEnd(): void {
    this.callerEnded = true;
    this.ends.endpoint.endWriting();
    if (this.endpointEnded) this.close();
    else this.#watchCaller();
  }

  onEndpointEnd(): void {
    this.endpointEnded = true;
    this.ends.caller.endWriting();
    if (this.callerEnded) this.close();
  }

  onCallerDrain(): void {
    this.ends.endpoint.resume();
  }

  onEndpointDrain(): void {
    this.#holdsCaller = false;
    this.ends.caller.resume();
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
    this.ends.endpoint.abort();
    this.ends.caller.abort();
    this.#end(failure);
  }

  /** Ends both sides once what was written has left. */
  close(failure: FailureReason | '' = ''): void {
    if (this.#closed) return;
    this.#closed = true;
    this.ends.endpoint.finish();
    this.ends.caller.finish();
    this.context.room.keep(this);
    this.#end(failure);
  }

  /** After its end: what the endpoint has not taken it will not get. */
  dropRest(): void {
    this.ends.endpoint.abort();
  }

  #arm(deadlineMs: number): void {
    this.deadlineMs = Math.min(deadlineMs, this.dueAtMs);
    this.context.wheel.arm(this);
  }

  #end(failure: FailureReason | ''): void {
    this.context.wheel.disarm(this);
    this.#parting?.stop();
    this.#user.endpoint?.leave(this);
    this.#user.onTunnelEnd({
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      failure,
    });
  }
}

/** A read that was filled. */
function isMuch(data: Buffer | null, start: number, end: number): boolean {
  return data !== null && end - start >= READ_BYTES;
}

/** The last part of the time with an endpoint that left, over which tunnels part. */
const PARTING_SPREAD = 0.1;

/** The time that a tunnel has with an endpoint that left. */
class Parting implements Expiring {
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #tunnel: Tunnel;
  readonly #wheel: DeadlineWheel;

  constructor(tunnel: Tunnel, wheel: DeadlineWheel, patienceMs: number) {
    this.#tunnel = tunnel;
    this.#wheel = wheel;
    this.deadlineMs = wheel.nowMs + patienceMs;
    wheel.arm(this);
  }

  stop(): void {
    this.#wheel.disarm(this);
  }

  onDeadline(nowMs: number): void {
    this.#tunnel.part(nowMs);
  }

  onDefect(): void {
    this.#tunnel.onDefect();
  }
}
