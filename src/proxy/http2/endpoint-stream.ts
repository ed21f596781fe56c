/** One try of a request on a stream to its endpoint. */

import type { EndpointState } from '../balance/endpoint-state.ts';
import { BAD, FRAMING_NONE, type Head, METHOD_CONNECT, METHOD_OTHER } from '../head/head.ts';
import type { Rule } from '../head/rule.ts';
import type { HeadEdit } from '../head/filter.ts';
import { nobodys } from '../http/nobodys.ts';
import type { EndpointStream, EndpointUser, RequestOrigin } from '../http/stream.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';
import { asksForWebSocket, dropProof } from '../http/websocket-handshake.ts';
import { Defect } from '../net/copy-whole.ts';
import type { SocketError } from '../net/socket.ts';
import { Spares } from '../net/spares.ts';
import { CANCEL, REFUSED_STREAM } from './codec/error-code.ts';
import type { FieldList } from './codec/field-list.ts';
import {
  editBytes,
  fieldBytes,
  forwardedBytes,
  putForwarded,
  putExtendedConnect,
  putMethod,
  putRequest,
  repeatableSerial,
} from './codec/head-encoder.ts';
import { readResponse } from './codec/response-fields.ts';
import { readTrailers } from './codec/trailer-fields.ts';
import type { ReceiveSide } from './receive-side.ts';
import type { SendHost, SendSide } from './send-side.ts';
import { Stream, type StreamHost } from './stream.ts';
import { StreamEnd } from './stream-end.ts';
import type { Http2Shared } from './shared.ts';
import { writeForwarded } from '../http/passed-on.ts';

/** X-Forwarded-For, -Proto and -Host. */
const FORWARDED_FIELDS = 3;

/** What the exchange is told of a stream that its endpoint reset. */
const RESET: SocketError = { code: 'ECONNRESET' };

/** The connection that tries go on. */
export interface TrySession extends SendHost, StreamHost {
  readonly endpoint: EndpointState;
  readonly connected: boolean;
  /** It was asked, and has not answered. */
  readonly isDoubtful: boolean;
  /** The endpoint has said what it can. */
  readonly hasSettings: boolean;
  /** Reads that brought something. */
  readonly reads: number;
  readonly in: ReceiveSide;
  readonly out: SendSide;
  /** By which the endpoint has ended the session; '' as long as it has not. */
  readonly brokenRule: Rule | '';
  cancel(stream: Stream, code: number): void;
  /** Gives up a stream whose head was not sent. */
  withdraw(stream: Http2EndpointStream): void;
  /** The head of a stream is sent now, maybe behind those of later ones. */
  renumber(stream: Http2EndpointStream): void;
}

const NOBODY = nobodys<TrySession>('a try without a connection');

export class Http2EndpointStream extends Stream implements EndpointStream {
  unseen = false;
  deaf = false;
  readonly #shared: Http2Shared;
  readonly #pool: TryPool;
  #session: TrySession = NOBODY;
  /** Of the session, when this began. */
  #readsBefore = 0;
  #user: EndpointUser | null = null;
  #method = METHOD_OTHER;
  /** Its head was not sent: the endpoint knows nothing of it. */
  #isUnborn = true;
  /** It asks for a WebSocket by Extended CONNECT … */
  #asks = false;
  /** … once the endpoint has said whether it may. */
  #waits = false;
  /** The final head came. */
  #hasHead = false;
  /** Counts its tries: the same user may have it again for another one. */
  #tries = 0;

  constructor(shared: Http2Shared, pool: TryPool) {
    super();
    this.#shared = shared;
    this.#pool = pool;
  }

  attach(session: TrySession, user: EndpointUser): void {
    this.#session = session;
    this.#user = user;
    this.#readsBefore = session.reads;
    this.unseen = false;
    this.deaf = false;
    this.#hasHead = false;
    this.#isUnborn = true;
    this.#asks = false;
    this.#waits = false;
    this.#tries++;
  }

  get endpoint(): EndpointState {
    return this.#session.endpoint;
  }

  protected override get host(): TrySession {
    return this.#session;
  }

  get connected(): boolean {
    return this.#session.connected;
  }

  get mayBeStale(): boolean {
    return this.#readsBefore > 0 && this.#session.reads === this.#readsBefore;
  }

  get isDoubtful(): boolean {
    return this.#session.isDoubtful;
  }

  onConnected(): void {
    this.#user?.onConnected();
  }

  /** The connection takes no more bytes. */
  onDeaf(): void {
    this.deaf = true;
    this.#user?.onEndpointDeaf();
  }

  sendHead(data: Buffer, head: Head, origin: RequestOrigin, edit: HeadEdit | null): void {
    if (!this.#mayBegin(data, head)) return;
    const { out, encoder } = this.#session;
    const { forwarding } = origin.source;
    const serial = edit === null ? repeatableSerial(head) : 0;
    if (out.repeatHead(this, serial, !head.grpc)) return;
    const { lines } = this.#shared;
    const { trusted } = forwarding;
    const said = trusted && forwarding.lines !== null;
    const forwarded = said ? writeForwarded(lines, 0, data, head, forwarding) : 0;
    const more = trusted ? forwarded : forwardedBytes(head, forwarding);
    const bytes = fieldBytes(head) + more + editBytes(edit);
    const fields = head.count + FORWARDED_FIELDS + (edit?.extra?.list.length ?? 0);
    out.beginHead(bytes, fields);
    if (this.#asks) putExtendedConnect(encoder);
    else putMethod(encoder, data, head);
    putRequest(encoder, data, head, forwarding, origin.port.host, edit);
    if (trusted) encoder.lines(lines, 0, forwarded);
    else putForwarded(encoder, data, head, forwarding);
    out.endHead(this, serial, !head.grpc);
  }

  /** Whether the head can be sent now: one for a WebSocket only where the endpoint has offered it. */
  #mayBegin(data: Buffer, head: Head): boolean {
    this.#method = head.method;
    this.#asks = head.upgrade && asksForWebSocket(data, head);
    if (this.#asks) {
      if (!this.#mayAsk()) return false;
      this.#method = METHOD_CONNECT;
      dropProof(data, head);
    }
    this.#isUnborn = false;
    return true;
  }

  /** RFC 8441 §3. */
  #mayAsk(): boolean {
    const { hasSettings, peer } = this.#session;
    this.#waits = !hasSettings;
    if (hasSettings && !peer.extendedConnect) this.#user?.onBadHead('upgrade_not_offered', '');
    return hasSettings && peer.extendedConnect;
  }

  /** The endpoint has said what it can. */
  onSettings(): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#session.renumber(this);
    this.#user?.onHeadWanted();
  }

  sendBody(data: Buffer | null, start: number, end: number): void {
    if (data === null) throw new Defect('a body went by that has no frames');
    if (!this.deaf) this.#session.out.send(this, data, start, end);
  }

  sendEnd(trailers: Buffer | null): void {
    // The other half of a tunnel is closed by its caller.
    if (!this.deaf && !this.#asks) this.#session.out.end(this, trailers);
  }

  flush(): boolean {
    return this.deaf || this.#session.out.isFree(this);
  }

  pause(): void {
    this.hold();
  }

  resume(): void {
    if (this.paused) this.unhold();
  }

  /** Fields of the response, or its trailers. */
  onFields(endStream: boolean, list: FieldList): void {
    // RFC 9113 §8.5
    if (this.tunnel !== null) return this.tunnel.onEndpointClosed(RESET);
    const user = this.#user;
    if (user === null) return;
    user.onResponseActivity();
    if (this.#isUnborn) user.onBadHead('bad_response', 'frame_broken');
    else if (this.#hasHead) this.#onTrailers(user, endStream, list);
    else this.#onHead(user, endStream, list);
  }

  #onHead(user: EndpointUser, endStream: boolean, list: FieldList): void {
    const head = this.#shared.context.responseHead;
    if (readResponse(list, head, this.#method, endStream) === BAD) {
      const isTooLarge = head.failure === 'response_head_too_large';
      return user.onBadHead(isTooLarge ? 'response_head_too_large' : 'bad_response', head.rule);
    }
    if (head.status < 200) return user.onInterim(list.data, head);
    this.#hasHead = true;
    if (this.#asks && head.status < 300) return this.#onTunnel(user, endStream, list, head);
    if (this.#asks) this.#session.out.end(this, null);
    if (!endStream) this.announced = head.framing === FRAMING_NONE ? 0 : head.contentLength;
    const present = this.#tries;
    user.onResponseHead(list.data, head);
    if (this.#user !== user || this.#tries !== present) return;
    if (endStream) this.#session.in.end(this, null);
    else user.onResponseRead();
  }

  /** To the exchange it is what a 101 is. */
  #onTunnel(user: EndpointUser, endStream: boolean, list: FieldList, head: Head): void {
    head.status = 101;
    head.upgrade = true;
    user.onSwitch(list.data, head, 0, 0);
    if (endStream && this.tunnel !== null) this.#session.in.end(this, null);
  }

  #onTrailers(user: EndpointUser, endStream: boolean, list: FieldList): void {
    const end = endStream ? readTrailers(list) : BAD;
    if (end === BAD) return user.onBadBody(list.broken);
    this.#session.in.end(this, end === 0 ? null : list.data.subarray(0, end));
  }

  override onContent(data: Buffer, start: number, end: number): void {
    const tunnel = this.tunnel;
    if (tunnel !== null) return tunnel.closed ? undefined : tunnel.onEndpointData(data, start, end);
    const user = this.#user;
    if (user === null) return;
    if (!this.#hasHead) return user.onBadHead('bad_response', 'pseudo_missing');
    user.onResponseActivity();
    user.onResponseBody(data, start, end);
  }

  override onRead(): void {
    if (this.#hasHead) this.#user?.onResponseRead();
  }

  override onWhole(trailers: Buffer | null): void {
    if (this.tunnel !== null) return this.#onTunnelEnd(this.tunnel);
    const user = this.#user;
    if (user === null) return;
    if (this.#hasHead) user.onResponseEnd(trailers);
    else user.onBadHead('bad_response', 'pseudo_missing');
  }

  #onTunnelEnd(tunnel: Tunnel): void {
    tunnel.onEndpointEnd();
    if (this.endSent) this.onSilenced();
  }

  override onSilenced(): void {
    this.tunnel?.onEndpointClosed(null);
  }

  override onReset(code: number, error: SocketError | null): void {
    if (this.tunnel !== null) return this.tunnel.onEndpointClosed(error ?? RESET);
    if (code === REFUSED_STREAM) this.unseen = true;
    const user = this.#user;
    if (user === null) return;
    const rule = this.#session.brokenRule;
    if (rule !== '' && this.#hasHead) return user.onBadBody(rule);
    if (rule !== '') return user.onBadHead('bad_response', rule);
    this.#user = null;
    user.onEndpointClosed(error ?? RESET);
  }

  override onDrain(): void {
    this.tunnel?.onEndpointDrain();
    this.#user?.onEndpointDrain();
  }

  override onForgotten(): void {
    // It is nobody's but the exchange's.
  }

  /** What is still to come of the request is of no use to anybody. */
  release(): void {
    this.close();
  }

  close(): void {
    this.#user = null;
    if (this.#isUnborn) this.#session.withdraw(this);
    else this.#session.cancel(this, CANCEL);
    this.#detach();
  }

  get tunnelEnd(): TunnelEnd {
    return new StreamEnd(this, this.#session, this.#shared.context);
  }

  switchTo(tunnel: Tunnel): void {
    this.#user = null;
    this.tunnel = tunnel;
  }

  /** The exchange has let go of it, and the session, too. */
  #detach(): void {
    this.#session = NOBODY;
    this.drop();
    this.#pool.give(this);
  }

  get waitingBytes(): number {
    return this.queuedBytes + this.heldBytes;
  }
}

/** Streams of a thread that wait for a try. */
export class TryPool {
  readonly #shared: Http2Shared;
  readonly #spares = new Spares<Http2EndpointStream>();

  constructor(shared: Http2Shared) {
    this.#shared = shared;
  }

  take(session: TrySession, user: EndpointUser): Http2EndpointStream {
    const stream = this.#spares.take() ?? new Http2EndpointStream(this.#shared, this);
    stream.attach(session, user);
    return stream;
  }

  give(stream: Http2EndpointStream): void {
    this.#spares.give(stream);
  }
}
