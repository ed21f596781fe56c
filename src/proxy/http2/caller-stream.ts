/** A request of a caller on a stream: its exchange, and the response as frames. */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import { countRequest } from '../call/account.ts';
import type { ThreadContext } from '../http/context.ts';
import { Exchange } from '../http/exchange.ts';
import { type Head, METHOD_HEAD, METHOD_OTHER } from '../head/head.ts';
import { sentTarget } from '../head/target.ts';
import { nobodys } from '../http/nobodys.ts';
import type { ByteRoom } from '../head/byte-room.ts';
import type { ExtraFields } from '../head/field-changes.ts';
import type { Source } from '../http/source.ts';
import type { CallerStream } from '../http/stream.ts';
import { reportRule } from '../http/report-rule.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';
import { dropProof } from '../http/websocket-handshake.ts';
import { Defect } from '../net/copy-whole.ts';
import type { SocketError } from '../net/socket.ts';
import { Spares } from '../net/spares.ts';
import type { PortState } from '../table/table.ts';
import { INTERNAL_ERROR } from './codec/error-code.ts';
import { fieldBytes, putResponse, repeatableSerial } from './codec/head-encoder.ts';
import { grpcEnd, grpcReply, localReply, redirectLine } from './codec/local-reply.ts';
import { readRequest } from './codec/request-fields.ts';
import { fieldsOf, type SendHost, type SendSide } from './send-side.ts';
import { Stream, type StreamHost } from './stream.ts';
import { StreamEnd } from './stream-end.ts';
import type { Http2Shared } from './shared.ts';

/** RFC 8441 §5: of a tunnel that stands. */
const SWITCHED = 200;
/** What a tunnel is told of a caller that has given up. */
const RESET: SocketError = { code: 'ECONNRESET' };
/** Of an answer of our own, at most, beside those of a filter. */
const ANSWER_FIELDS = 4;
const NOTHING = Buffer.alloc(0);

/** The connection that requests come on. */
export interface RequestSession extends SendHost, StreamHost {
  readonly port: PortState;
  readonly source: Source;
  readonly out: SendSide;
  cancel(stream: Stream, code: number): void;
  /** The response is whole, or its rest waits. */
  answered(stream: Http2CallerStream): void;
  /** Takes a stream back that is over on all sides. */
  give(stream: Http2CallerStream): void;
  /** Something threw that belongs to this request. */
  onStreamDefect(stream: Http2CallerStream, error: unknown): void;
}

const NOBODY = nobodys<RequestSession>('a request without a connection');

export class Http2CallerStream extends Stream implements CallerStream {
  readonly exchange: Exchange;
  readonly #shared: Http2Shared;
  readonly #context: ThreadContext;
  #session: RequestSession;
  #method = METHOD_OTHER;
  #isGrpc = false;
  /** How the caller can still be told that there is no answer, or no more of it: a caller of gRPC by a status. */
  #untold: 'reset' | 'head' | 'trailers' = 'reset';
  /** It is, or asks to be, a tunnel: what comes is held back until it is one. */
  #waitsForSwitch = false;
  /** The request has content. */
  #hasBody = false;
  /** What was left of the response at the last look. */
  #left = 0;
  /** The response is complete: by then the caller must have taken some of it, or ended its request. Infinity before. */
  untilMs = Infinity;
  /** The session has let go of it. */
  #isForgotten = false;

  constructor(session: RequestSession, shared: Http2Shared) {
    super();
    this.#session = session;
    this.#shared = shared;
    this.#context = shared.context;
    this.exchange = new Exchange(this, shared.context);
  }

  /** Another connection takes it. */
  attach(session: RequestSession): void {
    this.#session = session;
  }

  /** Nobody has it. */
  detach(): void {
    this.#session = NOBODY;
    this.exchange.detach();
    this.drop();
  }

  protected override get host(): RequestSession {
    return this.#session;
  }

  get port(): PortState {
    return this.#session.port;
  }

  get source(): Source {
    return this.#session.source;
  }

  get protocol(): string {
    return 'HTTP/2.0';
  }

  get isLoop(): boolean {
    return this.#session.source.isLoop(this.#session.socket);
  }

  /** Starts the request whose lines stand in `data[0, end)`. */
  start(data: Buffer, head: Head, end: number, endStream: boolean): void {
    this.#begin(head, endStream);
    this.exchange.begin(data, head, 0, end, !endStream && !head.upgrade);
    this.exchange.flush();
  }

  /** Answers what never became a request, but was read into `head` as far as it went. */
  refuse(head: Head, endStream: boolean): void {
    const reason = head.failure === '' ? 'bad_request' : head.failure;
    const { rule } = head;
    this.#begin(head, endStream);
    countRequest(this.port.rules.cells, FAILURES[reason].status, reason);
    this.#context.accessLog?.writeRefused(this, reason, rule, head.grpc);
    if (rule !== '') reportRule(this.#context.rules, this, { rule, reason, endpoint: null });
    this.reply(reason, 0);
  }

  #begin(head: Head, endStream: boolean): void {
    this.#method = head.method;
    this.#isGrpc = head.grpc;
    this.#untold = head.grpc ? 'head' : 'reset';
    this.#hasBody = !endStream;
    this.#isForgotten = false;
    this.untilMs = Infinity;
    this.#waitsForSwitch = head.upgrade;
    if (head.upgrade) this.hold();
    if (endStream) this.endsAtOnce();
    else this.announced = head.contentLength;
  }

  /** It asked for a tunnel: nothing but content may follow. */
  get isTunnel(): boolean {
    return this.#waitsForSwitch || this.tunnel !== null;
  }

  override onContent(data: Buffer, start: number, end: number): void {
    const { tunnel } = this;
    if (tunnel === null) return this.#onBody(data, start, end);
    if (!tunnel.closed) tunnel.onCallerData(data, start, end);
  }

  #onBody(data: Buffer, start: number, end: number): void {
    if (this.exchange.active) this.exchange.onRequestBody(data, start, end);
  }

  override onRead(): void {
    if (this.tunnel !== null) return;
    if (this.exchange.active) this.exchange.flush();
  }

  override onWhole(trailers: Buffer | null): void {
    if (this.tunnel !== null) this.#onTunnelEnd(this.tunnel);
    else if (this.exchange.active) this.exchange.onRequestEnd(trailers);
  }

  #onTunnelEnd(tunnel: Tunnel): void {
    tunnel.onCallerEnd();
    if (this.endSent) this.onSilenced();
  }

  override onSilenced(): void {
    this.tunnel?.onCallerClosed(null);
  }

  override onReset(): void {
    if (this.tunnel !== null) return this.tunnel.onCallerClosed(RESET);
    this.exchange.onCallerClosed();
    this.#giveUp();
  }

  override onDrain(): void {
    if (this.tunnel !== null) this.tunnel.onCallerDrain();
    else if (this.exchange.active) this.exchange.onCallerDrain();
  }

  /** The session has let go of it; it goes on while its exchange does. */
  override onForgotten(): void {
    this.#isForgotten = true;
    this.#giveUp();
  }

  /** The drain is over. */
  cut(): void {
    if (this.tunnel !== null) this.tunnel.cut('draining');
    else if (this.exchange.active) this.exchange.giveUp('draining');
  }

  shed(): void {
    if (this.tunnel !== null) this.tunnel.cut('caller_shed');
    else if (this.exchange.active) this.exchange.giveUp('caller_shed');
  }

  headAgain(kept: Buffer, headBytes: number): Head {
    const { requestHead } = this.#context;
    const { list } = this.#shared.blocks;
    list.again(kept, 0, headBytes);
    if (readRequest(list, requestHead, !this.#hasBody, true) !== headBytes)
      throw new Defect('the head that was kept is another one than was read');
    return requestHead;
  }

  targetSent(kept: Buffer, headBytes: number): Buffer {
    return sentTarget(kept, this.headAgain(kept, headBytes));
  }

  pause(): void {
    if (this.paused) return;
    this.hold();
    this.exchange.onCallerPaused();
  }

  resume(): void {
    if (!this.paused || this.#waitsForSwitch) return;
    this.unhold();
    this.exchange.onCallerResumed();
  }

  /** A caller that gives up says so. */
  hasLeft(): boolean {
    return false;
  }

  sendInterim(data: Buffer, head: Head): boolean {
    this.#session.out.beginHead(fieldBytes(head), head.count);
    putResponse(this.#session.encoder, data, head);
    this.#session.out.endHead(this);
    return this.#session.out.isFree(this);
  }

  sendSwitch(data: Buffer, head: Head, from: number, end: number): void {
    dropProof(data, head);
    head.status = SWITCHED;
    this.sendHead(data, head, null, null);
    if (end > from) this.sendBody(data, from, end);
  }

  get tunnelEnd(): TunnelEnd {
    return new StreamEnd(this, this.#session, this.#context);
  }

  switchTo(tunnel: Tunnel): void {
    this.tunnel = tunnel;
    this.#waitsForSwitch = false;
    this.unhold();
    // Its end was with its head.
    if (this.delivered) tunnel.onCallerEnd();
  }

  sendHead(data: Buffer, head: Head, cookie: Buffer | null, extra: ExtraFields | null): void {
    // One that may end anywhere says by its status whether it is whole.
    this.#untold = this.#isGrpc && head.contentLength < 0 ? 'trailers' : 'reset';
    const serial = cookie === null && extra === null ? repeatableSerial(head) : 0;
    const { out } = this.#session;
    if (out.repeatHead(this, serial)) return;
    this.#putHead(data, head, cookie, extra);
    out.endHead(this, serial);
  }

  #putHead(data: Buffer, head: Head, cookie: Buffer | null, extra: ExtraFields | null): void {
    const more = (cookie?.length ?? 0) + (extra?.lines.length ?? 0);
    this.#session.out.beginHead(fieldBytes(head) + more, head.count + (extra?.list.length ?? 0));
    const { encoder } = this.#session;
    putResponse(encoder, data, head);
    if (!head.dated) this.#putLines(this.#context.date.now());
    if (cookie !== null) this.#putLines(cookie);
    if (extra !== null) this.#putLines(extra.lines);
  }

  #putLines(lines: Buffer): void {
    this.#session.encoder.lines(lines, 0, lines.length);
  }

  sendBody(data: Buffer | null, start: number, end: number): void {
    if (data === null) throw new Defect('a body went by that has no frames');
    this.#session.out.send(this, data, start, end);
  }

  flush(): boolean {
    return this.#session.out.isFree(this);
  }

  sendEnd(trailers: Buffer | null): void {
    this.#session.out.end(this, trailers);
  }

  reply(reason: FailureReason, retryAfterMs: number): void {
    const { status, lines, body } = this.#isGrpc
      ? grpcReply(reason, retryAfterMs)
      : localReply(reason, retryAfterMs);
    this.#answer(status, lines, body);
  }

  redirect(status: number, location: ByteRoom, extra: ExtraFields): void {
    const line = redirectLine(location);
    this.#answer(status, Buffer.concat([line, extra.lines]), NOTHING);
  }

  answer(status: number, lines: Buffer): void {
    this.#answer(status, lines, NOTHING);
  }

  /** An answer of the proxy itself; `lines` are its fields but for Date. */
  #answer(status: number, lines: Buffer, body: Buffer): void {
    this.#session.out.beginHead(lines.length, ANSWER_FIELDS + fieldsOf(lines));
    this.#session.encoder.status(status);
    this.#putLines(this.#context.date.now());
    this.#putLines(lines);
    this.#session.out.endHead(this);
    if (this.#method !== METHOD_HEAD && body.length > 0)
      this.#session.out.send(this, body, 0, body.length);
    this.#session.out.end(this, null);
    this.onExchangeDone();
  }

  /** An answer that came before the whole request: RFC 9113 §8.1. */
  onExchangeDone(): void {
    if (this.#isForgotten) return this.#giveUp();
    this.sate();
    this.#session.answered(this);
  }

  /** Whether the caller has taken something of the response since the last look. What it has no window for can only wait here. */
  hasTaken(): boolean {
    const unsent = this.sendWindow > 0 ? this.unsentBytes : 0;
    const before = this.#left;
    this.#left = this.queuedBytes + unsent;
    return this.#left !== before;
  }

  /** A caller of gRPC is told why, unless that is its own fault, or it does not even take what it has. */
  abort(reason: FailureReason): void {
    // After an assertion that failed nothing that we say of it can be trusted.
    const isQuiet = FAILURES[reason].blames === 'caller' || reason === 'internal';
    if (this.#untold === 'reset' || this.queuedBytes > 0 || isQuiet)
      return this.#session.cancel(this, INTERNAL_ERROR);
    if (this.#untold === 'head') return this.reply(reason, 0);
    this.#session.out.end(this, grpcEnd(reason));
    this.onExchangeDone();
  }

  #giveUp(): void {
    // A tunnel may outlast its streams: they serve no other request.
    if (this.tunnel !== null) return;
    if (this.#isForgotten && !this.exchange.active && this.#session !== NOBODY)
      this.#session.give(this);
  }

  get waitingBytes(): number {
    return this.queuedBytes;
  }

  /** What is kept of it, and what its endpoint has not taken. */
  get keptBytes(): number {
    return this.exchange.waitingBytes + (this.tunnel === null ? 0 : this.tunnel.waitingBytes);
  }

  onDefect(error: unknown): void {
    this.#session.onStreamDefect(this, error);
  }
}

/** Streams of a thread that wait for a request. */
export class RequestPool {
  readonly #shared: Http2Shared;
  readonly #spares = new Spares<Http2CallerStream>();

  constructor(shared: Http2Shared) {
    this.#shared = shared;
  }

  take(session: RequestSession): Http2CallerStream {
    const spare = this.#spares.take();
    if (spare === undefined) return new Http2CallerStream(session, this.#shared);
    spare.attach(session);
    return spare;
  }

  give(stream: Http2CallerStream): void {
    stream.detach();
    this.#spares.give(stream);
  }
}
