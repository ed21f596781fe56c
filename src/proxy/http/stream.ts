/**
 * The two sides of a request, whatever codec they speak. The exchange stands between them: it sees heads as fields over bytes and
 * bodies without their framing. `data` and `head` are valid only during a call.
 */

import type { FailureReason } from '../../model/failure.ts';
import type { LimitPolicy } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { Socket, SocketError } from '../net/socket.ts';
import type { PortState } from '../table/table.ts';
import type { ByteRoom } from '../head/byte-room.ts';
import type { ExtraFields } from '../head/field-changes.ts';
import type { HeadEdit } from '../head/filter.ts';
import type { Head } from '../head/head.ts';
import type { Rule } from '../head/rule.ts';
import type { Forwarding, Source } from './source.ts';
import type { Tunnel, TunnelEnd } from '../net/tunnel.ts';

/** What is said to the endpoint of where a request comes from. */
export interface RequestOrigin {
  readonly source: { readonly forwarding: Forwarding };
  /** Host of a request that names none. */
  readonly port: { readonly host: Buffer };
}

/** Where a request comes from and its response goes to. */
export interface CallerStream {
  readonly port: PortState;
  readonly source: Source;
  /** The caller is a proxy of the mesh. */
  readonly isLoop: boolean;
  /** As the access log says it. */
  readonly protocol: string;

  /** The head of the present request once more, from the copy of its bytes: other heads were read meanwhile. */
  headAgain(kept: Buffer, headBytes: number): Head;
  /** The target of that head as it is sent on. */
  targetSent(kept: Buffer, headBytes: number): Buffer;
  /** Nothing of the body is read until `resume`. */
  pause(): void;
  resume(): void;
  readonly paused: boolean;
  /** Whether a caller that is paused has given up meanwhile. */
  hasLeft(): boolean;

  /** A 1xx head, at once. False when the caller has enough. */
  sendInterim(data: Buffer, head: Head): boolean;
  /** The 101 with the first bytes behind it, `data[from, end)`; then the bytes of the caller go to the tunnel. */
  sendSwitch(data: Buffer, head: Head, from: number, end: number): void;
  /**
   * Takes the final head, with what it gets beside its fields: a whole `Set-Cookie` line, or null, and what filters add. Leaves with
   * `flush` or `sendEnd`.
   */
  sendHead(data: Buffer, head: Head, cookie: Buffer | null, extra: ExtraFields | null): void;
  /** Without `data`: so much went to `bodySocket` by itself. */
  sendBody(data: Buffer | null, start: number, end: number): void;
  /** Where content of the response may go without being seen; null when somebody must see it, now or at all. */
  readonly bodySocket: Socket | null;
  /** False when the caller has enough: `onCallerDrain` follows. */
  flush(): boolean;
  /** The response is whole: sends the rest. @throws Defect when another number of bytes left than was counted */
  sendEnd(trailers: Buffer | null): void;
  /** The exchange is over and the proxy answers itself. @throws Defect as `sendEnd` */
  reply(reason: FailureReason, retryAfterMs: number): void;
  /** The same, with a redirect to `location`. @throws Defect as `sendEnd` */
  redirect(status: number, location: ByteRoom, extra: ExtraFields): void;
  /**
   * The same, with an answer of the proxy that has no content: `lines` are all of its fields but Date. `isKept` as a failure says it
   * of its connection. @throws Defect as `sendEnd`
   */
  answer(status: number, lines: Buffer, isKept: boolean): void;
  /** The exchange is over, and its response whole. */
  onExchangeDone(): void;
  /** Cuts the response: the caller must not take what it has for a whole one. */
  abort(reason: FailureReason): void;

  /** Bytes that the connection has not taken. */
  readonly waitingBytes: number;
  /** These and what the peer has not acknowledged. */
  bytesOnTheirWay(): number;
  /** The end of a tunnel on this side. */
  readonly tunnelEnd: TunnelEnd;
  switchTo(tunnel: Tunnel): void;
  /** Something threw that belongs to this request. */
  onDefect(error: unknown): void;
}

/** Where a request goes to and its response comes from: one try. */
export interface EndpointStream {
  readonly endpoint: EndpointState;
  readonly connected: boolean;
  /** An earlier request used the connection, and not a byte came since: it may have gone stale. */
  readonly mayBeStale: boolean;
  /** It was asked whether it is there, and has not answered. */
  readonly isDoubtful: boolean;
  /** The endpoint has said that it did nothing with the request: it may be sent again, whatever it is. */
  readonly unseen: boolean;
  /** Takes no more bytes; the response may still come. */
  readonly deaf: boolean;
  /** Leaves with `flush`, or is wanted later: then `onHeadWanted` follows. `edit` says what leaves otherwise than it stands in the head, null for nothing. */
  sendHead(data: Buffer, head: Head, origin: RequestOrigin, edit: HeadEdit | null): void;
  /** Without `data`: so much went to `bodySocket` by itself. */
  sendBody(data: Buffer | null, start: number, end: number): void;
  /** As that of the caller, for content of the request. */
  readonly bodySocket: Socket | null;
  /** The request is whole; the second call does nothing. */
  sendEnd(trailers: Buffer | null): void;
  /** False when the endpoint has enough: `onEndpointDrain` follows. */
  flush(): boolean;
  pause(): void;
  resume(): void;
  /** The response is whole: keeps the connection if it can be used again. @throws Defect as `sendEnd` of the caller */
  release(limits: LimitPolicy): void;
  /** Gives up the request, wherever it is. */
  close(): void;
  readonly waitingBytes: number;
  bytesOnTheirWay(): number;
  readonly tunnelEnd: TunnelEnd;
  switchTo(tunnel: Tunnel): void;
}

/** Who an endpoint stream works for. */
export interface EndpointUser {
  onConnected(): void;
  /** The head that `sendHead` did not take yet is wanted now, once more; it leaves by itself. */
  onHeadWanted(): void;
  /** Bytes came, whatever they are. */
  onResponseActivity(): void;
  onInterim(data: Buffer, head: Head): void;
  /** 101, or what says the same in another version, as a 101; `data[from, end)` is the first of the new protocol. */
  onSwitch(data: Buffer, head: Head, from: number, end: number): void;
  /** After it and each of the following the stream asks whether it still has this user. */
  onResponseHead(data: Buffer, head: Head): void;
  /** Without `data`: so much went to `responseSocket` by itself. */
  onResponseBody(data: Buffer | null, start: number, end: number): void;
  /** Where content may go without being seen; null when there is no such place, or not now. */
  readonly responseSocket: Socket | null;
  /** The end of one read inside the body. */
  onResponseRead(): void;
  onResponseEnd(trailers: Buffer | null): void;
  /** What came is no response. */
  onBadHead(reason: FailureReason, rule: Rule | ''): void;
  onBadBody(rule: Rule | ''): void;
  onEndpointDrain(): void;
  /** It takes no more bytes; those of a response that came before still arrive, then `onEndpointClosed`. */
  onEndpointDeaf(): void;
  /** The connection is gone, for whatever reason, before the end of the response. */
  onEndpointClosed(error: SocketError | null): void;
  onDefect(error: unknown): void;
}

/** Opens streams to endpoints. */
export interface Connector {
  /** On a connection that is open already, if one can be used. `repeatable` is false for a request that must not run twice. */
  acquire(endpoint: EndpointState, user: EndpointUser, repeatable: boolean): EndpointStream;
  /** On a new connection. */
  dial(endpoint: EndpointState, user: EndpointUser): EndpointStream;
}
