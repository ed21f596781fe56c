/**
 * One HTTP/1.1 connection of a caller: cuts its bytes into requests and hands them to its exchange, one after the other.
 *
 *   idle ──► (partial head) ──► exchange ──► idle …        exchange ──► tunnel (101)
 *                  └── bad head ──► lingering ◄── last response ──┘          └──► closed
 */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import { add, countRequest } from '../call/account.ts';
import type { ThreadContext } from '../http/context.ts';
import type { Exchange } from '../http/exchange.ts';
import { BAD, INCOMPLETE } from '../head/head.ts';
import type { Rule } from '../head/rule.ts';
import { Source } from '../http/source.ts';
import { reportRule } from '../http/report-rule.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { BUSY, type Guest, IDLE, LEAVING, PARTIAL_HEAD, pinnedBytes } from '../net/caller-room.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import type { Acceptor, Caller, CallerHost } from '../net/listener.ts';
import type { Accepted, Socket, SocketError, SocketOwner } from '../net/socket.ts';
import { isHandshake } from '../net/tls/hello-watch.ts';
import type { PortState } from '../table/table.ts';
import type { CallerRequest, RequestHost } from './caller-request.ts';
import { CR, LF } from '../head/characters.ts';
import { parseRequestHead } from './codec/request-head.ts';
import type { RequestPool } from './request-pool.ts';
import { CallerEnd, type CallerTunnelHost } from '../net/caller-end.ts';

/** After the last response the caller may stay silent this long before we close; what it still sends is dropped … */
const LINGER_MS = 1_000;
/** … and this long in all while it goes on sending. */
const LINGER_MS_MAX = 30_000;
/** A connection idle this long when the drain begins is closed at once; a younger one may have a request under way. */
export const DRAIN_IDLE_MS = 2_000;
/** Words of ALPN. */
const HTTP1 = 'http/1.1';
const HTTP2 = 'h2';
/** A connection idle for longer keeps nothing that only a request needs. */
const SPARE_MS = 1_000;

/** Takes the callers of a port in. */
export function http1Acceptor(
  port: PortState,
  context: ThreadContext,
  requests: RequestPool,
): Acceptor {
  const shared = { port, context, requests };
  return (accepted, host) => new CallerConnection(accepted, shared, host);
}

/** What the connections of a port have in common. */
interface Shared {
  readonly port: PortState;
  readonly context: ThreadContext;
  readonly requests: RequestPool;
}

class CallerConnection implements RequestHost, CallerTunnelHost, SocketOwner, Expiring, Caller {
  readonly port: PortState;
  readonly socket: Socket;
  readonly source: Source;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  asleep = false;
  place: Guest['place'] = null;
  listed: Caller['listed'] = null;
  readonly #context: ThreadContext;
  readonly #requests: RequestPool;
  readonly #host: CallerHost;
  /** Null while there has been none for a moment. */
  #request: CallerRequest | null = null;
  #tunnel: Tunnel | null = null;
  /** Bytes that wait: a partial head, or requests behind the one that runs. */
  #stash: Buffer | null = null;
  #idleSinceMs: number;
  #closesAtMs = Infinity;
  /** When the first byte of the present head came; 0 between requests. */
  #headSinceMs: number;
  #consuming = false;
  #paused = false;
  #ended = false;
  #lingering = false;
  #lingerSinceMs = 0;
  /** Bytes of the last response that the caller had not taken at the last look. */
  #lingerBytes = 0;
  /** Or not there yet. */
  #gone = true;
  /** No request has come yet. */
  #isFirst = true;
  /** What was agreed on in TLS. */
  readonly #alpn: string;

  constructor(accepted: Accepted, { port, context, requests }: Shared, host: CallerHost) {
    this.port = port;
    this.#context = context;
    this.#requests = requests;
    this.#host = host;
    this.#alpn = accepted.alpn ?? '';
    this.source = new Source(accepted, context, accepted.alpn !== undefined);
    this.#idleSinceMs = context.wheel.nowMs;
    this.#headSinceMs = context.wheel.nowMs;
    this.socket = accepted.adopt(this);
    this.#armIdle();
    // Behind all that may throw: of what is not whole nobody counts the end.
    this.#gone = false;
    add(port.service.cells, SERVICE_OWN.callerConnectionsOpened, 1);
    add(port.service.cells, SERVICE_OWN.callerConnectionsActive, 1);
  }

  get address(): string {
    return this.source.address;
  }

  get service(): string {
    return this.port.service.service.key;
  }

  get crowd(): object {
    return this.port.rules.flight;
  }

  get standing(): Guest['standing'] {
    if (this.#lingering) return LEAVING;
    if (!this.idle) return BUSY;
    return this.#headSinceMs === 0 ? IDLE : PARTIAL_HEAD;
  }

  /** All that it takes of the memory for callers. */
  get heldBytes(): number {
    const { writableLength, unreadBytes } = this.socket;
    const sender = this.#tunnel ?? this.#request?.exchange;
    return pinnedBytes(this.#stash) + writableLength + unreadBytes + (sender?.waitingBytes ?? 0);
  }

  /** Others need the room: closes an idle connection, cuts one that does something. */
  shed(): void {
    if (this.#tunnel !== null) this.#tunnel.cut('caller_shed');
    else if (this.#active !== null) this.#active.giveUp('caller_shed');
    else if (this.#request?.discarding === true) this.#request.stopDiscarding(true);
    else this.#close();
  }

  /** The exchange of the request that runs. */
  get #active(): Exchange | null {
    return this.#request !== null && this.#request.exchange.active ? this.#request.exchange : null;
  }

  /** A request runs, or the rest of one comes in. */
  get #isBusy(): boolean {
    return this.#request !== null && this.#request.busy;
  }

  get idle(): boolean {
    return !this.#isBusy && this.#tunnel === null && !this.#lingering;
  }

  onData(data: Buffer, length: number): void {
    if (this.asleep) this.#context.room.wake(this);
    if (this.#lingering) return this.#lingerOn();
    if (this.#gone) return;
    if (this.#tunnel !== null) return this.#tunnel.onCallerData(data, 0, length);
    if (this.#stash === null) return this.#consume(data, 0, length);
    // Behind a request that runs, at most one read waits.
    if (this.#isBusy) throw new Defect('bytes came from a caller that is held back');
    const before = this.#stash.length;
    const whole = Buffer.concat([this.#stash, data.subarray(0, length)]);
    if (!this.#headMayBeWhole(whole, before)) {
      this.#stash = whole;
      return;
    }
    this.#stash = null;
    this.#consume(whole, 0, whole.length);
  }

  onSpliced(bytes: number): void {
    if (this.#tunnel !== null) return this.#tunnel.onCallerData(null, 0, bytes);
    if (this.#gone || this.#request === null) throw new Defect('a body came of no request');
    this.#request.onSpliced(bytes);
  }

  onEnd(): void {
    this.#ended = true;
    if (this.#lingering) return this.socket.destroySoon();
    if (this.#tunnel !== null) return this.#tunnel.onCallerEnd();
    const request = this.#request;
    if (request !== null && request.busy) request.onCallerEnd();
    else if (this.#context.settings.halfClosedCallers) this.socket.end();
    else this.#linger();
  }

  onDrain(): void {
    if (this.#tunnel !== null) this.#tunnel.onCallerDrain();
    else if (this.#active !== null) this.#active.onCallerDrain();
    else if (!this.#lingering && !this.#isBusy) this.#consumeStash();
  }

  onClose(error: SocketError | null): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#stash = null;
    add(this.port.service.cells, SERVICE_OWN.callerConnectionsActive, -1);
    if (this.#tunnel !== null) this.#tunnel.onCallerClosed(error);
    else this.#request?.onCallerClosed();
    this.#giveRequest();
    this.#context.wheel.disarm(this);
    this.#host.closed(this);
  }

  onDeadline(nowMs: number): void {
    // The exchange and the tunnel have deadlines of their own.
    if (this.#tunnel !== null || this.#active !== null) return;
    if (this.#request?.discarding === true) return this.#request.stopDiscarding(true);
    if (this.#lingering) return this.#lingerOver(nowMs);
    if (nowMs < this.#closesAtMs) {
      this.#giveRequest();
      return this.#closeAt(this.#closesAtMs);
    }
    if (this.#headSinceMs === 0 || this.#stash === null) return this.#linger();
    // What came of the head tells at least how to answer; other connections have used the parser meanwhile.
    const { requestHead, settings } = this.#context;
    parseRequestHead(this.#stash, 0, this.#stash.length, requestHead, settings);
    this.#refuse('request_timeout_head', '');
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.socket.pause();
    this.#request?.exchange.onCallerPaused();
  }

  get isLeaving(): boolean {
    return this.#context.draining || this.port.closed || this.#host.isLeaving;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Whether a caller that we do not read from has given up meanwhile: its FIN may stand behind bytes that we leave in the kernel.
   * Always false where the kernel cannot be asked.
   */
  hasLeft(): boolean {
    if (!this.#paused) return false;
    const state = this.socket.peerState();
    return state === 'gone' || (state === 'closing' && !this.#context.settings.halfClosedCallers);
  }

  /** Reads on, unless bytes wait behind the request that runs: more of them would have no room. */
  resume(): void {
    if (!this.#paused || this.#stash !== null) return;
    this.#paused = false;
    this.socket.resume();
    this.#request?.exchange.onCallerResumed();
  }

  onRequestDone(close: boolean): void {
    if (close || this.#gone) return this.#linger();
    this.#idleSinceMs = this.#context.wheel.nowMs;
    this.#headSinceMs = 0;
    if (this.#ended && this.#stash === null) return this.#linger();
    this.#armIdle();
    if (!this.#consuming) this.#consumeStash();
  }

  /** From now on the bytes of the caller go to the tunnel; those that came early go first. */
  switchTo(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    const early = this.#stash;
    this.#stash = null;
    if (early !== null) tunnel.onCallerData(early, 0, early.length);
    if (this.#ended) tunnel.onCallerEnd();
    this.resume();
  }

  get tunnelEnd(): TunnelEnd {
    return new CallerEnd(this.socket, this.#context, this);
  }

  /** The tunnel is over: what was written still leaves, at both ends. */
  leaveTunnel(): void {
    this.#tunnel = null;
    this.#linger();
  }

  /** Cuts the connection with a reset: the caller must not take what it has for a whole response. */
  abort(): void {
    if (this.#gone) return;
    this.#lingering = true;
    this.socket.reset();
  }

  /** The drain is over. */
  cut(): void {
    if (this.#tunnel !== null) this.#tunnel.cut('draining');
    else if (this.#request?.exchange.active === true) this.#request.cut();
    else if (this.#request?.discarding === true) this.#request.stopDiscarding(true);
    else this.#close();
  }

  /** No request runs. What the kernel has of the last response still arrives; what it has not makes it a cut. */
  #close(): void {
    if (this.socket.writableLength === 0) this.socket.destroy();
    else this.abort();
  }

  /** The drain began: close when idle, now or soon. */
  drain(): void {
    this.#tunnel?.leave();
    if (!this.idle) return;
    const now = this.#context.wheel.nowMs;
    if (this.#stash === null && now - this.#idleSinceMs >= DRAIN_IDLE_MS) return this.#linger();
    this.#closeAt(now + DRAIN_IDLE_MS);
  }

  onDefect(error: unknown): void {
    this.#context.guard.caught('proxy', error, {
      service: this.port.service.service.key,
      caller: this.address,
    });
    try {
      if (this.#tunnel !== null) return this.#tunnel.onDefect();
      if (this.#active !== null) return this.#active.giveUp('internal');
    } catch {
      // It cannot even be answered.
    }
    this.abort();
  }

  #consume(data: Buffer, from: number, end: number): void {
    let pos = from;
    this.#consuming = true;
    while (pos < end && !this.#lingering && !this.#gone) {
      const request = this.#request;
      if (request !== null && request.wantsBody) {
        pos = request.feed(data, pos, end);
        continue;
      }
      // A caller that does not read its responses gets no more of them.
      if (this.#isBusy || this.#tunnel !== null || this.socket.writableNeedDrain) break;
      const next = this.#startRequest(data, pos, end);
      if (next < 0) break;
      pos = next;
    }
    this.#consuming = false;
    if (pos < end) this.#keepRest(data, pos, end);
    else this.#request?.offerSplice();
  }

  #keepRest(data: Buffer, pos: number, end: number): void {
    if (this.#lingering || this.#gone) return;
    if (this.#tunnel !== null) return this.#tunnel.onCallerData(data, pos, end);
    // A stash is ours already.
    const isShared = this.#context.isShared(data);
    this.#stash = isShared ? Buffer.from(data.subarray(pos, end)) : data.subarray(pos, end);
    if (this.#active !== null || this.socket.writableNeedDrain) this.pause();
  }

  onDiscard(): void {
    this.deadlineMs = this.#context.wheel.nowMs + this.#context.settings.callerIdleMs;
    this.#context.wheel.arm(this);
  }

  /** Parses the head at `pos`: the offset behind it, or -1 when it is not whole or was refused. */
  #startRequest(data: Buffer, pos: number, end: number): number {
    const { settings, requestHead, wheel } = this.#context;
    if (this.#headSinceMs === 0) this.#headSinceMs = wheel.nowMs;
    // The caller has agreed to speak it: RFC 9113 §3.2.
    const isAgreed = this.#alpn === HTTP2 && this.#isFirst;
    const next = isAgreed ? BAD : parseRequestHead(data, pos, end, requestHead, settings);
    if (next === INCOMPLETE) {
      this.#closeAt(this.#headSinceMs + settings.headTimeoutMs);
      return -1;
    }
    if (next === BAD) {
      if (this.#isHttp2(data, pos, end)) return -1;
      if (isAgreed) this.#refuse('bad_request', 'frame_broken');
      else if (this.#isTls(data, pos)) this.#refuse('tls_unexpected', '');
      else this.#refuse(requestHead.failure || 'bad_request', requestHead.rule);
      return -1;
    }
    this.deadlineMs = Infinity;
    this.#isFirst = false;
    const request = this.#takeRequest();
    request.begin(data, requestHead, pos, next);
    // A body that came along leaves in one write with the head.
    if (!request.wantsBody || next === end) request.exchange.flush();
    return next;
  }

  #isTls(data: Buffer, pos: number): boolean {
    return this.#isFirst && isHandshake(data, pos);
  }

  /** What is no request may be the preface of HTTP/2: then the rest of the connection is read as that. */
  #isHttp2(data: Buffer, pos: number, end: number): boolean {
    const { http2, settings, wheel } = this.#context;
    if (http2 === null || !this.#isFirst || this.#alpn === HTTP1) return false;
    const length = http2.match(data, pos, end);
    if (length === 0) this.#closeAt(this.#headSinceMs + settings.headTimeoutMs);
    if (length <= 0) return length === 0;
    this.#gone = true;
    this.#giveRequest();
    wheel.disarm(this);
    http2.take(this, this.#host, data, pos + length, end);
    return true;
  }

  #consumeStash(): void {
    if (this.socket.writableNeedDrain) return this.pause();
    const stash = this.#stash;
    this.#stash = null;
    this.resume();
    if (stash !== null) this.#consume(stash, 0, stash.length);
    if (this.#ended && this.idle) this.#linger();
  }

  /** Spares parsing a head again for every byte that trickles in. */
  #headMayBeWhole(whole: Buffer, before: number): boolean {
    if (whole.length >= this.#context.settings.headBytesMax) return true;
    for (let i = whole.indexOf(LF, Math.max(before - 2, 0)); i >= 0; i = whole.indexOf(LF, i + 1)) {
      if (whole[i + 1] === LF || (whole[i + 1] === CR && whole[i + 2] === LF)) return true;
    }
    return false;
  }

  /** Answers what never became a request, but was read into `requestHead` as far as it went, and closes. */
  #refuse(reason: FailureReason, rule: Rule | ''): void {
    const request = this.#takeRequest();
    countRequest(this.port.rules.cells, FAILURES[reason].status, reason);
    this.#context.accessLog?.writeRefused(request, reason, rule);
    if (rule !== '') reportRule(this.#context.rules, this, { rule, reason, endpoint: null });
    const { requestHead } = this.#context;
    // Who calls such a port speaks HTTP/2, and would read an answer as frames.
    const isMute =
      this.#alpn === HTTP2 || (this.#isFirst && this.port.port.backend.protocol === 'http/2');
    if (!isMute || reason !== 'bad_request') request.refuse(requestHead, reason);
    this.#linger();
  }

  /** Closes our half and drops what still comes, so that no reset overtakes the last response. */
  #linger(): void {
    if (this.#lingering || this.#gone) return;
    this.#lingering = true;
    this.#lingerSinceMs = this.#context.wheel.nowMs;
    this.#stash = null;
    this.resume();
    if (this.#ended) this.socket.destroySoon();
    else this.socket.end();
    this.#closesAtMs = this.#lingerSinceMs + this.#context.settings.callerIdleMs;
    this.deadlineMs = this.#lingerSinceMs + LINGER_MS;
    this.#context.wheel.arm(this);
  }

  #lingerOn(): void {
    const { nowMs } = this.#context.wheel;
    this.deadlineMs = Math.min(nowMs + LINGER_MS, this.#lingerSinceMs + LINGER_MS_MAX);
  }

  /**
   * Closes without a reset: what the kernel still holds of the last response is delivered. What it has not taken is waited for as
   * long as the caller reads on; without that, a reset tells that something is missing.
   */
  #lingerOver(nowMs: number): void {
    if (this.socket.writableLength === 0) return this.socket.destroy();
    const left = this.socket.unsentBytes();
    if (left !== this.#lingerBytes) this.#closesAtMs = nowMs + this.#context.settings.callerIdleMs;
    this.#lingerBytes = left;
    // The runtime says nothing of a write in TLS that failed behind the end of the peer.
    if (nowMs >= this.#closesAtMs || this.socket.peerState() === 'gone') return this.socket.reset();
    this.deadlineMs = nowMs + LINGER_MS;
    this.#context.wheel.arm(this);
  }

  #takeRequest(): CallerRequest {
    this.#request ??= this.#requests.take(this);
    return this.#request;
  }

  #giveRequest(): void {
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    this.#requests.give(request);
  }

  #armIdle(): void {
    const { callerIdleMs, headTimeoutMs } = this.#context.settings;
    const now = this.#context.wheel.nowMs;
    // A fresh connection owes its first request within the head time.
    const allowed = this.#headSinceMs !== 0 ? headTimeoutMs : callerIdleMs;
    this.#closeAt(now + (this.isLeaving ? DRAIN_IDLE_MS : allowed));
    if (this.#request === null || this.#headSinceMs !== 0) return;
    this.deadlineMs = Math.min(this.deadlineMs, now + SPARE_MS);
    this.#context.wheel.arm(this);
  }

  /** Files the time at which the connection closes if nothing comes. */
  #closeAt(ms: number): void {
    this.#closesAtMs = ms;
    this.deadlineMs = ms;
    this.#context.wheel.arm(this);
  }
}
