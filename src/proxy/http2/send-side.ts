/** What a session sends on its streams: content as far as the windows of the peer allow it, then the end. RFC 9113 §6.9. */

import type { Socket } from '../net/socket.ts';
import { FRAME_HEADER_BYTES, NUMBER_MAX } from './codec/frame.ts';
import type { PeerSettings } from './codec/frame-reader.ts';
import { continuationBytes, writeHeaders } from './codec/frame-writer.ts';
import { blockBound, type HpackEncoder } from './codec/hpack-encoder.ts';
import { RepeatedHead } from './codec/repeated-head.ts';
import type { Output } from './output.ts';
import type { Stream } from './stream.ts';
import { CONNECTION_WINDOW_DEFAULT } from './windows.ts';

/** What a head may become longer by: fields of our own. */
const HEAD_MORE_BYTES = 1_024;
/** A peer that allows so little of what waits makes us send it in crumbs (CVE-2019-9511): such a frame was not worth its while. */
const DRIBBLE_BYTES = 256;
/** `a:b` and a line end. */
const LINE_BYTES_MIN = 5;

/** How many fields stand in lines, at most. */
export function fieldsOf(lines: Buffer): number {
  return Math.ceil(lines.length / LINE_BYTES_MIN);
}

export interface SendHost {
  readonly socket: Socket;
  readonly output: Output;
  readonly encoder: HpackEncoder;
  readonly peer: PeerSettings;
  /** All of the stream is with the output. */
  onEndSent(stream: Stream): void;
}

export class SendSide {
  readonly #host: SendHost;
  /** That of the connection. */
  #window = CONNECTION_WINDOW_DEFAULT;
  /** The head that was sent last and may be sent again. */
  readonly #again = new RepeatedHead();
  /** Streams that the windows hold up, in turns. */
  readonly #heldUp = new Set<Stream>();

  constructor(host: SendHost) {
    this.#host = host;
  }

  /** Sends content of a stream, now or when the windows allow it. */
  send(stream: Stream, data: Buffer, start: number, end: number): void {
    let from = start;
    if (stream.queuedBytes === 0) {
      const room = Math.min(end - start, stream.sendWindow, this.#window);
      if (room > 0) from = this.#sendNow(stream, data, start, start + room);
    }
    if (from === end) return;
    stream.queue(data, from, end);
    this.#heldUp.add(stream);
  }

  #sendNow(stream: Stream, data: Buffer, start: number, end: number): number {
    stream.sendWindow -= end - start;
    this.#window -= end - start;
    const { output, peer } = this.#host;
    output.data(stream.id, data, start, end, peer.frameBytesMax);
    this.#noteSent(stream);
    return end;
  }

  /** So far of all that goes to the socket something is the stream's. */
  #noteSent(stream: Stream): void {
    stream.sentUpTo = this.#host.socket.bytesWritten + this.#host.output.gathered;
  }

  /** Nothing more follows, but what is queued. */
  end(stream: Stream, trailers: Buffer | null): void {
    if (stream.localEnded) return;
    stream.localEnded = true;
    if (stream.queuedBytes === 0) return this.#sendEnd(stream, trailers);
    stream.trailers = trailers === null ? null : Buffer.from(trailers);
  }

  #sendEnd(stream: Stream, trailers: Buffer | null): void {
    stream.endSent = true;
    if (trailers === null) this.#host.output.end(stream.id);
    else this.#sendTrailers(stream.id, trailers);
    this.#host.onEndSent(stream);
  }

  #sendTrailers(id: number, lines: Buffer): void {
    const { output, encoder } = this.#host;
    this.#beginBlock(lines.length, fieldsOf(lines));
    encoder.lines(lines, 0, lines.length);
    output.commit(this.#endBlock(id, true));
  }

  /** A head begins, of at most so many bytes and fields beside those that each of us adds; put them into the encoder. */
  beginHead(bytes: number, fields: number): void {
    this.#beginBlock(bytes + HEAD_MORE_BYTES, fields);
  }

  /**
   * The head of a stream is in the encoder; if it `mayEnd`, the end of the stream may still be put into it. The protocol of gRPC wants
   * the end of a request in a frame of content, if an empty one, and some of its servers wait for that. `serial` says what head it
   * is; 0 for one of its own.
   */
  endHead(stream: Stream, serial = 0, mayEnd = true): void {
    const { output, encoder } = this.#host;
    const { buffer, at } = output;
    const end = this.#endBlock(stream.id, false);
    if (serial !== 0) this.#again.keep(serial, encoder, buffer, at + FRAME_HEADER_BYTES, end);
    this.#commitHead(end, stream, mayEnd);
  }

  /** Sends a head with this serial as it was sent last. False when it must be encoded. */
  repeatHead(stream: Stream, serial: number, mayEnd = true): boolean {
    const { output, encoder, peer } = this.#host;
    const again = this.#again;
    if (!again.isReady(serial, encoder)) return false;
    output.reserve(FRAME_HEADER_BYTES + again.length);
    const { buffer, at } = output;
    const end = again.write(buffer, at + FRAME_HEADER_BYTES);
    writeHeaders(buffer, at, end, stream.id, false, peer.frameBytesMax);
    this.#commitHead(end, stream, mayEnd);
    return true;
  }

  #commitHead(end: number, stream: Stream, mayEnd: boolean): void {
    const { output } = this.#host;
    if (mayEnd) output.commitHeaders(end, stream.id);
    else output.commit(end);
    this.#noteSent(stream);
  }

  #beginBlock(bytes: number, fields: number): void {
    const { output, encoder, peer } = this.#host;
    const room = blockBound(bytes, fields);
    output.reserve(room + continuationBytes(room, peer.frameBytesMax));
    this.#again.begin(encoder);
    encoder.begin(output.buffer, output.at + FRAME_HEADER_BYTES);
  }

  /** Returns where the frames end. */
  #endBlock(id: number, endStream: boolean): number {
    const { output, encoder, peer } = this.#host;
    const { buffer, at } = output;
    return writeHeaders(buffer, at, encoder.end(), id, endStream, peer.frameBytesMax);
  }

  /** Whether a stream may go on writing. */
  isFree(stream: Stream): boolean {
    return stream.queuedBytes === 0 && !this.#host.socket.writableNeedDrain;
  }

  /** The stream is over. */
  forget(stream: Stream): void {
    if (this.#heldUp.size > 0) this.#heldUp.delete(stream);
  }

  /** The window of the connection grows. False when it grows beyond what there may be. */
  widen(bytes: number): boolean {
    this.#window += bytes;
    if (this.#window > NUMBER_MAX) return false;
    this.serve();
    return true;
  }

  /** That of a stream, likewise. */
  widenStream(stream: Stream, bytes: number): boolean {
    stream.sendWindow += bytes;
    if (stream.sendWindow > NUMBER_MAX) return false;
    if (this.#heldUp.has(stream)) this.serve();
    return true;
  }

  /** Streams that wait take turns, a frame each. */
  serve(): void {
    const { socket } = this.#host;
    let moved = true;
    while (moved && this.#window > 0 && !socket.writableNeedDrain) {
      moved = false;
      for (const stream of this.#heldUp) moved = this.#serveOne(stream) || moved;
    }
  }

  /** Sends a frame of what the stream has queued. False when its window is closed. */
  #serveOne(stream: Stream): boolean {
    const room = Math.min(stream.sendWindow, this.#window, this.#host.peer.frameBytesMax);
    if (room <= 0) return false;
    const piece = stream.takeQueued(room);
    this.#sendNow(stream, piece, 0, piece.length);
    if (stream.queuedBytes > 0) {
      const isCut = stream.sendWindow === 0 || this.#window === 0;
      if (isCut && piece.length < DRIBBLE_BYTES) this.#host.output.dataFrames--;
      return true;
    }
    this.#heldUp.delete(stream);
    if (stream.localEnded) this.#sendEnd(stream, stream.trailers);
    else stream.onDrain();
    return true;
  }
}
