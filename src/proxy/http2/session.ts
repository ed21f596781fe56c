/**
 * One HTTP/2 connection, whichever side we are: reads frames, keeps settings and windows, and gathers what is sent. What a stream
 * means is up to the two roles (`caller.ts`, `endpoint.ts`). RFC 9113.
 */

import type { Guard } from '../../base/guard.ts';
import type { ThreadContext } from '../http/context.ts';
import type { Http2Shared } from './shared.ts';
import type { Socket, SocketError, SocketOwner } from '../net/socket.ts';
import type { Rule } from '../head/rule.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  NO_ERROR,
  OF_STREAM,
  PROTOCOL_ERROR,
  STREAM_CLOSED,
} from './codec/error-code.ts';
import type { FieldList } from './codec/field-list.ts';
import {
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_CONTINUATION,
  FRAME_GOAWAY,
  FRAME_HEADER_BYTES,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  NUMBER_MAX,
} from './codec/frame.ts';
import { type Frame, PeerSettings, read31, read32, readSettings } from './codec/frame-reader.ts';
import { writeGoaway, writePing, writeRstStream, writeSettingsAck } from './codec/frame-writer.ts';
import { HpackDecoder } from './codec/hpack-decoder.ts';
import { HpackEncoder } from './codec/hpack-encoder.ts';
import { Floods } from './floods.ts';
import { FrameLoop, type FrameSink } from './frame-loop.ts';
import { HeaderBlock } from './header-block.ts';
import { Output } from './output.ts';
import { type ReceiveHost, ReceiveSide } from './receive-side.ts';
import { type SendHost, SendSide } from './send-side.ts';
import type { Stream, StreamHost } from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** A control frame and its header. */
export const CONTROL_BYTES = FRAME_HEADER_BYTES + 8;
/** Streams that we reset lately: what their peer had sent by then is no fault. */
const RESET_KEPT_MAX = 256;

export abstract class Session
  implements SocketOwner, Expiring, FrameSink, StreamHost, SendHost, ReceiveHost
{
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly streams = new StreamTable();
  readonly encoder = new HpackEncoder();
  readonly peer = new PeerSettings();
  readonly output: Output;
  readonly floods = new Floods();
  readonly in: ReceiveSide = new ReceiveSide(this);
  readonly out: SendSide = new SendSide(this);
  /** Nothing more is read. */
  deaf = false;
  /** By which the peer has ended the session. */
  brokenRule: Rule | '' = '';
  /** The highest stream that the peer has begun. */
  lastStream = 0;
  /** Since when a frame or a block of fields is not whole; Infinity when all are. */
  partialSinceMs = Infinity;
  /** Reads that brought something. */
  reads = 0;
  /** When something came last, clock of the wheel. */
  lastReadMs: number;
  protected readonly shared: Http2Shared;
  protected readonly context: ThreadContext;
  readonly #decoder = new HpackDecoder();
  readonly #loop = new FrameLoop(this);
  readonly #block = new HeaderBlock();
  readonly #isServer: boolean;
  #socket: Socket | null = null;
  /** The first frame of the peer must be SETTINGS. */
  hasSettings = false;
  /** It has acknowledged ours, which are sent once. */
  #hasAcknowledged = false;
  readonly #resets = new Set<number>();
  #hasTurn = false;
  /** Between two frames of the present read, nothing was owed. */
  #hasCompleted = false;

  constructor(shared: Http2Shared, isServer: boolean) {
    const { context } = shared;
    this.shared = shared;
    this.context = context;
    this.#isServer = isServer;
    this.lastReadMs = context.wheel.nowMs;
    this.output = new Output(context, () => this.askForTurn());
  }

  /** The fields of a message, in `list`: a head or trailers. */
  protected abstract onFields(id: number, endStream: boolean, list: FieldList): void;
  /** The peer begins no more streams than up to `last`, or answers none above it. */
  protected abstract onGoaway(last: number, code: number): void;
  /** What was asked is answered, or what was never asked. */
  protected abstract onPingAck(): void;
  /** The peer broke a rule: the session ends. */
  protected abstract onBrokenRule(rule: Rule): void;
  /** The session is over: no stream is left. */
  protected abstract onGone(error: SocketError | null): void;
  abstract onDeadline(nowMs: number): void;
  abstract onDefect(error: unknown): void;

  get socket(): Socket {
    return this.#socket as Socket;
  }

  /** Bytes that wait for the peer, or of it. */
  get heldBytes(): number {
    let bytes = this.output.gathered + this.#loop.heldBytes + this.#block.heldBytes;
    for (const stream of this.streams.all()) bytes += stream.queuedBytes + stream.heldBytes;
    return bytes + (this.#socket?.writableLength ?? 0) + (this.#socket?.unreadBytes ?? 0);
  }

  /** From now on it is the connection of this session. */
  protected attach(socket: Socket): void {
    this.#socket = socket;
    this.output.attach(socket);
  }

  askForTurn(): void {
    if (this.#hasTurn) return;
    this.#hasTurn = true;
    this.context.sockets.later(this);
  }

  later(stream: Stream): void {
    this.in.later(stream);
  }

  onData(data: Buffer, length: number): void {
    this.receive(data, 0, length);
  }

  receive(data: Buffer, start: number, end: number): void {
    this.lastReadMs = this.context.wheel.nowMs;
    this.reads++;
    this.#hasCompleted = false;
    this.shared.beginRead();
    try {
      this.#loop.read(data, start, end);
      this.#notePartial();
      this.in.endRead();
    } finally {
      this.shared.endRead();
    }
  }

  /** Notes since when the peer owes the rest of a frame or of a block of fields. What it owed before this read may have come. */
  #notePartial(): void {
    if (this.#block.stream === 0 && this.#loop.heldBytes === 0) this.partialSinceMs = Infinity;
    else if (this.partialSinceMs === Infinity || this.#hasCompleted) {
      this.partialSinceMs = this.lastReadMs;
      this.onPartial();
    }
  }

  onSpliced(): void {
    throw new Error('frames do not go by');
  }

  onEnd(): void {
    this.deaf = true;
    this.#resetAll(NO_ERROR);
    this.output.flush();
    this.socket.destroySoon();
  }

  onDrain(): void {
    this.socket.resume();
    this.out.serve();
    for (const stream of this.streams.all()) if (stream.queuedBytes === 0) stream.onDrain();
  }

  onClose(error: SocketError | null): void {
    this.deaf = true;
    this.output.drop();
    this.#resetAll(NO_ERROR, error);
    // Behind the last stream, whose end files the session once more.
    this.context.wheel.disarm(this);
    this.onGone(error);
  }

  /** The end of a turn: everything that was gathered leaves in one write. */
  onTurn(): void {
    this.#hasTurn = false;
    try {
      this.in.deliver();
      this.output.flush();
      // A peer that takes nothing is not listened to: whatever it says would make us answer more.
      if (this.socket.writableNeedDrain) this.socket.pause();
    } catch (error) {
      this.onDefect(error);
    }
  }

  onDataFrame(frame: Frame): boolean {
    return this.#mayCome(frame) && this.in.begin(frame);
  }

  onContent(data: Buffer, start: number, end: number): void {
    this.in.content(data, start, end);
  }

  onDataEnd(frame: Frame): void {
    this.#hasCompleted = true;
    this.in.endFrame(frame);
  }

  onFrame(data: Buffer, frame: Frame): void {
    if (!this.#mayCome(frame)) return;
    this.#takeFrame(data, frame);
    if (this.#block.stream === 0) this.#hasCompleted = true;
  }

  // oxlint-disable-next-line complexity -- a table by type, once per frame
  #takeFrame(data: Buffer, frame: Frame): void {
    switch (frame.type) {
      case FRAME_HEADERS:
      case FRAME_CONTINUATION:
        return this.#onFieldBlock(data, frame);
      case FRAME_SETTINGS:
        return this.#onSettings(data, frame);
      case FRAME_WINDOW_UPDATE:
        return this.#onWindowUpdate(frame.stream, read31(data, frame.start));
      case FRAME_RST_STREAM:
        return this.#onResetFrame(frame.stream, read32(data, frame.start));
      case FRAME_PING:
        return this.#onPing(data, frame);
      case FRAME_GOAWAY:
        return this.onGoaway(read31(data, frame.start), read32(data, frame.start + 4));
      default:
        return this.onEmptyFrame();
    }
  }

  onBroken(code: number, stream: number): void {
    if ((code & OF_STREAM) === 0) return this.fail(code);
    if (this.isIdle(stream)) return this.fail(code & ~OF_STREAM);
    this.resetStream(stream, code & ~OF_STREAM);
  }

  /** Whether nobody has begun it yet. */
  protected abstract isIdle(id: number): boolean;

  /** What must come first, and what must not come in between: RFC 9113 §3.4 and §6.10. */
  #mayCome(frame: Frame): boolean {
    const isFirst = !this.hasSettings;
    if (isFirst && (frame.type !== FRAME_SETTINGS || (frame.flags & FLAG_ACK) !== 0)) {
      this.fail(PROTOCOL_ERROR);
      return false;
    }
    const { stream } = this.#block;
    const isNext = frame.type === FRAME_CONTINUATION && frame.stream === stream;
    if (stream !== 0 ? isNext : frame.type !== FRAME_CONTINUATION) return true;
    this.fail(PROTOCOL_ERROR);
    return false;
  }

  #onFieldBlock(data: Buffer, frame: Frame): void {
    const block = this.#block;
    const isLast = (frame.flags & FLAG_END_HEADERS) !== 0;
    if (frame.type === FRAME_HEADERS && isLast) {
      const endStream = (frame.flags & FLAG_END_STREAM) !== 0;
      return this.#decode(data, frame.start, frame.end, frame.stream, endStream);
    }
    if (!block.add(data, frame)) return this.fail(ENHANCE_YOUR_CALM, 'flood_head');
    if (!isLast) return;
    const { bytes, length, stream, endStream } = block;
    block.reset();
    this.#decode(bytes, 0, length, stream, endStream);
  }

  /** The peer owes the rest of a frame or of a block of fields. */
  protected abstract onPartial(): void;

  // oxlint-disable-next-line max-params -- once per message, without an object
  #decode(data: Buffer, start: number, end: number, id: number, endStream: boolean): void {
    const { blocks } = this.shared;
    const code = blocks.decode(this.#decoder, data, start, end);
    if (code === ENHANCE_YOUR_CALM) return this.fail(ENHANCE_YOUR_CALM, 'flood_head');
    if (code !== NO_ERROR) return this.fail(COMPRESSION_ERROR);
    this.onFields(id, endStream, blocks.list);
  }

  #onSettings(data: Buffer, frame: Frame): void {
    if ((frame.flags & FLAG_ACK) !== 0) {
      if (this.#hasAcknowledged) this.onEmptyFrame();
      this.#hasAcknowledged = true;
      return;
    }
    const isFirst = !this.hasSettings;
    this.hasSettings = true;
    const { peer } = this;
    const before = peer.initialWindow;
    const code = readSettings(data, frame, peer, !this.#isServer);
    if (code !== NO_ERROR) return this.fail(code);
    this.encoder.setMax(peer.headerTableBytesLeast);
    this.encoder.setMax(peer.headerTableBytes);
    this.output.reserve(CONTROL_BYTES);
    this.output.commit(writeSettingsAck(this.output.buffer, this.output.at));
    const more = peer.initialWindow - before;
    if (more !== 0 && !this.#moveWindows(more)) return this.fail(FLOW_CONTROL_ERROR);
    if (more > 0) this.out.serve();
    if (isFirst) this.onFirstSettings();
    else this.onEmptyFrame();
  }

  /** The peer has said what it can. */
  protected abstract onFirstSettings(): void;

  #moveWindows(more: number): boolean {
    for (const stream of this.streams.all()) {
      stream.sendWindow += more;
      if (stream.sendWindow > NUMBER_MAX) return false;
    }
    return true;
  }

  #onWindowUpdate(id: number, bytes: number): void {
    this.onEmptyFrame();
    if (id === 0) {
      if (!this.out.widen(bytes)) this.fail(FLOW_CONTROL_ERROR);
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(PROTOCOL_ERROR);
      return;
    }
    if (!this.out.widenStream(stream, bytes)) this.resetStream(id, FLOW_CONTROL_ERROR);
  }

  #onResetFrame(id: number, code: number): void {
    if (this.isIdle(id)) return this.fail(PROTOCOL_ERROR);
    const stream = this.streams.get(id);
    if (stream === undefined) return this.onEmptyFrame();
    // What was answered in full, or with a tunnel, cost no more than any other.
    const isAnswered = stream.sated || stream.tunnel !== null;
    const isTooMany = !isAnswered && this.floods.reset(this.context.wheel.nowMs);
    if (this.#outlives(stream, code, null)) return;
    this.forget(stream);
    stream.onReset(code, null);
    if (isTooMany) this.fail(ENHANCE_YOUR_CALM, 'flood_resets');
  }

  #onPing(data: Buffer, frame: Frame): void {
    if ((frame.flags & FLAG_ACK) !== 0) return this.onPingAck();
    this.onEmptyFrame();
    if (this.deaf) return;
    this.output.reserve(CONTROL_BYTES);
    this.output.commit(writePing(this.output.buffer, this.output.at, FLAG_ACK, data, frame.start));
  }

  onEmptyFrame(): void {
    this.floods.useful(this.output.dataFrames);
    this.output.dataFrames = 0;
    if (this.floods.empty(this.context.wheel.nowMs)) this.fail(ENHANCE_YOUR_CALM, 'flood_frames');
  }

  /** Content or fields for a stream that is over, or was never begun. */
  onStray(id: number): void {
    if (this.isIdle(id)) return this.fail(PROTOCOL_ERROR);
    if (this.#resets.has(id)) return;
    this.resetStream(id, STREAM_CLOSED);
  }

  /** We reset it: what its peer had sent by then is no fault. */
  protected wasReset(id: number): boolean {
    return this.#resets.has(id);
  }

  protected open(stream: Stream): void {
    this.streams.set(stream);
    this.floods.stream(this.context.wheel.nowMs);
  }

  /** An error of one stream, or for its peer's fault: it is over on both sides. */
  resetStream(id: number, code: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.forget(stream);
    this.writeReset(id, code);
    stream?.onReset(code, null);
    // Also what we are made to send costs: CVE-2025-8671.
    if (code !== NO_ERROR && this.floods.reset(this.context.wheel.nowMs))
      this.fail(ENHANCE_YOUR_CALM, 'flood_resets');
  }

  /** Gives a stream up on our own account. */
  cancel(stream: Stream, code: number): void {
    if (this.streams.get(stream.id) !== stream) return;
    this.forget(stream);
    if (stream.endSent && stream.remoteEnded) return;
    this.writeReset(stream.id, code);
  }

  protected writeReset(id: number, code: number): void {
    if (this.deaf) return;
    if (this.#resets.size >= RESET_KEPT_MAX) {
      for (const oldest of this.#resets) {
        this.#resets.delete(oldest);
        break;
      }
    }
    this.#resets.add(id);
    const { output } = this;
    output.reserve(CONTROL_BYTES);
    output.commit(writeRstStream(output.buffer, output.at, id, code));
  }

  onEndSent(stream: Stream): void {
    this.forgetIfOver(stream);
  }

  forgetIfOver(stream: Stream): void {
    if (stream.delivered && stream.endSent) this.forget(stream);
  }

  /** Lets go of a stream. */
  protected forget(stream: Stream): void {
    if (!this.streams.delete(stream)) return;
    this.out.forget(stream);
    this.in.forget(stream);
    stream.drop();
    stream.onForgotten();
    this.onForgotten();
  }

  /** Whether its message, which came whole, is still wanted though the peer has given the stream up. */
  protected abstract outlives(stream: Stream): boolean;

  #outlives(stream: Stream, code: number, error: SocketError | null): boolean {
    if (!stream.remoteEnded) return false;
    if (stream.tunnel === null) return this.outlives(stream);
    // Of a tunnel, the end of its peer is half of it, unless nothing went wrong.
    if (code !== NO_ERROR || error !== null) return false;
    this.silence(stream);
    if (stream.delivered) stream.onSilenced();
    this.forgetIfOver(stream);
    return true;
  }

  /** The peer takes nothing more of a stream: nothing is said on it, not even that it is over. */
  protected silence(stream: Stream): void {
    this.out.forget(stream);
    stream.dropQueue();
    stream.localEnded = true;
    stream.endSent = true;
  }

  /** A stream less. */
  protected abstract onForgotten(): void;

  protected goaway(last: number, code: number): void {
    const { output } = this;
    output.reserve(2 * CONTROL_BYTES);
    output.commit(writeGoaway(output.buffer, output.at, last, code));
  }

  /** An error of the connection; without a rule it is not the fault of the peer. */
  fail(code: number, rule: Rule | '' = 'frame_broken'): void {
    if (this.deaf) return;
    this.brokenRule = rule;
    if (rule !== '') this.onBrokenRule(rule);
    this.goaway(this.lastStream, code);
    this.deaf = true;
    this.output.flush();
    this.#resetAll(code);
    this.linger();
  }

  /** Closes our half; what still comes is dropped, so that no reset overtakes what was sent. */
  protected abstract linger(): void;

  #resetAll(code: number, error: SocketError | null = null): void {
    for (const stream of this.streams.all()) {
      // What happened to another one may have ended it.
      if (this.streams.get(stream.id) !== stream || this.#outlives(stream, code, error)) continue;
      this.forget(stream);
      stream.onReset(code, error);
    }
  }

  protected get guard(): Guard {
    return this.context.guard;
  }
}
