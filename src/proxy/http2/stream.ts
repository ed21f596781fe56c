/** What both sides of HTTP/2 have of a stream: its windows, what waits in either direction, and how far it has ended. RFC 9113 §5. */

import type { Tunnel } from '../net/tunnel.ts';
import type { Socket, SocketError } from '../net/socket.ts';
import { Pieces } from './pieces.ts';
import { STREAM_WINDOW_BYTES } from './windows.ts';

/** Of what was held, told at once: as much as a frame may have. */
const TOLD_BYTES = 16_384;

/** What a stream asks of its session, from within a call of others. */
export interface StreamHost {
  readonly socket: Socket;
  /** Calls `deliver` when what runs now is over. */
  later(stream: Stream): void;
}

export abstract class Stream {
  id = 0;
  /** What the peer lets us send; below 0 after it has made all windows smaller. */
  sendWindow = 0;
  /** What we let the peer send. */
  receiveWindow = STREAM_WINDOW_BYTES;
  /** What that is when all that came was handed on and the peer was told so. */
  windowBytes = STREAM_WINDOW_BYTES;
  /** Content handed on since its receiver wanted to wait last. */
  fluentBytes = 0;
  /** Its receiver has waited since the peer was last allowed more. */
  hasWaited = false;
  /** Nothing more is wanted: the peer is not allowed more than it is. */
  sated = false;
  /** Came, and the peer was not told that it may send as much again. */
  owed = 0;
  /** The peer has ended it. */
  remoteEnded = false;
  /** We have ended it; what waits is still to be sent. */
  localEnded = false;
  /** Its receiver was told of the end of the peer. */
  delivered = false;
  /** The end is with the output. */
  endSent = false;
  /** How many bytes the connection had sent behind the last of this stream. */
  sentUpTo = 0;
  /** Trailers of ours that follow what waits, as lines. */
  trailers: Buffer | null = null;
  /** Content that the windows did not allow. */
  queuedBytes = 0;
  /** Content that came and that nobody wants yet; at most the window. */
  heldBytes = 0;
  /** The content-length of what comes; -1 when it has none. */
  announced = -1;
  /** Content that came. */
  received = 0;
  paused = false;
  /** Its bytes belong to it. */
  tunnel: Tunnel | null = null;
  /** It waits for its turn to deliver. */
  isDue = false;
  #queue: Pieces | null = null;
  #held: Pieces | null = null;
  #heldEnd = false;
  #heldTrailers: Buffer | null = null;

  /** It stands for another stream from now on. */
  begin(id: number, sendWindow: number): void {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = STREAM_WINDOW_BYTES;
    this.windowBytes = STREAM_WINDOW_BYTES;
    this.fluentBytes = 0;
    this.hasWaited = false;
    this.sated = false;
    this.owed = 0;
    this.remoteEnded = false;
    this.delivered = false;
    this.localEnded = false;
    this.endSent = false;
    this.sentUpTo = 0;
    this.trailers = null;
    this.announced = -1;
    this.received = 0;
    this.paused = false;
    this.isDue = false;
    this.drop();
  }

  /** Content came. Not while it is paused, and in order. */
  abstract onContent(data: Buffer, start: number, end: number): void;
  /** All that came in one read was told. */
  abstract onRead(): void;
  /** The peer's message is whole; `trailers` are lines. */
  abstract onWhole(trailers: Buffer | null): void;
  /** It is gone; `code` is that of the peer, or of the error; `error` that of the system, if the connection is gone, too. */
  abstract onReset(code: number, error: SocketError | null): void;
  /** Of a tunnel: the peer has ended it, and takes nothing more. Once all that came was told, both sides are done. */
  abstract onSilenced(): void;
  /** The session has nothing more to do with it. */
  abstract onForgotten(): void;
  /** What was queued has left: more may be sent. */
  abstract onDrain(): void;
  protected abstract readonly host: StreamHost;

  /** Content in frames is seen. */
  get bodySocket(): Socket | null {
    return null;
  }

  abstract pause(): void;
  abstract resume(): void;

  bytesOnTheirWay(): number {
    return this.queuedBytes > 0 ? this.queuedBytes : this.unsentBytes;
  }

  /** Of what went to the socket, what the peer has not acknowledged. What other streams have there says nothing of this one. */
  protected get unsentBytes(): number {
    const { socket } = this.host;
    return Math.max(0, this.sentUpTo - (socket.bytesWritten - socket.unsentBytes()));
  }

  /** Content for `onContent`, now or when it is wanted. */
  receive(data: Buffer, start: number, end: number): void {
    this.received += end - start;
    if (!this.paused && !this.isDue) return this.onContent(data, start, end);
    this.#held ??= new Pieces();
    this.#held.add(data, start, end);
    this.heldBytes += end - start;
  }

  /** The end for `onWhole`, behind all content. */
  receiveEnd(trailers: Buffer | null): void {
    this.remoteEnded = true;
    if (!this.paused && !this.isDue) return this.#tellEnd(trailers);
    this.#heldEnd = true;
    this.#heldTrailers = trailers === null ? null : Buffer.from(trailers);
  }

  #tellEnd(trailers: Buffer | null): void {
    this.delivered = true;
    this.onWhole(trailers);
  }

  /** The peer's message was its head. */
  protected endsAtOnce(): void {
    this.remoteEnded = true;
    this.delivered = true;
  }

  /** No content is wanted until `unhold`. */
  protected hold(): void {
    this.paused = true;
    this.hasWaited = true;
  }

  /** Nothing more is wanted at all: what is held is dropped, and the peer is not allowed more. */
  protected sate(): void {
    this.sated = true;
    this.paused = false;
    this.#dropHeld();
  }

  /** What was held is delivered soon: its receiver is in the middle of something. */
  protected unhold(): void {
    this.paused = false;
    if (this.isDue || (this.#held === null && !this.#heldEnd && this.owed === 0)) return;
    this.isDue = true;
    this.host.later(this);
  }

  /** Its turn. */
  deliver(): void {
    this.isDue = false;
    while (!this.paused && this.heldBytes > 0 && this.#held !== null) {
      const next = this.#held.take(TOLD_BYTES);
      this.heldBytes -= next.length;
      this.onContent(next, 0, next.length);
    }
    if (this.paused) return;
    this.#held = null;
    const ends = this.#heldEnd;
    this.#heldEnd = false;
    if (ends) this.#tellEnd(this.#heldTrailers);
    this.onRead();
  }

  queue(data: Buffer, start: number, end: number): void {
    this.#queue ??= new Pieces();
    this.#queue.add(data, start, end);
    this.queuedBytes += end - start;
  }

  /** The first piece of what is queued, up to `bytesMax` of it. */
  takeQueued(bytesMax: number): Buffer {
    const piece = (this.#queue as Pieces).take(bytesMax);
    this.queuedBytes -= piece.length;
    return piece;
  }

  /** Forgets what was to be sent. */
  dropQueue(): void {
    this.#queue = null;
    this.queuedBytes = 0;
  }

  /** Forgets all that waits. */
  drop(): void {
    this.dropQueue();
    this.#dropHeld();
    this.trailers = null;
  }

  #dropHeld(): void {
    this.#held = null;
    this.#heldEnd = false;
    this.#heldTrailers = null;
    this.heldBytes = 0;
  }
}
