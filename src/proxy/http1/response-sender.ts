/** The response as HTTP/1.1 on its way to a caller: head and framed body, gathered in the write buffer of the thread. */

import type { FailureReason } from '../../model/failure.ts';
import type { ThreadContext } from '../http/context.ts';
import { nobodys } from '../http/nobodys.ts';
import type { ByteRoom } from '../head/byte-room.ts';
import type { ExtraFields } from '../head/field-changes.ts';
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from '../head/head.ts';
import type { Gatherer } from '../net/context.ts';
import { copyWhole, Defect } from '../net/copy-whole.ts';
import type { Socket } from '../net/socket.ts';
import { BODY_OVERHEAD_BYTES, BodyWriter } from './codec/body-writer.ts';
import {
  RESPONSE_AS_IS,
  RESPONSE_CHUNKED,
  RESPONSE_UNTIL_CLOSE,
  type ResponseFraming,
  writeResponseHead,
} from './codec/head-writer.ts';
import {
  type Answered,
  writeBareAnswer,
  writeLocalReply,
  writeRedirect,
} from './codec/local-reply.ts';
import { SentCount } from './sent-count.ts';

const NOBODY = nobodys<Socket>('a response without a connection');

export class ResponseSender implements Gatherer {
  readonly #context: ThreadContext;
  #socket: Socket;
  readonly #body = new BodyWriter();
  /** Heads written so far, interim ones too. */
  #headBytes = 0;
  readonly #sent: SentCount;
  /** What stands in the write buffer and is not sent. */
  #at = 0;
  /** One object, filled anew per response. */
  readonly #how: Writable<ResponseFraming> = {
    framing: RESPONSE_AS_IS,
    close: false,
    http10: false,
    upgrade: false,
    cookie: null,
    extra: null,
    date: null,
  };

  constructor(context: ThreadContext, socket: Socket) {
    this.#context = context;
    this.#socket = socket;
    this.#sent = new SentCount(socket);
  }

  /** From now on responses go to another connection. */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.#sent.attach(socket);
  }

  /** Until the next one takes it, no response can be sent. */
  detach(): void {
    this.#socket = NOBODY;
    this.#at = 0;
    this.#sent.detach(NOBODY);
  }

  /** A request begins. */
  reset(): void {
    this.#headBytes = 0;
    this.#at = 0;
    this.#body.begin(false);
  }

  /** Whether the end of this response must be the end of the connection, because of its framing alone. */
  static endsByClose(head: Head, http10: boolean): boolean {
    return http10 && !isAsIs(head);
  }

  /** Takes a final head, with what is added to it as in `CallerStream`. */
  begin(
    data: Buffer,
    head: Head,
    close: boolean,
    http10: boolean,
    cookie: Buffer | null,
    extra: ExtraFields | null,
  ): void {
    const asIs = isAsIs(head);
    this.#body.begin(!asIs && !http10);
    const how = this.#how;
    how.framing = asIs ? RESPONSE_AS_IS : http10 ? RESPONSE_UNTIL_CLOSE : RESPONSE_CHUNKED;
    how.close = close;
    how.http10 = http10;
    // RFC 9110 §15.5.22: a 426 must say to what; there Upgrade is not about this connection alone.
    how.upgrade = head.status === 426 && head.upgrades > 0;
    how.cookie = cookie;
    how.extra = extra === null ? null : extra.lines;
    how.date = head.dated ? null : this.#context.date.now();
    this.#at = writeResponseHead(this.#context.claimOut(this), 0, data, head, how);
    this.#headBytes += this.#at;
  }

  /**
   * Sends a 1xx head, or a 101 with the bytes behind it, `data[from, end)`; `lines` are those by which an answer of another version
   * becomes one, else null. False when the caller has enough.
   */
  // oxlint-disable-next-line max-params -- an options object would be an allocation
  interim(data: Buffer, head: Head, from: number, end: number, lines: Buffer | null): boolean {
    const how = this.#how;
    how.framing = RESPONSE_AS_IS;
    how.close = false;
    how.http10 = false;
    how.upgrade = head.status === 101 && lines === null;
    how.cookie = null;
    how.extra = lines;
    how.date = null;
    const out = this.#context.claimOut(this);
    const at = writeResponseHead(out, 0, data, head, how);
    this.#headBytes += at;
    return this.#context.writeOut(this.#socket, copyWhole(data, from, end, out, at));
  }

  /** Without `data`: so much went to `bodySocket` by itself. */
  write(data: Buffer | null, start: number, end: number): void {
    if (data === null) return this.#body.skip(end - start);
    const { length } = this.#context.claimOut(this);
    if (this.#at + end - start + BODY_OVERHEAD_BYTES > length) this.flush();
    this.#at = this.#body.write(data, start, end, this.#context.claimOut(this), this.#at);
  }

  /** Where content may go without being seen here; null when it is changed, or some of it was not sent yet. */
  get bodySocket(): Socket | null {
    return this.#body.isPlain && this.#at === 0 ? this.#socket : null;
  }

  /** False when the caller has enough. */
  flush(): boolean {
    if (this.#at === 0) return !this.#socket.writableNeedDrain;
    const length = this.#body.closeChunk(this.#context.claimOut(this), this.#at);
    this.#at = 0;
    return this.#context.writeOut(this.#socket, length);
  }

  yieldOut(): void {
    if (this.#at > 0 && !this.#socket.destroyed) this.flush();
    this.#at = 0;
  }

  /** The response is whole. @throws Defect when another number of bytes left than was counted */
  end(trailers: Buffer | null): void {
    const out = this.#context.claimOut(this);
    this.#at = this.#body.end(trailers, out, this.#at);
    this.flush();
    if (!this.#sent.isExactly(this.#headBytes + this.#body.wireBytes))
      throw new Defect('a response left with another length than was counted');
  }

  /** An answer of the proxy itself, instead of a response. @throws Defect as `end` */
  reply(
    request: Answered,
    reply: { reason: FailureReason; retryAfterMs: number; close: boolean },
  ): void {
    const { date } = this.#context;
    const out = this.#context.claimOut(this);
    this.#answer(writeLocalReply(out, request, reply, date));
  }

  /** As above. */
  redirect(
    request: Answered,
    redirect: { status: number; location: ByteRoom; extra: ExtraFields; close: boolean },
  ): void {
    const { date } = this.#context;
    const out = this.#context.claimOut(this);
    this.#answer(writeRedirect(out, request, redirect, date));
  }

  /** As above; `lines` are all fields but Date. */
  answer(request: Answered, answer: { status: number; lines: Buffer; close: boolean }): void {
    const out = this.#context.claimOut(this);
    this.#answer(writeBareAnswer(out, request, answer, this.#context.date));
  }

  /** Sends what stands in the write buffer as the whole answer. */
  #answer(length: number): void {
    this.#at = 0;
    this.#context.writeOut(this.#socket, length);
    if (!this.#sent.isExactly(this.#headBytes + length))
      throw new Defect('an answer left with another length than was counted');
  }
}

function isAsIs({ framing }: Head): boolean {
  return framing === FRAMING_NONE || framing === FRAMING_LENGTH;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
