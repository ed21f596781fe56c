/**
 * A request on its way to an endpoint, and what is kept of it for another try: the bytes of its head as they came and the content of
 * its body, in one buffer. What is longer streams through and makes the request final.
 */

import { pinnedBytes } from '../net/caller-room.ts';
import type { NetContext } from '../net/context.ts';
import { copyWhole, Defect } from '../net/copy-whole.ts';
import { SLAB_BYTES } from '../net/socket.ts';
import type { KeptHead } from '../call/access.ts';
import type { Head } from '../head/head.ts';
import type { WebCall } from './web-call.ts';
import type { EndpointStream } from './stream.ts';

/** Who gets copies of a request that is kept whole. */
export interface CopyTaker {
  /** Once per request: it came whole, or is not kept. The request itself is out by then, or on its way. */
  take(replay: Replay): void;
}

export class Replay implements KeptHead {
  /** The head, then the body. Empty between requests. */
  buffer: Buffer = NOTHING;
  headBytes = 0;
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** The target is sent on with other bytes than it came. */
  targetChanges = false;
  /** Of the buffer. */
  end = 0;
  /** Content that came, kept or not. */
  bodyBytes = 0;
  /** The whole request came. */
  done = true;
  /** Something came since the last `send`. */
  fed = false;
  /** All of the request that came so far is kept. */
  isWhole = false;
  /** Body bytes that may be kept beyond what fits beside the head. */
  bodyMax = 0;
  /** Null for most. */
  copies: CopyTaker | null = null;
  /** It came as gRPC-Web: what is kept and sent on is gRPC. Null for most. */
  web: WebCall | null = null;
  /** How far of the buffer was sent in the present try. */
  #sent = 0;
  #trailers: Buffer | null = null;
  readonly #context: NetContext;

  constructor(context: NetContext) {
    this.#context = context;
  }

  /** Copies the head that stands in `data[start, end)`. Set `done` when no body follows. */
  begin(data: Buffer, head: Head, start: number, end: number): void {
    this.bodyBytes = 0;
    this.fed = false;
    this.headBytes = end - start;
    this.methodStart = head.methodStart - start;
    this.methodEnd = head.methodEnd - start;
    this.targetStart = head.targetStart - start;
    this.targetEnd = head.targetEnd - start;
    this.targetChanges = head.targetSlash || head.targetRaw > 0;
    const slab = this.#context.takeSlab();
    if (this.headBytes <= slab.length) this.buffer = slab;
    else {
      this.#context.giveSlab(slab);
      this.buffer = Buffer.allocUnsafeSlow(this.headBytes);
    }
    this.end = copyWhole(data, start, end, this.buffer, 0);
    this.isWhole = true;
    this.bodyMax = 0;
    this.web = null;
    this.#trailers = null;
    this.rewind();
  }

  /** Memory that it takes. */
  get pinnedBytes(): number {
    return pinnedBytes(this.buffer);
  }

  /** The head once more: what it asks of the mesh does not stand in its bytes alone. */
  mark(head: Head): Head {
    if (this.web !== null) this.web.mark(head);
    return head;
  }

  /** Somebody must see its content. */
  get isSeen(): boolean {
    return this.isWhole || (this.web !== null && this.web.decoder !== null);
  }

  /** Takes content as it came; the same as `feed`. False where it cannot be read. */
  take(data: Buffer | null, start: number, end: number, stream: EndpointStream | null): boolean {
    const decoder = this.web === null ? null : this.web.decoder;
    if (decoder === null || data === null) {
      this.feed(data, start, end, stream);
      return true;
    }
    let at = start;
    while (at >= 0 && at < end) {
      at = decoder.read(data, at, end, decoded);
      if (decoder.written > 0) this.feed(decoded, 0, decoder.written, stream);
    }
    return at >= 0;
  }

  /**
   * Takes content: for the next `send`, or at once to `stream` when it is too much to be kept, from when on nothing is kept.
   * Without `data`, it went there by itself.
   * @throws Defect when there is no stream then, or what went by itself was to be kept
   */
  feed(data: Buffer | null, start: number, end: number, stream: EndpointStream | null): void {
    this.bodyBytes += end - start;
    this.fed = true;
    if (data === null && this.isWhole) throw new Defect('content went by that is to be kept');
    if (data !== null && this.isWhole && this.#makeRoom(end - start)) {
      this.end = copyWhole(data, start, end, this.buffer, this.end);
      return;
    }
    this.isWhole = false;
    if (stream === null) throw new Defect('content came that has no place to go');
    this.#sendKept(stream);
    stream.sendBody(data, start, end);
  }

  /** Its content may end here. */
  get mayEnd(): boolean {
    return this.web === null || this.web.decoder === null || this.web.decoder.isWhole;
  }

  /** `trailers` may be a view of what is read into again: they are sent later, and again with every other try. */
  finish(trailers: Buffer | null): void {
    this.done = true;
    this.fed = true;
    this.#trailers = trailers === null ? null : Buffer.from(trailers);
  }

  /** Sends what came. False when the endpoint has enough. */
  send(stream: EndpointStream): boolean {
    this.#sendKept(stream);
    if (this.done) stream.sendEnd(this.#trailers);
    const more = stream.flush();
    if (this.copies !== null) this.#giveCopies();
    return more;
  }

  /** Sends all of it in one go. */
  copyTo(stream: EndpointStream): void {
    if (this.end > this.headBytes) stream.sendBody(this.buffer, this.headBytes, this.end);
    stream.sendEnd(this.#trailers);
    stream.flush();
  }

  /** No other try follows: what is kept on is the head alone, in a buffer of its size. */
  keepHead(): void {
    const { buffer, headBytes } = this;
    this.buffer = Buffer.allocUnsafeSlow(headBytes);
    this.end = copyWhole(buffer, 0, headBytes, this.buffer, 0);
    this.isWhole = false;
    this.#sent = this.end;
    this.#context.giveSlab(buffer);
  }

  /** The next try sends everything again. */
  rewind(): void {
    this.#sent = this.headBytes;
  }

  release(): void {
    this.#context.giveSlab(this.buffer);
    this.buffer = NOTHING;
    this.copies = null;
    this.web = null;
    this.#trailers = null;
  }

  #giveCopies(): void {
    const { copies } = this;
    if (copies === null || !(this.done || !this.isWhole)) return;
    this.copies = null;
    copies.take(this);
  }

  #sendKept(stream: EndpointStream): void {
    if (this.#sent === this.end) return;
    const from = this.#sent;
    this.#sent = this.end;
    stream.sendBody(this.buffer, from, this.end);
  }

  #makeRoom(more: number): boolean {
    const needed = this.end + more;
    if (needed <= this.buffer.length) return true;
    if (needed - this.headBytes > this.bodyMax) return false;
    const most = this.headBytes + this.bodyMax;
    const larger = Buffer.allocUnsafeSlow(Math.min(most, Math.max(needed, this.buffer.length * 2)));
    copyWhole(this.buffer, 0, this.end, larger, 0);
    this.#context.giveSlab(this.buffer);
    this.buffer = larger;
    return true;
  }
}

/** Whether a request with so long a body is kept whole; `bodyMax` as that of `Replay`. */
export function isKept(headBytes: number, bodyBytes: number, bodyMax: number): boolean {
  return headBytes + bodyBytes <= Math.max(SLAB_BYTES, headBytes) || bodyBytes <= bodyMax;
}

const NOTHING = Buffer.alloc(0);
/** Of all requests of a thread: what is in it is kept or sent on before anything else happens. */
const decoded = Buffer.allocUnsafeSlow(SLAB_BYTES);
