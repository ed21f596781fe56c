/** Where messages of gRPC begin and end in a body: each has a byte of flags and four of its length before it. */

const PREFIX_BYTES = 5;
/** By this flag readers of gRPC-Web tell the frame of the trailers, which no message may pass for. */
export const TRAILERS_FLAG = 0x80;

export class MessageScan {
  /** Bytes of the prefix that came. */
  #prefix = 0;
  #length = 0;
  /** Of the message. */
  #left = 0;
  #isBroken = false;

  /** The content may end here: all that came are whole messages. */
  get isBetween(): boolean {
    return this.#prefix === 0 && this.#left === 0 && !this.#isBroken;
  }

  /** False where `data[start, end)` has the prefix of something that is no message. */
  read(data: Buffer, start: number, end: number): boolean {
    let at = start;
    while (at < end && !this.#isBroken) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, end - at);
        this.#left -= taken;
        at += taken;
      } else this.#readPrefix(data[at++] as number);
    }
    return !this.#isBroken;
  }

  #readPrefix(byte: number): void {
    if (this.#prefix === 0) {
      this.#length = 0;
      this.#isBroken = (byte & TRAILERS_FLAG) !== 0;
    } else this.#length = this.#length * 256 + byte;
    if (++this.#prefix < PREFIX_BYTES) return;
    this.#prefix = 0;
    this.#left = this.#length;
  }
}
