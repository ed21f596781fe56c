/** What a session receives on its streams: content against our windows, told to the streams in order. RFC 9113 §6.9. */

import { FLOW_CONTROL_ERROR, PROTOCOL_ERROR } from './codec/error-code.ts';
import { FLAG_END_STREAM, FRAME_HEADER_BYTES } from './codec/frame.ts';
import type { Frame } from './codec/frame-reader.ts';
import { writeWindowUpdate } from './codec/frame-writer.ts';
import type { Floods } from './floods.ts';
import type { Output } from './output.ts';
import type { Stream } from './stream.ts';
import type { StreamTable } from './stream-table.ts';
import {
  CONNECTION_WINDOW_BYTES,
  CONNECTION_WINDOW_DEFAULT,
  GROWN_BYTES_MAX,
  STREAM_WINDOW_BYTES,
  STREAM_WINDOW_BYTES_MAX,
} from './windows.ts';

/** What a window becomes by growing, in times of what it was. */
const GROWTH = 4;
const WINDOW_UPDATE_BYTES = FRAME_HEADER_BYTES + 4;

export interface ReceiveHost {
  readonly deaf: boolean;
  readonly streams: StreamTable;
  readonly output: Output;
  readonly floods: Floods;
  /** Content came for a stream that is over, or was never begun. */
  onStray(id: number): void;
  /** A frame came that carries nothing. */
  onEmptyFrame(): void;
  /** An error of the connection. */
  fail(code: number): void;
  resetStream(id: number, code: number): void;
  forgetIfOver(stream: Stream): void;
  /** Calls `deliver` at the end of the turn. */
  askForTurn(): void;
}

export class ReceiveSide {
  readonly #host: ReceiveHost;
  /** What the peer may still send on the connection. */
  #window = CONNECTION_WINDOW_BYTES;
  #owed = 0;
  /** By so much the windows of all streams together are larger than they began. */
  #grown = 0;
  /** Streams that got something in the present read. */
  #touched: Stream[] = [];
  #spare: Stream[] = [];
  /** That of the present DATA frame. */
  #current: Stream | null = null;
  /** Its number then: by the rest of the frame it may stand for another one. */
  #currentId = 0;
  /** Streams with something to deliver. */
  #due: Stream[] = [];

  constructor(host: ReceiveHost) {
    this.#host = host;
  }

  /** The window of the connection is as large as it stays. */
  open(): void {
    this.#writeWindow(0, CONNECTION_WINDOW_BYTES - CONNECTION_WINDOW_DEFAULT);
  }

  #isOurs(stream: Stream): boolean {
    return this.#host.streams.get(stream.id) === stream;
  }

  /** Whether the stream of the present DATA frame is still the one that it was for. */
  #isCurrent(stream: Stream | null): stream is Stream {
    return stream !== null && stream.id === this.#currentId && this.#isOurs(stream);
  }

  /** DATA begins. False when its content is not wanted. */
  begin(frame: Frame): boolean {
    const host = this.#host;
    this.#window -= frame.length;
    this.#owed += frame.length;
    if (this.#window < 0) {
      host.fail(FLOW_CONTROL_ERROR);
      return false;
    }
    // At once: what waits is bounded by the windows of the streams.
    if (this.#owed >= CONNECTION_WINDOW_BYTES >> 1) this.#giveAll();
    const stream = host.streams.get(frame.stream);
    const isBlank = frame.end === frame.start;
    if (stream === undefined || stream.remoteEnded) {
      // One with content is paid for by its bytes.
      if (isBlank) host.onEmptyFrame();
      host.onStray(frame.stream);
      return false;
    }
    stream.receiveWindow -= frame.length;
    if (stream.receiveWindow < 0) {
      host.resetStream(frame.stream, FLOW_CONTROL_ERROR);
      return false;
    }
    if (isBlank && (frame.flags & FLAG_END_STREAM) === 0) host.onEmptyFrame();
    else host.floods.useful(1);
    stream.owed += frame.length;
    this.#current = stream;
    this.#currentId = stream.id;
    return true;
  }

  content(data: Buffer, start: number, end: number): void {
    const stream = this.#current;
    if (!this.#isCurrent(stream)) return;
    if (stream.announced >= 0 && stream.received + end - start > stream.announced)
      return this.#host.resetStream(stream.id, PROTOCOL_ERROR);
    this.#touch(stream);
    stream.receive(data, start, end);
  }

  /** The DATA frame is whole. */
  endFrame(frame: Frame): void {
    const stream = this.#current;
    this.#current = null;
    if (!this.#isCurrent(stream)) return;
    if ((frame.flags & FLAG_END_STREAM) !== 0) this.end(stream, null);
    else this.#touch(stream);
  }

  /** The peer has said all of a stream. */
  end(stream: Stream, trailers: Buffer | null): void {
    if (stream.announced >= 0 && stream.received !== stream.announced)
      return this.#host.resetStream(stream.id, PROTOCOL_ERROR);
    this.#touch(stream);
    stream.receiveEnd(trailers);
    this.#host.forgetIfOver(stream);
  }

  #touch(stream: Stream): void {
    if (this.#touched.at(-1) !== stream) this.#touched.push(stream);
  }

  /** The end of a read. */
  endRead(): void {
    const touched = this.#touched;
    if (touched.length === 0) return;
    this.#touched = this.#spare;
    this.#spare = touched;
    for (const stream of touched) {
      if (!this.#isOurs(stream)) continue;
      stream.onRead();
      if (this.#isOurs(stream)) this.#giveCredit(stream);
    }
    touched.length = 0;
  }

  later(stream: Stream): void {
    this.#due.push(stream);
    this.#host.askForTurn();
  }

  /** Tells streams what they held back before. */
  deliver(): void {
    const due = this.#due;
    if (due.length === 0) return;
    this.#due = [];
    for (const stream of due) {
      if (!this.#isOurs(stream)) continue;
      stream.deliver();
      if (!this.#isOurs(stream)) continue;
      this.#giveCredit(stream);
      this.#host.forgetIfOver(stream);
    }
  }

  /** Lets the peer send more of a stream, once half of its window was handed on. */
  #giveCredit(stream: Stream): void {
    const { owed, windowBytes, remoteEnded, paused, sated } = stream;
    if (owed < windowBytes >> 1 || remoteEnded || paused || sated) return;
    const handedOn = owed - stream.heldBytes;
    if (handedOn <= 0) return;
    stream.owed -= handedOn;
    const bytes = handedOn + this.#resize(stream, handedOn);
    if (bytes === 0) return;
    stream.receiveWindow += bytes;
    this.#writeWindow(stream.id, bytes);
  }

  /**
   * A window of which half was handed on without a wait is worth having: the stream gets one four times as large. One whose
   * receiver has made it wait gives half of it back. Returns by how much the window changes, never below `-handedOn`.
   */
  #resize(stream: Stream, handedOn: number): number {
    const { windowBytes } = stream;
    let more = 0;
    if (stream.hasWaited) {
      stream.hasWaited = false;
      stream.fluentBytes = 0;
      more = -Math.min(windowBytes >> 1, windowBytes - STREAM_WINDOW_BYTES, handedOn);
    } else {
      stream.fluentBytes += handedOn;
      if (stream.fluentBytes < windowBytes >> 1 || windowBytes >= STREAM_WINDOW_BYTES_MAX) return 0;
      more = Math.min((GROWTH - 1) * windowBytes, STREAM_WINDOW_BYTES_MAX - windowBytes);
      if (this.#grown + more > GROWN_BYTES_MAX) return 0;
      stream.fluentBytes = 0;
    }
    stream.windowBytes += more;
    this.#grown += more;
    return more;
  }

  /** The stream is over. */
  forget({ windowBytes }: Stream): void {
    this.#grown -= windowBytes - STREAM_WINDOW_BYTES;
  }

  #giveAll(): void {
    const bytes = this.#owed;
    this.#owed = 0;
    this.#window += bytes;
    this.#writeWindow(0, bytes);
  }

  #writeWindow(id: number, bytes: number): void {
    const { deaf, output } = this.#host;
    if (deaf) return;
    output.reserve(WINDOW_UPDATE_BYTES);
    output.commit(writeWindowUpdate(output.buffer, output.at, id, bytes));
  }
}
