/** One HTTP/2 connection of a caller: its streams are requests, each with an exchange. RFC 9113. */

import { FAILURES } from '../../model/failure.ts';
import { add, countRequest } from '../call/account.ts';
import { BAD } from '../head/head.ts';
import type { Rule } from '../head/rule.ts';
import type { Leaving } from '../http/later-protocol.ts';
import type { Source } from '../http/source.ts';
import { reportRule } from '../http/report-rule.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { BUSY, type Guest, IDLE, LEAVING, PARTIAL_HEAD } from '../net/caller-room.ts';
import type { Caller, CallerHost } from '../net/listener.ts';
import type { Socket, SocketError } from '../net/socket.ts';
import type { PortState } from '../table/table.ts';
import type { Http2CallerStream, RequestPool, RequestSession } from './caller-stream.ts';
import {
  CANCEL,
  ENHANCE_YOUR_CALM,
  INTERNAL_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from './codec/error-code.ts';
import type { FieldList } from './codec/field-list.ts';
import {
  NUMBER_MAX,
  SETTING_ENABLE_CONNECT_PROTOCOL,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_CONCURRENT_STREAMS,
  SETTING_MAX_HEADER_LIST_SIZE,
  SETTING_NO_RFC7540_PRIORITIES,
} from './codec/frame.ts';
import { writeSettings } from './codec/frame-writer.ts';
import { readRequest } from './codec/request-fields.ts';
import { readTrailers } from './codec/trailer-fields.ts';
import { Session } from './session.ts';
import type { Http2Shared } from './shared.ts';
import { STREAM_WINDOW_BYTES } from './windows.ts';

/** Requests that a caller may have under way on one connection. */
export const CALLER_STREAMS_MAX = 128;
/** After an error the caller may go on sending this long; what it sends is dropped. */
const LINGER_MS = 1_000;
/** Between the announcement that the connection ends and its end: requests that were on their way still come. */
const GOAWAY_MS = 1_000;
/**
 * A caller whose response was whole before its request is told to stop this much later, if it has not ended the request by then:
 * one that reads both in one go takes the response for broken (curl 7.88).
 */
const REST_MS = 1_000;
const SETTINGS_BYTES = 64;
const NONE: readonly Http2CallerStream[] = [];

/** What all callers of a thread share. */
export interface CallerParts {
  readonly shared: Http2Shared;
  readonly requests: RequestPool;
}

export class CallerSession extends Session implements Caller, RequestSession {
  readonly port: PortState;
  readonly source: Source;
  asleep = false;
  place: Guest['place'] = null;
  listed: Caller['listed'] = null;
  readonly #host: CallerHost;
  readonly #pool: RequestPool;
  #idleSinceMs: number;
  /** The caller has said that it begins no more requests. */
  #leaving = false;
  /** We have said so. */
  #draining = false;
  #lingering = false;
  /** What is left of the last response may take its time, as long as it moves. */
  #lingersFor = 0;
  #lingerUntilMs = Infinity;
  #lingerBytes = 0;
  /** The caller was told that the connection ends; streams above the last one are not taken after `#goawayAtMs`. */
  #goawayAtMs = Infinity;
  #hasSaidLast = false;
  #gone = false;
  /** The caller has left numbers of streams out, which are closed thereby: RFC 9113 §5.1.1. */
  #hasGaps = false;

  /** Takes over a connection whose caller has said the preface. */
  constructor(
    socket: Socket,
    { source, port }: Pick<Leaving, 'source' | 'port'>,
    parts: CallerParts,
    host: CallerHost,
  ) {
    super(parts.shared, true);
    this.#pool = parts.requests;
    this.port = port;
    this.source = source;
    this.#host = host;
    this.#idleSinceMs = this.context.wheel.nowMs;
    this.attach(socket);
    this.#begin();
    this.#arm();
    // Nobody else tells it: it came too late to be among those that were told.
    if (host.isLeaving) this.drain();
  }

  #begin(): void {
    const { output, context } = this;
    output.reserve(SETTINGS_BYTES);
    output.commit(
      writeSettings(output.buffer, output.at, [
        SETTING_MAX_CONCURRENT_STREAMS,
        CALLER_STREAMS_MAX,
        SETTING_INITIAL_WINDOW_SIZE,
        STREAM_WINDOW_BYTES,
        SETTING_MAX_HEADER_LIST_SIZE,
        context.settings.headBytesMax,
        SETTING_NO_RFC7540_PRIORITIES,
        1,
        SETTING_ENABLE_CONNECT_PROTOCOL,
        1,
      ]),
    );
    this.in.open();
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

  /** With what its requests keep, and what waits at their endpoints. */
  override get heldBytes(): number {
    let bytes = super.heldBytes;
    for (const stream of this.streams.all()) bytes += (stream as Http2CallerStream).keptBytes;
    return bytes;
  }

  get standing(): Guest['standing'] {
    if (this.#lingering) return LEAVING;
    if (this.streams.size > 0) return BUSY;
    return this.partialSinceMs === Infinity ? IDLE : PARTIAL_HEAD;
  }

  get requests(): number {
    return this.streams.size;
  }

  override onData(data: Buffer, length: number): void {
    if (this.asleep) this.context.room.wake(this);
    this.receive(data, 0, length);
  }

  protected override isIdle(id: number): boolean {
    return id % 2 === 0 || (id > this.lastStream && !this.#hasSaidLast);
  }

  override onStray(id: number): void {
    if (this.#hasSaidLast && id % 2 === 1 && id > this.lastStream) return this.onEmptyFrame();
    super.onStray(id);
  }

  protected override onFields(id: number, endStream: boolean, list: FieldList): void {
    const open = this.streams.get(id) as Http2CallerStream | undefined;
    if (open !== undefined) return this.#onTrailers(open, endStream, list);
    if (id % 2 === 0) return this.fail(PROTOCOL_ERROR);
    if (id <= this.lastStream) return this.#onOldId(id);
    // What came after the last one that we take is for another connection.
    if (this.#hasSaidLast) return this.onEmptyFrame();
    if (id > this.lastStream + 2) this.#hasGaps = true;
    this.lastStream = id;
    if (this.streams.size >= CALLER_STREAMS_MAX) this.#endRests();
    if (this.streams.size >= CALLER_STREAMS_MAX) return this.resetStream(id, REFUSED_STREAM);
    this.#onRequest(id, endStream, list);
  }

  /** A request with the number of a stream that is over, or was left out. */
  #onOldId(id: number): void {
    if (this.wasReset(id)) return this.onEmptyFrame();
    this.fail(this.#hasGaps ? PROTOCOL_ERROR : STREAM_CLOSED);
  }

  #onRequest(id: number, endStream: boolean, list: FieldList): void {
    const { context } = this;
    const head = context.requestHead;
    const end = readRequest(list, head, endStream, true);
    if (end === BAD && head.failure === 'bad_request') return this.#refuseRequest(id, head.rule);
    const stream = this.#pool.take(this);
    stream.begin(id, this.peer.initialWindow);
    this.open(stream);
    if (end === BAD) stream.refuse(head, endStream);
    else stream.start(list.data, head, end, endStream);
  }

  #refuseRequest(id: number, rule: Rule | ''): void {
    countRequest(this.port.rules.cells, FAILURES.bad_request.status, 'bad_request');
    this.context.accessLog?.writeRefused(this, 'bad_request', rule);
    this.#refuse(id, rule);
  }

  /** RFC 9113 §8.1.1: what is malformed is an error of its stream. */
  #refuse(id: number, rule: Rule | ''): void {
    if (rule !== '') this.#report(rule);
    this.resetStream(id, PROTOCOL_ERROR);
  }

  #report(rule: Rule): void {
    reportRule(this.context.rules, this, { rule, reason: 'bad_request', endpoint: null });
  }

  #onTrailers(stream: Http2CallerStream, endStream: boolean, list: FieldList): void {
    if (stream.remoteEnded) return this.resetStream(stream.id, STREAM_CLOSED);
    // RFC 9113 §8.5: a tunnel has no trailers.
    if (!endStream || stream.isTunnel) return this.resetStream(stream.id, PROTOCOL_ERROR);
    const end = readTrailers(list);
    if (end === BAD) return this.#refuse(stream.id, list.broken);
    this.in.end(stream, end === 0 ? null : list.data.subarray(0, end));
  }

  protected override onGoaway(): void {
    this.#leaving = true;
    if (this.streams.size === 0) this.linger();
  }

  protected override onFirstSettings(): void {
    // Nothing waits for them.
  }

  protected override onPingAck(): void {
    // We ask callers nothing.
    this.onEmptyFrame();
  }

  protected override onBrokenRule(rule: Rule): void {
    this.#report(rule);
  }

  protected override onPartial(): void {
    this.#arm();
  }

  protected override onForgotten(): void {
    if (this.streams.size > 0) return;
    this.#idleSinceMs = this.context.wheel.nowMs;
    if (this.#leaving || this.#hasSaidLast) return this.linger();
    this.#arm();
  }

  protected override onGone(_error: SocketError | null): void {
    if (this.#gone) return;
    this.#gone = true;
    add(this.port.service.cells, SERVICE_OWN.callerConnectionsActive, -1);
    this.#host.closed(this);
  }

  override onDeadline(nowMs: number): void {
    if (this.#lingering) return this.#lingerOver(nowMs);
    const { headTimeoutMs, callerIdleMs } = this.context.settings;
    if (nowMs >= this.partialSinceMs + headTimeoutMs)
      return this.fail(ENHANCE_YOUR_CALM, 'flood_head');
    if (nowMs >= this.#goawayAtMs) this.#sayLast();
    if (this.streams.size === 0 && nowMs >= this.#idleSinceMs + callerIdleMs) this.drain();
    for (const stream of this.#answered()) if (nowMs >= stream.untilMs) this.#onLate(stream);
    this.#arm();
  }

  /** The present deadline: of a frame that is not whole, of the drain, of a caller without requests. */
  #arm(): void {
    if (this.#lingering || this.#gone) return;
    const { headTimeoutMs, callerIdleMs } = this.context.settings;
    let idle = this.streams.size === 0 ? this.#idleSinceMs + callerIdleMs : Infinity;
    for (const { untilMs } of this.#answered()) idle = Math.min(idle, untilMs);
    this.deadlineMs = Math.min(this.partialSinceMs + headTimeoutMs, idle, this.#goawayAtMs);
    this.context.wheel.arm(this);
  }

  /** Streams whose response is complete and waits for the caller. */
  #answered(): readonly Http2CallerStream[] {
    if (this.streams.size === 0) return NONE;
    const streams = this.streams.all() as Http2CallerStream[];
    return streams.filter((stream) => stream.untilMs < Infinity);
  }

  /** A caller may take as long as it likes for the rest of a response, as long as it takes some. */
  #onLate(stream: Http2CallerStream): void {
    if (stream.endSent) return this.cancel(stream, NO_ERROR);
    if (!stream.hasTaken()) return this.cancel(stream, CANCEL);
    stream.untilMs = this.context.wheel.nowMs + this.context.settings.callerIdleMs;
  }

  /** Streams whose callers need not end them any more make room for others. */
  #endRests(): void {
    for (const stream of this.#answered()) if (stream.endSent) this.cancel(stream, NO_ERROR);
  }

  /** Announces the end; requests that are on their way are still taken. */
  drain(): void {
    for (const stream of this.streams.all()) stream.tunnel?.leave();
    if (this.#draining || this.deaf) return;
    this.#draining = true;
    this.goaway(NUMBER_MAX, NO_ERROR);
    this.#goawayAtMs = this.context.wheel.nowMs + GOAWAY_MS;
    this.#arm();
  }

  #sayLast(): void {
    this.#goawayAtMs = Infinity;
    this.#hasSaidLast = true;
    this.goaway(this.lastStream, NO_ERROR);
    if (this.streams.size === 0) this.linger();
  }

  /** The drain is over. */
  cut(): void {
    if (this.#lingering) return this.#close();
    for (const stream of this.streams.all()) (stream as Http2CallerStream).cut();
    this.fail(NO_ERROR, '');
  }

  shed(): void {
    if (this.#lingering) return this.#close();
    for (const stream of this.streams.all()) (stream as Http2CallerStream).shed();
    this.fail(ENHANCE_YOUR_CALM, '');
  }

  protected override linger(): void {
    if (this.#lingering || this.#gone) return;
    this.#beginLinger();
    this.output.flush();
    this.socket.end();
  }

  override onEnd(): void {
    if (!this.#lingering) this.#beginLinger();
    super.onEnd();
  }

  #beginLinger(): void {
    const { wheel, settings } = this.context;
    this.#lingering = true;
    // After an error nobody waits for a slow caller.
    this.#lingersFor = this.deaf ? 0 : settings.callerIdleMs;
    this.#lingerUntilMs = wheel.nowMs + this.#lingersFor;
    this.deaf = true;
    this.deadlineMs = wheel.nowMs + LINGER_MS;
    wheel.arm(this);
  }

  #lingerOver(nowMs: number): void {
    if (this.socket.writableLength === 0) return this.socket.destroy();
    const left = this.socket.unsentBytes();
    if (left !== this.#lingerBytes) this.#lingerUntilMs = nowMs + this.#lingersFor;
    this.#lingerBytes = left;
    // The runtime says nothing of a write in TLS that failed behind the end of the peer.
    if (nowMs >= this.#lingerUntilMs || this.socket.peerState() === 'gone')
      return this.socket.reset();
    this.deadlineMs = nowMs + LINGER_MS;
    this.context.wheel.arm(this);
  }

  /** What the kernel has still arrives; what it has not makes it a cut. */
  #close(): void {
    if (this.socket.writableLength === 0) this.socket.destroy();
    else this.socket.reset();
  }

  override onDefect(error: unknown): void {
    this.guard.caught('proxy', error, { service: this.service, caller: this.address });
    this.deaf = true;
    this.socket.reset();
  }

  /** The response is whole, or its rest waits. What is still to come of the request is not wanted: RFC 9113 §8.1. */
  answered(stream: Http2CallerStream): void {
    if (stream.endSent) return this.#onWholeSent(stream);
    stream.hasTaken();
    this.#waitFor(stream, this.context.settings.callerIdleMs);
  }

  override onEndSent(stream: Http2CallerStream): void {
    if (stream.sated) this.#onWholeSent(stream);
    else super.onEndSent(stream);
  }

  #onWholeSent(stream: Http2CallerStream): void {
    // Without anything to say when the request is whole, too.
    if (stream.remoteEnded) this.cancel(stream, NO_ERROR);
    else this.#waitFor(stream, REST_MS);
  }

  #waitFor(stream: Http2CallerStream, ms: number): void {
    stream.untilMs = this.context.wheel.nowMs + ms;
    this.deadlineMs = Math.min(this.deadlineMs, stream.untilMs);
    this.context.wheel.arm(this);
  }

  /** A caller that resets a request wants no response. */
  protected override outlives(): boolean {
    return false;
  }

  /** Something threw that belongs to this request. */
  onStreamDefect(stream: Http2CallerStream, error: unknown): void {
    this.guard.caught('proxy', error, { service: this.service, caller: this.address });
    try {
      if (stream.tunnel !== null) return stream.tunnel.onDefect();
      if (stream.exchange.active) return stream.exchange.giveUp('internal');
    } catch {
      // It cannot even be answered.
    }
    this.cancel(stream, INTERNAL_ERROR);
  }

  /** Takes a stream back that is over on all sides. */
  give(stream: Http2CallerStream): void {
    this.#pool.give(stream);
  }
}
