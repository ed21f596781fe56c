/**
 * Cuts what a peer sends into frames. The content of DATA is handed on as it comes; all other frames when they are whole.
 */

import { copyWhole } from '../net/copy-whole.ts';
import { NO_ERROR, OF_STREAM } from './codec/error-code.ts';
import {
  FLAG_PADDED,
  FRAME_BYTES_MIN,
  FRAME_DATA,
  FRAME_HEADER_BYTES,
  FRAME_HEADERS,
} from './codec/frame.ts';
import { Frame, openFrame, readHeader } from './codec/frame-reader.ts';

export interface FrameSink {
  /** Nothing more is read. */
  readonly deaf: boolean;
  /** A frame other than DATA, its payload in `data[frame.start, frame.end)` without padding. */
  onFrame(data: Buffer, frame: Frame): void;
  /** DATA begins: `frame.length` counts against the windows. False when its content is not wanted. */
  onDataFrame(frame: Frame): boolean;
  onContent(data: Buffer, start: number, end: number): void;
  /** The DATA frame is whole. */
  onDataEnd(frame: Frame): void;
  /** `code` without OF_STREAM is an error of the connection. */
  onBroken(code: number, stream: number): void;
}

export class FrameLoop {
  readonly #sink: FrameSink;
  readonly #frame = new Frame();
  /** What its header says against it. */
  #code = NO_ERROR;
  /** Content of the present DATA frame that is still to come, and padding behind it. */
  #content = 0;
  #padding = 0;
  /** The content is read and dropped. */
  #skips = false;
  /** The start of a frame that is not whole yet, with room for so much of it as is needed. */
  #stash: Buffer | null = null;
  #stashed = 0;
  #needed = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Bytes of a frame that is not whole. */
  get heldBytes(): number {
    return this.#stash?.length ?? 0;
  }

  read(data: Buffer, from: number, end: number): void {
    let pos = from;
    while (pos < end && !this.#sink.deaf) {
      if (this.#content > 0) pos = this.#passContent(data, pos, end);
      else if (this.#padding > 0) pos = this.#passPadding(pos, end);
      else if (this.#stash !== null) pos = this.#fill(this.#stash, data, pos, end);
      else pos = this.#begin(data, pos, end);
    }
  }

  #passContent(data: Buffer, pos: number, end: number): number {
    const to = Math.min(end, pos + this.#content);
    this.#content -= to - pos;
    if (!this.#skips) this.#sink.onContent(data, pos, to);
    this.#endData();
    return to;
  }

  #passPadding(pos: number, end: number): number {
    const to = Math.min(end, pos + this.#padding);
    this.#padding -= to - pos;
    this.#endData();
    return to;
  }

  #endData(): void {
    if (this.#content === 0 && this.#padding === 0 && !this.#skips)
      this.#sink.onDataEnd(this.#frame);
  }

  /** Reads a frame at `pos` if it is whole: where the next one begins. */
  #begin(data: Buffer, pos: number, end: number): number {
    const needed = this.#look(data, pos, end - pos);
    if (needed <= end - pos) return needed === 0 ? end : this.#open(data);
    this.#stash = Buffer.allocUnsafe(needed);
    this.#stashed = copyWhole(data, pos, end, this.#stash, 0);
    this.#needed = needed;
    return end;
  }

  /** Takes what is missing of the frame in the stash. */
  #fill(stash: Buffer, data: Buffer, pos: number, end: number): number {
    const to = Math.min(end, pos + this.#needed - this.#stashed);
    this.#stashed = copyWhole(data, pos, to, stash, this.#stashed);
    if (this.#stashed < this.#needed) return to;
    const needed = this.#look(stash, 0, this.#stashed);
    if (needed > this.#stashed) {
      this.#stash = Buffer.allocUnsafe(needed);
      copyWhole(stash, 0, this.#stashed, this.#stash, 0);
      this.#needed = needed;
      return to;
    }
    this.#stash = null;
    if (needed > 0) this.#open(stash);
    return to;
  }

  /** How many bytes are needed of the frame at `pos`, of which `length` are there; 0 when the connection is broken. */
  #look(data: Buffer, pos: number, length: number): number {
    if (length < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    const frame = this.#frame;
    const code = readHeader(data, pos, frame, FRAME_BYTES_MIN);
    this.#code = code;
    // What is too long is never read to its end, whosever it is.
    if ((code !== NO_ERROR && (code & OF_STREAM) === 0) || frame.length > FRAME_BYTES_MIN) {
      this.#sink.onBroken(code & ~OF_STREAM, frame.stream);
      return 0;
    }
    if (frame.type !== FRAME_DATA || code !== NO_ERROR) return FRAME_HEADER_BYTES + frame.length;
    const isPadded = (frame.flags & FLAG_PADDED) !== 0 && frame.length > 0;
    return FRAME_HEADER_BYTES + (isPadded ? 1 : 0);
  }

  /** The frame that was looked at last is there as far as it is needed: where what follows begins. */
  #open(data: Buffer): number {
    const frame = this.#frame;
    const whole = frame.end;
    const code = this.#code === NO_ERROR ? openFrame(data, frame) : this.#code;
    if (frame.type === FRAME_DATA) return this.#openData(code, whole);
    if (code === NO_ERROR) this.#sink.onFrame(data, frame);
    // Its fields would be missing in the table of the decoder, so that later ones would be read wrongly.
    else this.#sink.onBroken(frame.type === FRAME_HEADERS ? code & ~OF_STREAM : code, frame.stream);
    return whole;
  }

  #openData(code: number, whole: number): number {
    const frame = this.#frame;
    const { start, end } = frame;
    if (code !== NO_ERROR) {
      this.#sink.onBroken(code, frame.stream);
      return whole;
    }
    this.#skips = !this.#sink.onDataFrame(frame);
    this.#content = end - start;
    this.#padding = whole - end;
    this.#endData();
    return start;
  }
}
