/** The response on its way to the caller: which framing it leaves in, and whether the two connections outlive it. */

import type { ThreadContext } from '../http/context.ts';
import { READ_BYTES } from '../net/context.ts';
import { copyWhole } from '../net/copy-whole.ts';
import { BodyPass } from './codec/body.ts';
import type { CallerConnection } from './caller.ts';
import { namedByConnection } from './codec/connection-names.ts';
import { FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, type Head } from '../http/head.ts';
import {
  RESPONSE_AS_IS,
  RESPONSE_CHUNKED,
  RESPONSE_UNTIL_CLOSE,
  type ResponseFraming,
  writeResponseHead,
} from './codec/head-writer.ts';

export class IncomingResponse {
  readonly body = new BodyPass(true);
  /** The endpoint keeps its connection open and in step. */
  reusable = false;
  /** It has no content by the method or status alone: a server may send some all the same. */
  inDoubt = false;
  /** Heads written so far, interim ones too. */
  #headBytes = 0;
  readonly #context: ThreadContext;
  readonly #caller: CallerConnection;
  /** One object, filled anew per response. */
  readonly #how: Writable<ResponseFraming> = {
    framing: RESPONSE_AS_IS,
    close: false,
    http10: false,
    upgrade: false,
    extra: null,
    date: null,
  };

  constructor(context: ThreadContext, caller: CallerConnection) {
    this.#context = context;
    this.#caller = caller;
  }

  reset(): void {
    this.body.begin(FRAMING_NONE, 0, false);
    this.reusable = false;
    this.inDoubt = false;
    this.#headBytes = 0;
  }

  /** What the caller's connection must have taken by the end of the response. */
  get wireBytes(): number {
    return this.#headBytes + this.body.wireBytes;
  }

  /** Whether the end of this response must be the end of the caller's connection, because of its framing alone. */
  static endsByClose(head: Head, http10: boolean): boolean {
    return http10 && head.framing !== FRAMING_NONE && head.framing !== FRAMING_LENGTH;
  }

  /** Writes a final head to the write buffer and returns its end; the body follows with `pass`. */
  begin(
    data: Buffer,
    head: Head,
    caller: { close: boolean; http10: boolean },
    extra: Buffer | null,
  ): number {
    const { framing } = head;
    const asIs = framing === FRAMING_NONE || framing === FRAMING_LENGTH;
    this.reusable = head.keepAlive;
    this.inDoubt = framing === FRAMING_NONE && mayHaveContent(head);
    const named = namedByConnection(data, head);
    this.body.begin(framing, head.contentLength, !asIs && !caller.http10, named);
    const how = this.#how;
    how.framing = asIs ? RESPONSE_AS_IS : caller.http10 ? RESPONSE_UNTIL_CLOSE : RESPONSE_CHUNKED;
    how.close = caller.close;
    how.http10 = caller.http10;
    // RFC 9110 §15.5.22: a 426 must say to what; there Upgrade is not about this connection alone.
    how.upgrade = head.status === 426 && head.upgrades > 0;
    how.extra = extra;
    how.date = head.dated ? null : this.#context.date.now();
    const at = writeResponseHead(this.#context.out, 0, data, head, how);
    this.#headBytes += at;
    return at;
  }

  /** Sends a 1xx head, or a 101 with the bytes behind it. False when the caller has enough. */
  sendInterim(data: Buffer, head: Head, from: number, end: number): boolean {
    const how = this.#how;
    how.framing = RESPONSE_AS_IS;
    how.close = false;
    how.http10 = false;
    how.upgrade = head.status === 101;
    how.extra = null;
    how.date = null;
    const { out } = this.#context;
    const at = writeResponseHead(out, 0, data, head, how);
    this.#headBytes += at;
    return this.#context.writeOut(this.#caller.socket, copyWhole(data, from, end, out, at));
  }

  /**
   * Sends body bytes behind the first `from` bytes of the write buffer, in one write. Returns PASS_MORE, PASS_WAIT when
   * the caller has enough, PASS_DONE after the last byte, PASS_BAD when the framing is broken.
   */
  pass(data: Buffer, pos: number, end: number, from: number): number {
    const at = this.body.pass(data, pos, end, this.#context.out, from);
    if (at < 0) return PASS_BAD;
    const more = at === 0 || this.#context.writeOut(this.#caller.socket, at);
    if (!this.body.done) return more ? PASS_MORE : PASS_WAIT;
    // Bytes behind the response mean that the endpoint is out of step: its connection is not used again. After a read that
    // filled the buffer nobody knows whether there are any.
    if (this.body.pos < end || end >= READ_BYTES) this.reusable = false;
    return PASS_DONE;
  }

  /** The endpoint closed: true when that is how this body ends. */
  finish(): boolean {
    if (this.body.framing !== FRAMING_CLOSE) return false;
    const at = this.body.finish(this.#context.out, 0);
    if (at > 0) this.#context.writeOut(this.#caller.socket, at);
    return true;
  }
}

/** Of a response that ends with its head: it announces content, or it answers HEAD without a word about a length. */
function mayHaveContent({ status, chunked, contentLength }: Head): boolean {
  return chunked || contentLength > 0 || (contentLength < 0 && status !== 204 && status !== 304);
}

export const PASS_MORE = 0;
export const PASS_WAIT = 1;
export const PASS_DONE = 2;
export const PASS_BAD = 3;

type Writable<T> = { -readonly [K in keyof T]: T[K] };
