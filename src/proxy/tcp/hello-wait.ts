/**
 * The phase between accept and first dial on a port that routes TLS by what its callers say first: their ClientHello is read, and kept
 * as it came for the endpoint. A client of PostgreSQL is answered here that TLS is spoken; its endpoint is asked the same later.
 *
 *   reading ──► whole: a route is chosen        reading ──► refused
 */

import type { FailureReason } from '../../model/failure.ts';
import type { CallContext } from '../call/context.ts';
import type { ClientHello } from '../hello/client-hello.ts';
import { HelloReader } from '../hello/hello-reader.ts';
import { REQUEST_BYTES, requestIn, UNWILLING, WILLING } from '../hello/postgresql.ts';
import type { Expiring } from '../net/deadline-wheel.ts';
import type { Socket } from '../net/socket.ts';
import type { Tunnel } from '../net/tunnel.ts';

/** The caller; one of the two is told, once. */
export interface HelloUser {
  lead(hello: ClientHello): void;
  refuse(reason: FailureReason): void;
  onDefect(error: unknown): void;
}

export class HelloWait implements Expiring {
  deadlineMs: number;
  wheelTick = 0;
  wheelIndex = 0;
  /** The caller asked for TLS in the way of PostgreSQL. */
  asksForTls = false;
  readonly #socket: Socket;
  readonly #context: CallContext;
  readonly #user: HelloUser;
  readonly #reader = new HelloReader();
  /** What has come of a request of PostgreSQL. */
  #request: Buffer | null = null;
  #mayAskForGss = true;
  #isReading = true;
  #ended = false;

  constructor(socket: Socket, context: CallContext, user: HelloUser) {
    this.#socket = socket;
    this.#context = context;
    this.#user = user;
    this.deadlineMs = context.wheel.nowMs + context.settings.headTimeoutMs;
    context.wheel.arm(this);
    socket.resume();
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  get heldBytes(): number {
    return this.#reader.keptBytes;
  }

  stop(): void {
    this.#isReading = false;
    this.#context.wheel.disarm(this);
  }

  onData(data: Buffer, length: number): void {
    const reader = this.#reader;
    // What comes with the hello, or right behind it, is for the endpoint.
    if (!this.#isReading) return reader.push(data, 0, length);
    const isFirst = reader.keptBytes === 0;
    if (isFirst && !this.asksForTls && (this.#request !== null || data[0] === 0))
      return this.#onRequest(data.subarray(0, length));
    reader.push(data, 0, length);
    if (reader.fault !== null) return this.#refuse('bad_hello');
    const { hello } = reader;
    if (hello === null) return;
    this.stop();
    this.#socket.pause();
    this.#user.lead(hello);
  }

  onEnd(): void {
    this.#ended = true;
    if (!this.#isReading) return;
    const isSilent = this.#reader.keptBytes === 0 && this.#request === null;
    this.#refuse(isSilent ? 'caller_gone' : 'bad_hello');
  }

  /** Its endpoint gets all that came so far. */
  passOn(tunnel: Tunnel): void {
    const { kept } = this.#reader;
    tunnel.onCallerData(kept, 0, kept.length);
    if (this.#ended) tunnel.onCallerEnd();
  }

  onDeadline(): void {
    this.#refuse('hello_timeout');
  }

  onDefect(error: unknown): void {
    this.#user.onDefect(error);
  }

  #refuse(reason: FailureReason): void {
    this.stop();
    this.#user.refuse(reason);
  }

  #onRequest(data: Buffer): void {
    const bytes = this.#request === null ? data : Buffer.concat([this.#request, data]);
    const request = requestIn(bytes);
    // Who says more before the answer does not wait for it; or somebody else has put it there.
    const isWrong = bytes.length > REQUEST_BYTES || (request === 'gss' && !this.#mayAskForGss);
    if (request === 'none' || isWrong) return this.#refuse('bad_hello');
    this.#request = request === 'more' ? Buffer.from(bytes) : null;
    if (request === 'more') return;
    this.asksForTls = request === 'ssl';
    this.#mayAskForGss = false;
    this.#context.claimOut(null)[0] = this.asksForTls ? WILLING : UNWILLING;
    this.#context.writeOut(this.#socket, 1);
  }
}
