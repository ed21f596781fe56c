/** The request as HTTP/1.1 on its way to an endpoint: head and framed body, gathered in the write buffer of the thread. */

import type { HeadEdit } from '../head/filter.ts';
import type { Head } from '../head/head.ts';
import type { RequestOrigin } from '../http/stream.ts';
import type { Gatherer, NetContext } from '../net/context.ts';
import { READ_BYTES, type Socket } from '../net/socket.ts';
import { BODY_OVERHEAD_BYTES, BodyWriter } from './codec/body-writer.ts';
import { writeRequestHead } from './codec/head-writer.ts';
import { SentCount } from './sent-count.ts';

export class RequestSender implements Gatherer {
  /** The endpoint was told that no other request follows. */
  isLast = false;
  /** All of it was handed over. */
  ended = true;
  /** Content bytes. */
  bodyBytes = 0;
  readonly #context: NetContext;
  readonly #socket: Socket;
  readonly #sent: SentCount;
  readonly #body = new BodyWriter();
  #headBytes = 0;
  /** What stands in the write buffer and is not sent. */
  #at = 0;

  constructor(context: NetContext, socket: Socket) {
    this.#context = context;
    this.#socket = socket;
    this.#sent = new SentCount(socket);
  }

  /** Whether exactly the request left, once the whole was sent; asked once per request. */
  isInStep(): boolean {
    return this.#sent.isExactly(this.#headBytes + this.#body.wireBytes);
  }

  begin(data: Buffer, head: Head, origin: RequestOrigin, edit: HeadEdit | null): void {
    this.ended = false;
    this.bodyBytes = 0;
    this.isLast = head.minor === 0 && !head.keepAlive;
    this.#body.begin(head.chunked);
    this.#headBytes = writeRequestHead(
      this.#context.claimOut(this),
      data,
      head,
      origin.source.forwarding,
      origin.port.host,
      edit,
    );
    this.#at = this.#headBytes;
  }

  /** Without `data`: so much went to `bodySocket` by itself. */
  write(data: Buffer | null, start: number, end: number): void {
    if (data === null) {
      this.bodyBytes += end - start;
      return this.#body.skip(end - start);
    }
    // What is kept of a request may be longer than the write buffer.
    for (let from = start; from < end; from += READ_BYTES)
      this.#write(data, from, Math.min(end, from + READ_BYTES));
  }

  #write(data: Buffer, start: number, end: number): void {
    const { length } = this.#context.claimOut(this);
    if (this.#at + end - start + BODY_OVERHEAD_BYTES > length) this.flush();
    this.bodyBytes += end - start;
    this.#at = this.#body.write(data, start, end, this.#context.claimOut(this), this.#at);
  }

  end(trailers: Buffer | null): void {
    if (this.ended) return;
    this.ended = true;
    const { length } = this.#context.claimOut(this);
    if (trailers !== null && this.#at + trailers.length + BODY_OVERHEAD_BYTES > length)
      this.flush();
    this.#at = this.#body.end(trailers, this.#context.claimOut(this), this.#at);
  }

  /** As that of `ResponseSender`. */
  get bodySocket(): Socket | null {
    return this.#body.isPlain && this.#at === 0 && !this.ended ? this.#socket : null;
  }

  /** False when the socket has enough. */
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

  /** Forgets what was not sent. */
  drop(): void {
    this.#at = 0;
    this.ended = true;
  }
}
