/**
 * The acceptor of a port that speaks TLS: waits for the first message of a caller, lets its handshake begin when it is its turn, and
 * hands the secured connection to the acceptor of what is spoken inside.
 *
 *   hello ──► waiting ──► shaking ──► secured: the acceptor inside
 *     └── answered: no TLS      └── closed
 *
 * While it waits for bytes it is a connection as any other: OpenSSL has nothing of it yet.
 */

import { FAILURES, type FailureReason } from '../../../model/failure.ts';
import { type Guest, LEAVING, PARTIAL_HEAD } from '../caller-room.ts';
import type { NetContext } from '../context.ts';
import { Defect } from '../copy-whole.ts';
import type { Expiring } from '../deadline-wheel.ts';
import { FirstBytes } from '../first-bytes.ts';
import type { Acceptor, Caller, CallerHost } from '../listener.ts';
import { type Said, UNKNOWN } from '../proxy-protocol/header.ts';
import type { Accepted, Socket, SocketError, SocketOwner } from '../socket.ts';
import { CallerSocket, type CallerSocketParts, type SecuredOwner } from './caller-socket.ts';
import type { Shaker } from './handshake-gate.ts';
import { HELLO_OTHER, HELLO_PARTIAL, HelloWatch } from './hello-watch.ts';
import type { ShowingPort } from './server-contexts.ts';
import type { TlsThread } from './tls-thread.ts';

/** The port of a Service, as far as TLS is concerned. */
export interface TlsPort extends ShowingPort {
  /** What its requests are in flight of. */
  readonly crowd: object;
  /** What may be agreed on by ALPN, the preferred one first. */
  readonly protocols: readonly string[];
  /** It closes: who has said nothing yet need not begin. */
  readonly closed: boolean;
  onSecured(socket: CallerSocket, tookMs: number): void;
  onFailed(address: string, reason: FailureReason): void;
}

/** What OpenSSL and the runtime hold of a handshake, rounded up. */
const SHAKING_BYTES = 65_536;
/** After a word to a caller that speaks no TLS, it may take this long to read it. */
const ANSWER_MS = 1_000;
/** Who has said nothing when its port closes has this long. */
const LAST_MS = 2_000;
/** What a caller without TLS is told, if it may be one of HTTP. */
const PLAIN_BODY = `maesh: tls_expected: ${FAILURES.tls_expected.cause}\n`;
const PLAIN_ANSWER = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${PLAIN_BODY.length}\r\nConnection: close\r\n\r\n${PLAIN_BODY}`,
);
const UPPER_A = 65;
const UPPER_Z = 90;

export function tlsAcceptor(
  port: TlsPort,
  context: NetContext,
  thread: TlsThread,
  inside: Acceptor,
): Acceptor {
  const shared = { port, context, thread, inside };
  return (accepted, host) => new Handshake(accepted, shared, host);
}

interface Shared {
  readonly port: TlsPort;
  readonly context: NetContext;
  readonly thread: TlsThread;
  readonly inside: Acceptor;
}

class Handshake implements Caller, SecuredOwner, Shaker, Expiring {
  readonly address: string;
  /** Behind a balancer that is believed, its callers take turns, and not all that it has. */
  readonly source: string;
  /** As the accepted one has it. */
  readonly #origin: Said;
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  asleep = false;
  place: Guest['place'] = null;
  listed: Caller['listed'] = null;
  readonly #shared: Shared;
  readonly #host: CallerHost;
  #socket: Socket;
  /** Null until it begins. */
  #secure: CallerSocket | null = null;
  readonly #watch = new HelloWatch();
  /** Null when it is with OpenSSL. */
  #hello: FirstBytes | null = null;
  #sinceMs = 0;
  #isAnswered = false;
  #isCounted = false;
  #isOver = false;

  constructor(accepted: Accepted, shared: Shared, host: CallerHost) {
    const { wheel } = shared.context;
    this.address = accepted.remoteAddress;
    const { origin = null } = accepted;
    this.#origin = origin;
    this.source = origin === null || origin === UNKNOWN ? this.address : origin.address;
    this.#shared = shared;
    this.#host = host;
    this.#socket = accepted.adopt(this);
    const allowedMs = shared.port.closed ? LAST_MS : shared.thread.timeoutMs;
    this.deadlineMs = wheel.nowMs + allowedMs;
    wheel.arm(this);
  }

  get service(): string {
    return this.#shared.port.service;
  }

  get crowd(): object {
    return this.#shared.port.crowd;
  }

  get standing(): Guest['standing'] {
    return this.#isAnswered ? LEAVING : PARTIAL_HEAD;
  }

  get heldBytes(): number {
    const shaking = this.#secure === null ? 0 : SHAKING_BYTES;
    const { writableLength, unreadBytes } = this.#socket;
    return shaking + (this.#hello?.heldBytes ?? 0) + writableLength + unreadBytes;
  }

  onData(data: Buffer, length: number): void {
    const { context, thread } = this.#shared;
    if (this.asleep) context.room.wake(this);
    if (this.#isAnswered || this.#isOver) return;
    const [first = 0] = this.#hello?.bytes ?? data;
    if (this.#hello === null) this.#sinceMs = context.clock.nowMs();
    const state = this.#watch.feed(data, 0, length);
    if (state === HELLO_OTHER) return this.#answerPlain(first);
    const hello = (this.#hello ??= new FirstBytes());
    hello.push(data, 0, length);
    if (state === HELLO_PARTIAL) return;
    // What comes now is for OpenSSL.
    this.#socket.pause();
    thread.gate.enter(this);
  }

  /** Its turn has come. */
  shake(): void {
    const { port, context, thread } = this.#shared;
    const hello = this.#hello;
    // Who is gone, or will say no more, costs nothing.
    if (hello === null || this.#socket.peerState() !== 'open')
      return this.#fail('caller_tls_failed');
    const shown = thread.contexts.shownBy(port);
    if (shown === null) return this.#fail('tls_no_certificate');
    const handle = this.#socket.release();
    if (handle === null) return this.#fail('caller_tls_failed');
    const { sockets } = context;
    const parts: CallerSocketParts = {
      handle,
      probe: thread.probe,
      readBuffer: thread.readBuffer,
      later: (task) => sockets.later(task),
    };
    const handshake = { ...shown, protocols: port.protocols };
    let secure: CallerSocket;
    try {
      secure = CallerSocket.begin(parts, handshake, hello.bytes, this);
    } catch (error) {
      // Nobody else has it any more, and nothing would tell of its end.
      this.#count('internal');
      handle.close(() => undefined);
      this.onClose(null);
      throw error;
    }
    this.#hello = null;
    this.#secure = secure;
    this.#socket = secure;
  }

  onSecured(): void {
    const { port, context, thread, inside } = this.#shared;
    const secure = this.#secure;
    if (secure === null || this.#isOver) return;
    thread.gate.leave(this);
    context.wheel.disarm(this);
    this.#isCounted = true;
    port.onSecured(secure, context.clock.nowMs() - this.#sinceMs);
    const caller = this.#handOn(secure, inside);
    this.#isOver = true;
    this.#host.replaced(this, caller);
    caller.begin?.();
  }

  #handOn(secure: CallerSocket, inside: Acceptor): Caller {
    try {
      return inside(new SecuredCaller(this.address, this.#origin, secure), this.#host);
    } catch (error) {
      // Who has it half taken does not end it.
      secure.handOver(this);
      throw error;
    }
  }

  /** It says it in plain text to one that may read it. */
  #answerPlain(first: number): void {
    this.#isAnswered = true;
    this.#count('tls_expected');
    const isHttp = first >= UPPER_A && first <= UPPER_Z;
    if (!isHttp) return this.#socket.reset();
    this.#socket.write(PLAIN_ANSWER, 0, PLAIN_ANSWER.length);
    this.#socket.end();
    const { wheel } = this.#shared.context;
    this.deadlineMs = wheel.nowMs + ANSWER_MS;
    wheel.arm(this);
  }

  #fail(reason: FailureReason): void {
    this.#count(reason);
    this.#socket.reset();
  }

  /** Once, and not one that has said nothing: others look at ports in this way, too. */
  #count(reason: FailureReason): void {
    if (this.#isCounted || (this.#hello === null && this.#secure === null && !this.#isAnswered))
      return;
    this.#isCounted = true;
    this.#shared.port.onFailed(this.address, reason);
  }

  onDeadline(): void {
    if (this.#isAnswered || this.#isSilent) this.#socket.destroy();
    else this.#fail('caller_tls_timeout');
  }

  get #isSilent(): boolean {
    return this.#hello === null && this.#secure === null;
  }

  /** Others need the room. */
  shed(): void {
    this.#fail('caller_shed');
  }

  giveWay(): void {
    // Who is done, and about to be told so, has only kept its place.
    if (this.#secure?.isSecured !== true) this.#fail('caller_shed');
    // Its place is free at once, though its socket closes a little later.
    this.#shared.thread.gate.leave(this);
  }

  /** The port closes: what has begun goes on. */
  drain(): void {
    if (!this.#isSilent) return;
    const { wheel } = this.#shared.context;
    this.deadlineMs = Math.min(this.deadlineMs, wheel.nowMs + LAST_MS);
    wheel.arm(this);
  }

  cut(): void {
    this.#fail('draining');
  }

  onSpliced(): void {
    throw new Defect('bytes went by during a handshake');
  }

  onDrain(): void {
    // Nothing waits for it.
  }

  onEnd(): void {
    // Whatever it has said, it cannot finish.
    if (this.#isAnswered) this.#socket.destroySoon();
    else this.#socket.destroy();
  }

  onClose(_error: SocketError | null): void {
    const { context, thread } = this.#shared;
    thread.gate.leave(this);
    context.wheel.disarm(this);
    this.#count('caller_tls_failed');
    if (this.#isOver) return;
    this.#isOver = true;
    this.#host.closed(this);
  }

  onDefect(error: unknown): void {
    const { guard } = this.#shared.context;
    guard.caught('proxy', error, { service: this.service, caller: this.address });
    this.#socket.reset();
  }
}

/** What the acceptor inside takes in. */
class SecuredCaller implements Accepted {
  readonly remoteAddress: string;
  readonly origin: Said;
  readonly descriptor = 0;
  readonly alpn: string;
  readonly #socket: CallerSocket;

  constructor(address: string, origin: Said, socket: CallerSocket) {
    this.remoteAddress = address;
    this.origin = origin;
    this.alpn = socket.alpn;
    this.#socket = socket;
  }

  adopt(owner: SocketOwner): Socket {
    this.#socket.handOver(owner);
    this.#socket.resume();
    return this.#socket;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.reset();
  }
}
