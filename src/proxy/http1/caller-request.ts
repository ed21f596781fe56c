/** The requests of one HTTP/1.1 connection of a caller, one at a time: their bodies come in and their responses go out. */

import { FAILURES, type FailureReason } from '../../model/failure.ts';
import type { ThreadContext } from '../http/context.ts';
import { Exchange } from '../http/exchange.ts';
import type { ByteRoom } from '../head/byte-room.ts';
import type { ExtraFields } from '../head/field-changes.ts';
import { FRAMING_NONE, type Head, METHOD_HEAD, METHOD_OTHER } from '../head/head.ts';
import type { Rule } from '../head/rule.ts';
import { nobodys } from '../http/nobodys.ts';
import type { Source } from '../http/source.ts';
import type { CallerStream } from '../http/stream.ts';
import { reportRule } from '../http/report-rule.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';
import { Defect } from '../net/copy-whole.ts';
import { READ_BYTES, type Socket } from '../net/socket.ts';
import type { PortState } from '../table/table.ts';
import { BodyReader, type BodySink } from './codec/body-reader.ts';
import { namedByConnection } from './codec/connection-names.ts';
import type { Answered } from './codec/local-reply.ts';
import { parseRequestHead } from './codec/request-head.ts';
import { sentTarget } from '../head/target.ts';
import { dropProof, keyOf, switchLines } from '../http/websocket-handshake.ts';
import { ResponseSender } from './response-sender.ts';

/** Largest body that is read and thrown away to keep a connection after an early answer. */
const DISCARD_BYTES_MAX = 262_144;

/** The connection that the requests come on. */
export interface RequestHost {
  readonly port: PortState;
  readonly socket: Socket;
  readonly source: Source;
  readonly paused: boolean;
  /** No request is to follow the present one: the port closes, or the thread. */
  readonly isLeaving: boolean;
  readonly tunnelEnd: TunnelEnd;
  pause(): void;
  resume(): void;
  hasLeft(): boolean;
  /** A request and its response are over; with `close` the connection is, too. */
  onRequestDone(close: boolean): void;
  /** The rest of a body is read and dropped: the connection ends unless all of it comes within the time of an idle caller. */
  onDiscard(): void;
  abort(): void;
  switchTo(tunnel: Tunnel): void;
  onDefect(error: unknown): void;
}

export class CallerRequest implements CallerStream, BodySink {
  readonly exchange: Exchange;
  readonly #context: ThreadContext;
  #host: RequestHost;
  readonly #response: ResponseSender;
  readonly #body = new BodyReader(false);
  /** METHOD_*. */
  #method = METHOD_OTHER;
  #http10 = false;
  #keepAlive = false;
  /** Nothing of the body may be expected before an interim response. */
  #expectsContinue = false;
  /** -1 when not announced. */
  #contentLength = -1;
  /** The connection ends with the present response. */
  #close = false;
  /** Answered by the proxy; the rest of the request body is read and dropped. */
  #discarding = false;
  #discarded = 0;

  constructor(host: RequestHost, context: ThreadContext) {
    this.#host = host;
    this.#context = context;
    this.#response = new ResponseSender(context, host.socket);
    this.exchange = new Exchange(this, context);
  }

  /** Another connection takes it. */
  attach(host: RequestHost): void {
    this.#host = host;
    this.#response.attach(host.socket);
  }

  /** Its connection lets it go: until another one takes it, whatever it is asked for is a defect. */
  detach(): void {
    this.#host = NOBODY;
    this.#response.detach();
    this.exchange.detach();
  }

  get port(): PortState {
    return this.#host.port;
  }

  get source(): Source {
    return this.#host.source;
  }

  get protocol(): string {
    return this.#http10 ? 'HTTP/1.0' : 'HTTP/1.1';
  }

  get isLoop(): boolean {
    return this.#host.source.isLoop(this.#host.socket);
  }

  /** A request runs, or the rest of one comes in. */
  get busy(): boolean {
    return this.exchange.active || this.#discarding;
  }

  get discarding(): boolean {
    return this.#discarding;
  }

  /** The next bytes of the caller belong to the body of a request. */
  get wantsBody(): boolean {
    return this.busy && !this.#body.done;
  }

  /** Starts the request whose head stands in `data[start, end)`. Then call `feed` for its body and `flush`. */
  begin(data: Buffer, head: Head, start: number, end: number): void {
    this.#method = head.method;
    this.#http10 = head.minor === 0;
    this.#keepAlive = head.keepAlive;
    this.#expectsContinue = head.expectContinue;
    this.#contentLength = head.contentLength;
    this.#close = false;
    this.#body.begin(head.framing, head.contentLength, namedByConnection(data, head));
    this.#response.reset();
    this.exchange.begin(data, head, start, end, !this.#body.done);
  }

  /** Reads the body from `data[pos, end)`: how far it came. */
  feed(data: Buffer, pos: number, end: number): number {
    const { exchange } = this;
    const body = this.#body;
    // What waited may be longer than one read, for which the write buffer is made.
    const isWhole = body.read(data, pos, Math.min(end, pos + READ_BYTES), this);
    if (this.#discarding) return this.#discard(isWhole, end);
    if (!exchange.active) return end;
    if (!isWhole) {
      exchange.onBadRequest(body.rule);
      return end;
    }
    if (body.done) exchange.onRequestEnd(body.trailers);
    exchange.flush();
    return body.pos;
  }

  /** The rest of a long body that nobody must see goes to the endpoint by itself. Call it when all that came was fed. */
  offerSplice(): void {
    const bytes = this.#body.plainBytes;
    if (bytes < this.#context.spliceBytes || !this.exchange.active) return;
    const sink = this.exchange.requestSocket;
    if (sink !== null) this.#host.socket.spliceTo(sink, bytes);
  }

  /** A part of the body went to the endpoint. */
  onSpliced(bytes: number): void {
    const { exchange } = this;
    const body = this.#body;
    if (!exchange.active) throw new Defect('a body went to an endpoint that nobody asks');
    body.skip(bytes);
    if (!exchange.onRequestBody(null, 0, bytes)) return;
    if (body.done) exchange.onRequestEnd(null);
    exchange.flush();
  }

  onBody(data: Buffer, start: number, end: number): boolean {
    if (this.exchange.active) return this.exchange.onRequestBody(data, start, end);
    if (this.#discarding) this.#discarded += end - start;
    return this.#discarding;
  }

  /** The answer to a head that never became a request, but was read into the head of the thread as far as it went. */
  refuse(head: Head, reason: FailureReason): void {
    const request = { method: head.method, http10: head.minor === 0 };
    this.#response.reset();
    this.#response.reply(request, { reason, retryAfterMs: 0, close: true });
  }

  pause(): void {
    this.#host.pause();
  }

  resume(): void {
    this.#host.resume();
  }

  get paused(): boolean {
    return this.#host.paused;
  }

  hasLeft(): boolean {
    return this.#host.hasLeft();
  }

  headAgain(kept: Buffer, headBytes: number): Head {
    const { requestHead, settings } = this.#context;
    if (parseRequestHead(kept, 0, headBytes, requestHead, settings) !== headBytes)
      throw new Defect('the head that was kept is another one than was read');
    return requestHead;
  }

  targetSent(kept: Buffer, headBytes: number): Buffer {
    return sentTarget(kept, this.headAgain(kept, headBytes));
  }

  sendInterim(data: Buffer, head: Head): boolean {
    if (this.#http10) return true;
    // The caller may now send its body; no other interim response says so.
    if (head.status === 100) this.#expectsContinue = false;
    return this.#response.interim(data, head, 0, 0, null);
  }

  sendSwitch(data: Buffer, head: Head, from: number, end: number): void {
    // One that was made of an answer to Extended CONNECT lists no protocol.
    const lines = head.upgrades === 0 ? this.#switchLines() : null;
    if (lines !== null) dropProof(data, head);
    this.#response.interim(data, head, from, end, lines);
  }

  #switchLines(): Buffer {
    const { buffer, headBytes } = this.exchange.replay;
    return switchLines(keyOf(buffer, this.headAgain(buffer, headBytes)));
  }

  sendHead(data: Buffer, head: Head, cookie: Buffer | null, extra: ExtraFields | null): void {
    if (this.#method !== METHOD_HEAD) sayEmpty(head);
    const endsByClose = ResponseSender.endsByClose(head, this.#http10);
    this.#close = !this.#mayKeep || !this.#body.done || endsByClose;
    this.#response.begin(data, head, this.#close, this.#http10, cookie, extra);
  }

  sendBody(data: Buffer | null, start: number, end: number): void {
    this.#response.write(data, start, end);
  }

  get bodySocket(): Socket | null {
    return this.#response.bodySocket;
  }

  flush(): boolean {
    return this.#response.flush();
  }

  sendEnd(trailers: Buffer | null): void {
    this.#response.end(trailers);
  }

  reply(reason: FailureReason, retryAfterMs: number): void {
    const close = this.#closesAfterAnswer(FAILURES[reason].connection === 'kept');
    this.#response.reply(this.#answered, { reason, retryAfterMs, close });
    this.#endAnswer();
  }

  redirect(status: number, location: ByteRoom, extra: ExtraFields): void {
    const close = this.#closesAfterAnswer(true);
    this.#response.redirect(this.#answered, { status, location, extra, close });
    this.#endAnswer();
  }

  answer(status: number, lines: Buffer, isKept: boolean): void {
    this.#response.answer(this.#answered, {
      status,
      lines,
      close: this.#closesAfterAnswer(isKept),
    });
    this.#endAnswer();
  }

  get #answered(): Answered {
    return { method: this.#method, http10: this.#http10 };
  }

  /** Whether the connection ends with an answer of the proxy, which keeps it if it can. */
  #closesAfterAnswer(keeps: boolean): boolean {
    // Only a short body is worth reading to keep the connection; after Expect it may never come.
    const isLong = this.#expectsContinue || this.#contentLength > DISCARD_BYTES_MAX;
    this.#close = !this.#mayKeep || !keeps || (!this.#body.done && isLong);
    return this.#close;
  }

  /** The rest of the body, if one is worth it, is read and dropped. */
  #endAnswer(): void {
    if (this.#body.done || this.#close) return this.onExchangeDone();
    this.#discarding = true;
    this.#discarded = this.exchange.replay.bodyBytes;
    this.resume();
    this.#host.onDiscard();
  }

  get #mayKeep(): boolean {
    return this.#keepAlive && !this.#host.isLeaving;
  }

  onExchangeDone(): void {
    this.#host.onRequestDone(this.#close);
  }

  abort(): void {
    this.#host.abort();
  }

  get waitingBytes(): number {
    return this.#host.socket.writableLength;
  }

  bytesOnTheirWay(): number {
    return this.#host.socket.unsentBytes();
  }

  get tunnelEnd(): TunnelEnd {
    return this.#host.tunnelEnd;
  }

  switchTo(tunnel: Tunnel): void {
    this.#host.switchTo(tunnel);
  }

  onDefect(error: unknown): void {
    this.#host.onDefect(error);
  }

  /** The caller said all: a request that waits for its response goes on if the setting allows it. False when it has given up. */
  onCallerEnd(): boolean {
    // Nobody can tell a caller that has only said all from one that is gone: what closes inside a body has given up, and
    // so has what closes while it waits, unless the setting says otherwise. What waited behind is not begun any more.
    const hasGivenUp = !this.#context.settings.halfClosedCallers || !this.#body.done;
    if (this.#discarding) this.stopDiscarding(true);
    else if (hasGivenUp && this.exchange.active) this.exchange.onCallerClosed();
    return !hasGivenUp;
  }

  onCallerClosed(): void {
    this.#discarding = false;
    this.exchange.onCallerClosed();
  }

  /** The drain is over: no other request follows, even where the answer to this one has an end. */
  cut(): void {
    this.#close = true;
    this.exchange.giveUp('draining');
  }

  stopDiscarding(close: boolean): void {
    this.#discarding = false;
    this.#close ||= close;
    this.onExchangeDone();
  }

  #discard(isWhole: boolean, end: number): number {
    const { rule, done, pos } = this.#body;
    if (!isWhole) {
      const broken = { rule: rule as Rule, reason: 'bad_request', endpoint: null } as const;
      reportRule(this.#context.rules, this, broken);
    }
    if (!isWhole || this.#discarded > DISCARD_BYTES_MAX) {
      this.stopDiscarding(true);
      return end;
    }
    if (done) this.stopDiscarding(false);
    return pos;
  }
}

/** A response of HTTP/2 may be over with its head, without a word on its length: here, that would be content up to the close. */
function sayEmpty(head: Head): void {
  const { framing, contentLength, status } = head;
  if (framing !== FRAMING_NONE || contentLength >= 0 || status === 204 || status === 304) return;
  head.contentLength = 0;
  head.lengthAnew = true;
}

/** Who has a request that nobody has. */
const NOBODY = nobodys<RequestHost>('a request without a connection');
