/** One HTTP/2 connection to an endpoint, shared by the requests of all callers of this thread: each stream is a try. RFC 9113. */

import type { Random } from '../../base/random.ts';
import type { LimitPolicy } from '../../model/policy.ts';
import type { EndpointState, IdleConnection } from '../balance/endpoint-state.ts';
import type { EndpointUser } from '../http/stream.ts';
import type { DialOwner, SocketError } from '../net/socket.ts';
import { writePing, writeSettings } from './codec/frame-writer.ts';
import { NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from './codec/error-code.ts';
import type { FieldList } from './codec/field-list.ts';
import type { Frame } from './codec/frame-reader.ts';
import {
  FRAME_HEADER_BYTES,
  NUMBER_MAX,
  PREFACE,
  SETTING_ENABLE_PUSH,
  SETTING_INITIAL_WINDOW_SIZE,
  SETTING_MAX_HEADER_LIST_SIZE,
} from './codec/frame.ts';
import type { Http2EndpointStream, TryPool, TrySession } from './endpoint-stream.ts';
import { CONTROL_BYTES, Session } from './session.ts';
import type { Stream } from './stream.ts';
import type { Http2Shared } from './shared.ts';
import { STREAM_WINDOW_BYTES } from './windows.ts';

/** What is assumed until the endpoint says otherwise: RFC 9113 §6.5.2 recommends at least this. */
const STREAMS_AT_FIRST = 100;
/** Streams of ours on one connection, whatever the endpoint allows. */
const STREAMS_MAX = 1_000;
/** An endpoint that has been silent for this long, while requests wait for it, is asked whether it is there … */
const PING_AFTER_MS = 10_000;
/** … and has this long to answer. */
const PING_ANSWER_MS = 5_000;
/**
 * One that goes on to be silent is asked no sooner than this: servers of gRPC end a connection with ENHANCE_YOUR_CALM after three
 * pings within five minutes of the one before, if they have sent nothing on a stream in between.
 */
const PING_APART_MS = 305_000;
/** One that is used again after so long a silence is asked along with the request: it may be dead, and others must know soon. */
const ASK_AFTER_MS = 1_000;
/** As long as this it may think about that; so long it has when it is not asked early. */
const EARLY_ANSWER_MS = PING_AFTER_MS + PING_ANSWER_MS;
/** A connection that has not answered for so long gets no more requests while there may be another one. */
const DOUBT_MS = 1_000;
const PING_BYTES = FRAME_HEADER_BYTES + 8;
/** The last bytes to an endpoint may take so long. */
const CLOSE_MS = 5_000;
/** Resets on one connection before other requests go to a new one: servers that look for rapid reset take some more. */
const RESETS_MAX = 250;
/** The part of its age that a connection may end earlier. */
const AGE_SPREAD = 0.1;
const SETTINGS_BYTES = 64;

/** What all connections to endpoints share on a thread. */
export interface EndpointParts {
  readonly shared: Http2Shared;
  readonly tries: TryPool;
}

export class EndpointSession extends Session implements DialOwner, IdleConnection, TrySession {
  readonly endpoint: EndpointState;
  connected = false;
  /** It begins no more streams. */
  leaving = false;
  #nextStream = 1;
  #pingedAtMs = Infinity;
  /** How long the answer to that may take. */
  #answerMs = PING_ANSWER_MS;
  /** Since when requests wait without a break. */
  #busySinceMs = 0;
  /** What the endpoint had taken by then. */
  #takenBytes = 0;
  /** Since it said something on a stream last. */
  #pings = 0;
  #lastPingMs = -Infinity;
  #lastStartMs = -Infinity;
  /** A request came since it was asked last. */
  #hasLater = false;
  #idleSinceMs: number;
  /** From when on it takes no more requests. */
  readonly #oldAtMs: number;
  #ownDial = 0;
  /** Streams that we reset, most of them because their callers did. */
  #resets = 0;
  readonly #tries: TryPool;
  readonly #onGone: (session: EndpointSession) => void;

  constructor(
    endpoint: EndpointState,
    { shared, tries }: EndpointParts,
    onGone: (session: EndpointSession) => void,
  ) {
    super(shared, false);
    const { context } = shared;
    this.#tries = tries;
    this.endpoint = endpoint;
    this.#onGone = onGone;
    this.#idleSinceMs = context.wheel.nowMs;
    this.#oldAtMs = this.#idleSinceMs + lifeMs(endpoint.limits, context.random);
    this.peer.maxStreams = STREAMS_AT_FIRST;
    this.attach(context.dial(endpoint, this));
    // As in HTTP/1.1.
    context.room.endpointConnections++;
    endpoint.openConnection();
    this.#begin();
  }

  /** The preface, which the endpoint may get together with the first request. */
  #begin(): void {
    const { output } = this;
    output.reserve(PREFACE.length + SETTINGS_BYTES);
    const at = output.at + PREFACE.copy(output.buffer, output.at);
    output.commit(
      writeSettings(output.buffer, at, [
        SETTING_ENABLE_PUSH,
        0,
        SETTING_INITIAL_WINDOW_SIZE,
        STREAM_WINDOW_BYTES,
        SETTING_MAX_HEADER_LIST_SIZE,
        this.context.settings.headBytesMax,
      ]),
    );
    this.in.open();
  }

  /** It begins more streams, now or when there is room. */
  get isTaking(): boolean {
    return !this.leaving && !this.deaf && this.#nextStream <= NUMBER_MAX - 2;
  }

  /** Whether another request may begin on it. */
  get hasRoom(): boolean {
    return this.isTaking && this.streams.size < Math.min(this.peer.maxStreams, STREAMS_MAX);
  }

  /** Begins a stream; its number is that of its head, which `sendHead` writes next. */
  start(user: EndpointUser): Http2EndpointStream {
    const stream = this.#tries.take(this, user);
    stream.begin(this.#nextStream, this.peer.initialWindow);
    this.#nextStream += 2;
    const now = this.context.wheel.nowMs;
    if (this.streams.size === 0) {
      this.#leaveIdle();
      this.#busySinceMs = now;
    }
    // Those that follow do not put the question off.
    if (!this.#hasLater) this.#lastStartMs = now;
    this.#hasLater = true;
    this.open(stream);
    if (this.#isAskedEarly(now)) this.#ping(now, EARLY_ANSWER_MS);
    this.#arm();
    return stream;
  }

  /** Only the first question since it said something on a stream: more of them are more than servers of gRPC take. */
  #isAskedEarly(now: number): boolean {
    return (
      this.#pings === 0 && this.#pingedAtMs === Infinity && now >= this.lastReadMs + ASK_AFTER_MS
    );
  }

  /** It was asked, and has been silent since for longer than a connection that lives. */
  get isDoubtful(): boolean {
    const { nowMs } = this.context.wheel;
    return nowMs >= this.#pingedAtMs + DOUBT_MS && this.lastReadMs <= this.#pingedAtMs;
  }

  #leaveIdle(): void {
    const index = this.endpoint.idle.indexOf(this);
    if (index >= 0) this.endpoint.idle.splice(index, 1);
  }

  onConnect(): void {
    this.connected = true;
    this.#ownDial = this.context.ownDials.add(this.socket.ends());
    for (const stream of this.streams.all()) (stream as Http2EndpointStream).onConnected();
  }

  onWriteFailed(): void {
    this.leaving = true;
    for (const stream of this.streams.all()) (stream as Http2EndpointStream).onDeaf();
  }

  protected override isIdle(id: number): boolean {
    return id >= this.#nextStream || id % 2 === 0;
  }

  override onDataFrame(frame: Frame): boolean {
    this.#forgive();
    return super.onDataFrame(frame);
  }

  /** It says something on a stream: it may be asked soon again. */
  #forgive(): void {
    if (this.#pings === 0) return;
    this.#pings = 0;
    this.#arm();
  }

  protected override onFields(id: number, endStream: boolean, list: FieldList): void {
    this.#forgive();
    const stream = this.streams.get(id) as Http2EndpointStream | undefined;
    if (stream === undefined) {
      this.onEmptyFrame();
      return this.onStray(id);
    }
    stream.onFields(endStream, list);
  }

  protected override onGoaway(last: number, _code: number): void {
    this.leaving = true;
    for (const stream of this.streams.all())
      if (stream.id > last) this.unseen(stream as Http2EndpointStream);
    if (this.streams.size === 0) this.linger();
  }

  /** Endpoints, too, take too many resets for an attack, and then end the connection with all that is on it. */
  protected override writeReset(id: number, code: number): void {
    super.writeReset(id, code);
    if (++this.#resets >= RESETS_MAX && this.connected && !this.deaf) this.close();
  }

  /** What comes for a stream that is over was on its way when we cancelled it; of those there may be many. */
  override onStray(id: number): void {
    if (this.isIdle(id)) this.fail(PROTOCOL_ERROR);
  }

  /** A response that came whole, and waits for a slow caller. */
  protected override outlives(stream: Stream): boolean {
    this.silence(stream);
    (stream as Http2EndpointStream).onDeaf();
    return true;
  }

  /** The endpoint has not seen it and never will: it may be sent again, whatever it is. */
  unseen(stream: Http2EndpointStream): void {
    this.forget(stream);
    stream.onReset(REFUSED_STREAM, null);
  }

  protected override onFirstSettings(): void {
    for (const stream of this.streams.all()) (stream as Http2EndpointStream).onSettings();
  }

  withdraw(stream: Http2EndpointStream): void {
    if (this.streams.get(stream.id) === stream) this.forget(stream);
  }

  renumber(stream: Http2EndpointStream): void {
    this.streams.delete(stream);
    stream.id = this.#nextStream;
    this.#nextStream += 2;
    this.streams.set(stream);
  }

  protected override onPingAck(): void {
    if (this.#pingedAtMs === Infinity) return this.onEmptyFrame();
    this.#pingedAtMs = Infinity;
    this.#arm();
  }

  protected override onBrokenRule(): void {
    // Its streams report it, for their Services.
  }

  protected override onPartial(): void {
    this.#arm();
  }

  protected override onForgotten(): void {
    if (this.streams.size > 0) return;
    this.#idleSinceMs = this.context.wheel.nowMs;
    if (this.deaf) return;
    if (!this.connected) return this.socket.destroy();
    // Who gets it next would be lost with it, if it is dead.
    if (this.isDoubtful) return this.linger();
    const { idle, gone, limits } = this.endpoint;
    const isFull = idle.length >= limits.idleConnectionsPerEndpoint;
    if (!this.isTaking || isFull || gone || this.context.draining) return this.linger();
    // Whoever takes the endpoint away closes those that stand there.
    idle.push(this);
    this.#arm();
  }

  protected override onGone(_error: SocketError | null): void {
    this.#leaveIdle();
    this.context.room.endpointConnections--;
    if (this.#ownDial !== 0) this.context.ownDials.remove(this.#ownDial);
    this.endpoint.closeConnection();
    this.#onGone(this);
  }

  override onDeadline(nowMs: number): void {
    if (this.deaf) return this.socket.destroy();
    if (nowMs >= this.#oldAtMs) this.leaving = true;
    if (this.streams.size === 0) {
      if (this.leaving || nowMs >= this.#idleUntilMs()) return this.linger();
      return this.#arm();
    }
    if (nowMs >= this.#pingedAtMs + this.#answerMs) {
      if (this.lastReadMs <= this.#pingedAtMs && !this.#hasTaken()) return this.socket.destroy();
      // It is busy with what stands before the question, or before the answer.
      this.#pingedAtMs = this.lastReadMs <= this.#pingedAtMs ? nowMs : Infinity;
    }
    if (this.#pingedAtMs === Infinity && nowMs >= this.#pingDueMs())
      this.#ping(nowMs, PING_ANSWER_MS);
    this.#arm();
  }

  /** So long it may stand without a request. */
  #idleUntilMs(): number {
    return this.#idleSinceMs + this.endpoint.limits.idleConnectionMs;
  }

  #arm(): void {
    if (this.deaf) return;
    const oldAtMs = this.leaving ? Infinity : this.#oldAtMs;
    let due = 0;
    if (this.streams.size === 0) due = this.#idleUntilMs();
    else if (this.#pingedAtMs === Infinity) due = this.#pingDueMs();
    else due = this.#pingedAtMs + this.#answerMs;
    this.deadlineMs = Math.min(due, oldAtMs);
    this.context.wheel.arm(this);
  }

  /** When it is to be asked, if it is silent until then: once soon, once more for a request that came later, and then seldom. */
  #pingDueMs(): number {
    const soon = Math.max(this.lastReadMs, this.#lastStartMs) + PING_AFTER_MS;
    if (this.#pings === 0) return Math.max(this.lastReadMs, this.#busySinceMs) + PING_AFTER_MS;
    const seldom = this.#lastPingMs + PING_APART_MS;
    return this.#pings === 1 && this.#hasLater ? Math.min(soon, seldom) : seldom;
  }

  #ping(nowMs: number, answerMs: number): void {
    if (!this.connected) return;
    this.#pingedAtMs = nowMs;
    this.#answerMs = answerMs;
    this.#lastPingMs = nowMs;
    this.#hasLater = false;
    this.#pings++;
    this.#hasTaken();
    // The question itself does not count.
    this.#takenBytes += PING_BYTES;
    const { output } = this;
    output.reserve(CONTROL_BYTES);
    output.commit(writePing(output.buffer, output.at, 0, ASK, 0));
  }

  /** Whether the endpoint has taken something of what was sent since the last look. */
  #hasTaken(): boolean {
    const before = this.#takenBytes;
    this.#takenBytes = this.socket.bytesWritten - this.socket.unsentBytes();
    return this.#takenBytes > before;
  }

  /** Closes it, now or when what runs is over. */
  close(): void {
    this.leaving = true;
    if (this.streams.size === 0) this.linger();
  }

  protected override linger(): void {
    if (!this.deaf) this.goaway(0, NO_ERROR);
    this.deaf = true;
    this.output.flush();
    this.socket.destroySoon();
    this.#armClose();
  }

  override onEnd(): void {
    super.onEnd();
    this.#armClose();
  }

  /** Whatever the endpoint has not taken by then is given up. */
  #armClose(): void {
    this.deadlineMs = this.context.wheel.nowMs + CLOSE_MS;
    this.context.wheel.arm(this);
  }

  override onDefect(error: unknown): void {
    this.guard.caught('proxy', error);
    this.deaf = true;
    this.socket.destroy();
  }
}

/** How long a connection takes requests: not all that were opened together end together. */
function lifeMs({ connectionAgeMs }: LimitPolicy, random: Random): number {
  if (connectionAgeMs === 0) return Infinity;
  return connectionAgeMs * (1 - AGE_SPREAD * random.next());
}

const ASK = Buffer.from('maesh?\0\0');
