/** Where the frames of a WebSocket end, as their bytes go by: RFC 6455 §5.2. Only their heads are looked at. */

const CLOSE = 8;
/** First byte and length; a longer length and a mask may follow. */
const SHORT_HEAD_BYTES = 2;
const LENGTH_16 = 126;
const MASK_BYTES = 4;

export class FrameTracker {
  /** Of the payload of the present frame, what is still to come. */
  left = 0;
  /** A close frame began. */
  closed = false;
  /** Bytes of the head of the next frame that came; 0 between two frames. */
  #headBytes = 0;
  /** Of that head, as far as is known. */
  #headSize = SHORT_HEAD_BYTES;
  /** Where the length begins to be told by bytes of its own, and where it ends. */
  #lengthEnd = SHORT_HEAD_BYTES;
  #length = 0;

  /** Between two frames. */
  get isBetween(): boolean {
    return this.left === 0 && this.#headBytes === 0;
  }

  /** So much of the present payload went by unseen. */
  skip(bytes: number): void {
    this.left -= bytes;
  }

  /** Goes over `data[start, end)`; with `stops`, only to the first end of a frame. Returns how far it went. */
  pass(data: Buffer, start: number, end: number, stops: boolean): number {
    let at = start;
    while (at < end) {
      if (this.left === 0) at = this.#readHead(data, at, end);
      const step = Math.min(this.left, end - at);
      this.left -= step;
      at += step;
      if (stops && this.isBetween) return at;
    }
    return at;
  }

  #readHead(data: Buffer, start: number, end: number): number {
    for (let at = start; at < end; at++) {
      this.#take(data[at] as number);
      if (this.#headBytes < this.#headSize) continue;
      this.left = this.#length;
      this.#headBytes = 0;
      this.#headSize = SHORT_HEAD_BYTES;
      return at + 1;
    }
    return end;
  }

  #take(byte: number): void {
    const at = this.#headBytes++;
    if (at === 0) {
      if ((byte & 0x0f) === CLOSE) this.closed = true;
    } else if (at === 1) {
      const short = byte & 0x7f;
      const longer = short < LENGTH_16 ? 0 : short === LENGTH_16 ? 2 : 8;
      this.#length = longer === 0 ? short : 0;
      this.#lengthEnd = SHORT_HEAD_BYTES + longer;
      this.#headSize = this.#lengthEnd + (byte < 0x80 ? 0 : MASK_BYTES);
    } else if (at < this.#lengthEnd) this.#length = this.#length * 256 + byte;
  }
}
