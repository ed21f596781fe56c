/**
 * One HTTP/1.1 connection to an endpoint: dialled, used by one request at a time, kept idle in between.
 *
 *   connecting ──► busy ──► idle ──► busy …        busy ──► tunnel (101)
 *        └───────────┴────────┴──► closed                      └──► closed
 */

import type { LimitPolicy } from '../../model/policy.ts';
import type { EndpointState, IdleConnection } from '../balance/endpoint-state.ts';
import type { ThreadContext } from '../http/context.ts';
import type { HeadEdit } from '../head/filter.ts';
import { BAD, FRAMING_NONE, type Head, INCOMPLETE, METHOD_OTHER } from '../head/head.ts';
import type { Connector, EndpointStream, EndpointUser, RequestOrigin } from '../http/stream.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';
import { asUpgrade, isExtendedConnect, newKey, provesKey } from '../http/websocket-handshake.ts';
import { Defect } from '../net/copy-whole.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import {
  type DialOwner,
  READ_BYTES,
  type Socket,
  type SocketError,
  type Turn,
} from '../net/socket.ts';
import { BodyReader, type BodySink } from './codec/body-reader.ts';
import { namedByConnection } from './codec/connection-names.ts';
import { parseResponseHead } from './codec/response-head.ts';
import { RequestSender } from './request-sender.ts';
import { SocketEnd, type TunnelHost } from '../net/socket-end.ts';

/**
 * A request that must not run twice is not sent on a connection idle for longer: its endpoint may be closing it just now. The
 * shortest keep-alive time that servers come with is 2 s.
 */
const FRESH_IDLE_MS_MAX = 1_000;
/**
 * After a response without the content that it announced (HEAD, 304), a connection must be silent for this long before another
 * request may take it: servers that send the content all the same send it now, and it would be read as the next response. The
 * same after a response that ended just where the read buffer did.
 */
export const QUIET_MS = 500;
/** An endpoint that takes none of the last bytes of a tunnel for this long does not get them. */
const FINISH_MS = 10_000;

export class EndpointConnection
  implements EndpointStream, BodySink, DialOwner, IdleConnection, TunnelHost, Expiring, Turn
{
  readonly endpoint: EndpointState;
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  connected = false;
  readonly unseen = false;
  readonly isDoubtful = false;
  readonly #context: ThreadContext;
  readonly #socket: Socket;
  readonly #request: RequestSender;
  readonly #body = new BodyReader(true);
  #user: EndpointUser | null;
  /** The user that an event is told to: it may have let go by the time that something throws. */
  #toldTo: EndpointUser | null = null;
  #tunnel: Tunnel | null = null;
  #closed = false;
  #ownDial = 0;
  /** An earlier request used it. */
  #reused = false;
  /** A byte of response came since it was acquired. */
  #answered = false;
  /** METHOD_* of the request. */
  #method = METHOD_OTHER;
  /** Ours, of a WebSocket that its caller asked for without one; '' of all other requests. */
  #webSocketKey = '';
  /** The final head came; its body follows. */
  #inBody = false;
  /** The endpoint keeps its connection open and in step. */
  #reusable = false;
  /** Something may follow the response: content that it must not have, or what stood behind the last read. */
  #inDoubt = false;
  #isError = false;
  /** Bytes of a response head that is not complete yet. */
  #stash: Buffer | null = null;
  #idleSinceMs = 0;
  #usableFromMs = -Infinity;
  /** Bytes of a tunnel that is over, not taken by the endpoint at the last look. */
  #bytesLeft = 0;

  constructor(endpoint: EndpointState, context: ThreadContext, user: EndpointUser) {
    this.endpoint = endpoint;
    this.#context = context;
    this.#user = user;
    this.#socket = context.dial(endpoint, this);
    // Nobody would take back what is counted of one that could not be dialled at all.
    context.room.endpointConnections++;
    endpoint.openConnection();
    this.#request = new RequestSender(context, this.#socket);
  }

  /** The most recently used idle connection of the endpoint that still stands; null without one that may be used. */
  static reuse(
    endpoint: EndpointState,
    user: EndpointUser,
    repeatable: boolean,
  ): EndpointConnection | null {
    for (;;) {
      const idle = endpoint.idle.at(-1) as EndpointConnection | undefined;
      if (idle === undefined || !idle.#isUsable(repeatable)) return null;
      endpoint.idle.pop();
      if (idle.#closed || idle.#socket.destroyed) continue;
      idle.#user = user;
      idle.#reused = true;
      idle.#answered = false;
      idle.deadlineMs = Infinity;
      return idle;
    }
  }

  get mayBeStale(): boolean {
    return this.#reused && !this.#answered;
  }

  get deaf(): boolean {
    return this.#socket.writeFailed;
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  bytesOnTheirWay(): number {
    return this.#socket.unsentBytes();
  }

  sendHead(data: Buffer, head: Head, origin: RequestOrigin, edit: HeadEdit | null): void {
    this.#method = head.method;
    this.#inBody = false;
    if (isExtendedConnect(head)) return this.#askForWebSocket(data, head, origin, edit);
    this.#webSocketKey = '';
    this.#request.begin(data, head, origin, edit);
  }

  #askForWebSocket(data: Buffer, head: Head, origin: RequestOrigin, edit: HeadEdit | null): void {
    this.#webSocketKey = newKey(this.#context.random);
    this.#request.begin(data, head, origin, asUpgrade(data, head, edit, this.#webSocketKey));
  }

  sendBody(data: Buffer | null, start: number, end: number): void {
    if (!this.deaf) this.#request.write(data, start, end);
  }

  get bodySocket(): Socket | null {
    return this.deaf ? null : this.#request.bodySocket;
  }

  sendEnd(trailers: Buffer | null): void {
    if (!this.deaf) this.#request.end(trailers);
  }

  flush(): boolean {
    return this.deaf || this.#request.flush();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  release(limits: LimitPolicy): void {
    const isClean = this.#isReusable() && (this.#isSent() || this.endpoint.tls !== null);
    if (isClean && !this.#request.isInStep())
      throw new Defect('a request left with another length than was counted');
    this.#user = null;
    const { idle, gone } = this.endpoint;
    const isFull = idle.length >= limits.idleConnectionsPerEndpoint;
    // A slow caller may have made us stop reading: then nobody knows what stands behind the response.
    const isPaused = this.#socket.isPaused;
    if (!isClean || this.#closed || gone || isFull || this.#context.draining || isPaused)
      return this.close();
    this.#rest(limits);
  }

  #rest(limits: LimitPolicy): void {
    const { idle } = this.endpoint;
    const now = this.#context.wheel.nowMs;
    this.#idleSinceMs = now;
    this.#usableFromMs = this.#inDoubt ? now + QUIET_MS : now;
    this.deadlineMs = now + limits.idleConnectionMs;
    this.#context.wheel.arm(this);
    // Below those that may be taken, and above those in doubt that came later: the last one tells for all.
    if (this.#inDoubt) idle.unshift(this);
    else if (this.endpoint.tls === null) idle.push(this);
    else {
      // What came in one read is told record by record: what stands behind the response may be told next.
      this.#usableFromMs = Infinity;
      idle.unshift(this);
      this.#context.sockets.later(this);
    }
  }

  /** The kernel has all of the request. With TLS the runtime may say so a turn late, behind a response that came at once. */
  #isSent(): boolean {
    return this.#socket.writableLength === 0;
  }

  /** All that came together with the response was told. */
  onTurn(): void {
    const { idle } = this.endpoint;
    const index = idle.indexOf(this);
    if (index < 0) return;
    idle.splice(index, 1);
    if (!this.#isSent()) return this.close();
    idle.push(this);
    this.#usableFromMs = this.#idleSinceMs;
  }

  #isReusable(): boolean {
    const { ended, isLast, bodyBytes } = this.#request;
    // Who refuses a long body mostly closes with a part of it unread, whether or not it says so: the reset is on its way.
    const isRefused = this.#isError && bodyBytes > READ_BYTES;
    return this.#reusable && ended && !isLast && !this.deaf && !isRefused;
  }

  #isUsable(repeatable: boolean): boolean {
    const { nowMs } = this.#context.wheel;
    if (nowMs < this.#usableFromMs) return false;
    return repeatable || nowMs - this.#idleSinceMs < FRESH_IDLE_MS_MAX;
  }

  close(): void {
    this.#user = null;
    this.deadlineMs = Infinity;
    this.#stash = null;
    this.#request.drop();
    this.#socket.destroy();
  }

  get tunnelEnd(): TunnelEnd {
    return new SocketEnd(this.#socket, this.#context, this);
  }

  switchTo(tunnel: Tunnel): void {
    this.#user = null;
    this.#tunnel = tunnel;
  }

  /** The tunnel lets go of it; it closes when what was written has left, or is cut when nothing leaves for a while. */
  leaveTunnel(): void {
    this.#socket.destroySoon();
    this.#tunnel = null;
    if (this.#closed) return;
    this.#bytesLeft = this.#socket.unsentBytes();
    this.deadlineMs = this.#context.wheel.nowMs + FINISH_MS;
    this.#context.wheel.arm(this);
  }

  abort(): void {
    this.#tunnel = null;
    this.#socket.reset();
  }

  onConnect(): void {
    this.connected = true;
    this.#ownDial = this.#context.ownDials.add(this.#socket.ends());
    this.#user?.onConnected();
  }

  onData(data: Buffer, length: number): void {
    if (this.#tunnel !== null) return this.#tunnel.onEndpointData(data, 0, length);
    const user = this.#user;
    // An endpoint that speaks while nobody asked is not in step with us: its next response cannot be trusted.
    if (user === null) return this.close();
    this.#answered = true;
    this.#toldTo = user;
    user.onResponseActivity();
    if (this.#stash === null) this.#read(user, data, length);
    else {
      const whole = Buffer.concat([this.#stash, data.subarray(0, length)]);
      this.#stash = null;
      this.#read(user, whole, whole.length);
    }
    this.#toldTo = null;
  }

  #read(user: EndpointUser, data: Buffer, length: number): void {
    let pos = 0;
    while (!this.#inBody) {
      if (pos === length) return;
      const next = this.#readHead(user, data, pos, length);
      if (next < 0 || this.#user !== user) return;
      pos = next;
    }
    if (!this.#body.read(data, pos, length, this)) return user.onBadBody(this.#body.rule);
    if (this.#user !== user) return;
    if (!this.#body.done) {
      user.onResponseRead();
      if (this.#body.plainBytes >= this.#context.spliceBytes) this.#offerSplice(user);
      return;
    }
    // Bytes behind the response mean that the endpoint is out of step: its connection is not used again. After a read that
    // filled the buffer nobody knows yet whether there are any. To close then would cost long bodies a third more: the
    // window of a new connection is small.
    if (this.#body.pos < length) this.#reusable = false;
    else if (length >= READ_BYTES) this.#inDoubt = true;
    user.onResponseEnd(this.#body.trailers);
  }

  /** The rest of a long body that nobody must see goes to the caller by itself. */
  #offerSplice(user: EndpointUser): void {
    if (this.#user !== user) return;
    const sink = user.responseSocket;
    if (sink !== null) this.#socket.spliceTo(sink, this.#body.plainBytes);
  }

  onSpliced(bytes: number): void {
    if (this.#tunnel !== null) return this.#tunnel.onEndpointData(null, 0, bytes);
    const user = this.#user;
    if (user === null) throw new Defect('a body came that nobody asked for');
    this.#toldTo = user;
    user.onResponseActivity();
    this.#body.skip(bytes);
    user.onResponseBody(null, 0, bytes);
    if (!this.#body.done) user.onResponseRead();
    else {
      if (this.#socket.mayHaveMore()) this.#inDoubt = true;
      user.onResponseEnd(null);
    }
    this.#toldTo = null;
  }

  /** Reads one head, interim or final, at `pos`: the offset behind it, or -1 when there is nothing more to read. */
  #readHead(user: EndpointUser, data: Buffer, pos: number, length: number): number {
    const { settings, responseHead: head } = this.#context;
    const next = parseResponseHead(data, pos, length, head, settings, this.#method);
    if (next === INCOMPLETE) {
      this.#stash = Buffer.from(data.subarray(pos, length));
      return -1;
    }
    if (next === BAD) {
      const isTooLarge = head.failure === 'response_head_too_large';
      user.onBadHead(isTooLarge ? 'response_head_too_large' : 'bad_response', head.rule);
      return -1;
    }
    if (this.#webSocketKey !== '' && !this.#mayAnswer(user, data, head)) return -1;
    if (head.status === 101) {
      user.onSwitch(data, head, next, length);
      return -1;
    }
    if (head.status < 200) user.onInterim(data, head);
    else this.#beginBody(user, data, head);
    return next;
  }

  /** To who said Extended CONNECT, a success is a tunnel: it may not get one for anything else. */
  #mayAnswer(user: EndpointUser, data: Buffer, head: Head): boolean {
    const { status } = head;
    if (status === 101 && !provesKey(data, head, this.#webSocketKey))
      user.onBadHead('bad_response', 'upgrade_unproved');
    else if (status >= 200 && status < 300) user.onBadHead('upgrade_not_offered', '');
    else return true;
    return false;
  }

  #beginBody(user: EndpointUser, data: Buffer, head: Head): void {
    this.#inBody = true;
    this.#reusable = head.keepAlive;
    this.#inDoubt = head.framing === FRAMING_NONE && mayHaveContent(head);
    this.#isError = head.status >= 400;
    this.#body.begin(head.framing, head.contentLength, namedByConnection(data, head));
    user.onResponseHead(data, head);
  }

  onBody(data: Buffer, start: number, end: number): boolean {
    if (this.#user === null) return false;
    this.#user.onResponseBody(data, start, end);
    return true;
  }

  /** A FIN may be the end of a body; any other close is a cut, whatever was read before. */
  onEnd(): void {
    if (this.#tunnel !== null) return this.#tunnel.onEndpointEnd();
    const user = this.#user;
    if (user === null) return this.close();
    this.#toldTo = user;
    if (this.#inBody && this.#body.endByClose()) user.onResponseEnd(null);
    else user.onEndpointClosed(null);
    this.#toldTo = null;
  }

  onDrain(): void {
    if (this.#tunnel !== null) this.#tunnel.onEndpointDrain();
    else this.#user?.onEndpointDrain();
  }

  onWriteFailed(): void {
    if (this.#tunnel !== null) return;
    if (this.#user === null) this.close();
    else this.#user.onEndpointDeaf();
  }

  onClose(error: SocketError | null): void {
    this.#closed = true;
    this.#context.room.endpointConnections--;
    if (this.#ownDial !== 0) this.#context.ownDials.remove(this.#ownDial);
    this.#context.wheel.disarm(this);
    this.endpoint.closeConnection();
    if (this.#tunnel !== null) return this.#tunnel.onEndpointClosed(error);
    const user = this.#user;
    this.#user = null;
    this.#toldTo = user;
    if (user !== null) return user.onEndpointClosed(error);
    const index = this.endpoint.idle.indexOf(this);
    if (index >= 0) this.endpoint.idle.splice(index, 1);
  }

  onDeadline(nowMs: number): void {
    if (this.#user !== null) return;
    // An idle one.
    if (this.#socket.writableLength === 0) return this.close();
    const left = this.#socket.unsentBytes();
    if (left === this.#bytesLeft) return this.#socket.reset();
    this.#bytesLeft = left;
    this.deadlineMs = nowMs + FINISH_MS;
    this.#context.wheel.arm(this);
  }

  onDefect(error: unknown): void {
    const tunnel = this.#tunnel;
    const user = tunnel === null ? (this.#user ?? this.#toldTo) : null;
    this.#toldTo = null;
    this.close();
    if (user !== null) return user.onDefect(error);
    this.#context.guard.caught('proxy', error);
    tunnel?.onDefect();
  }
}

/** Of a response that ends with its head: it announces content, or it answers HEAD without a word about a length. */
function mayHaveContent({ status, chunked, contentLength }: Head): boolean {
  return chunked || contentLength > 0 || (contentLength < 0 && status !== 204 && status !== 304);
}

/** Opens streams on HTTP/1.1 connections of a thread. */
export function http1Connector(context: ThreadContext): Connector {
  return {
    acquire: (endpoint, user, repeatable) =>
      EndpointConnection.reuse(endpoint, user, repeatable) ??
      new EndpointConnection(endpoint, context, user),
    dial: (endpoint, user) => new EndpointConnection(endpoint, context, user),
  };
}
