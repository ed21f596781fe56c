/** DNS messages out of a TCP byte stream: two bytes of length before each (RFC 1035 §4.2.2, RFC 7766 §8). */

const PREFIX_BYTES = 2;

/** Collects what reads bring, in any pieces, and hands out whole messages. Holds one message at most. */
export class MessageReader {
  readonly #messageBytesMax: number;
  readonly #onMessage: (message: Buffer) => void;
  /** Grows with the messages, never beyond the prefix and `messageBytesMax`. */
  #held: Buffer = Buffer.alloc(0);

  constructor(messageBytesMax: number, onMessage: (message: Buffer) => void) {
    this.#messageBytesMax = messageBytesMax;
    this.#onMessage = onMessage;
  }

  /** Takes the bytes of one read; false when the stream cannot go on: a message is empty or longer than allowed. */
  push(chunk: Buffer): boolean {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let at = 0;
    while (bytes.length - at >= PREFIX_BYTES) {
      const length = bytes.readUInt16BE(at);
      if (length === 0 || length > this.#messageBytesMax) return false;
      const end = at + PREFIX_BYTES + length;
      if (end > bytes.length) break;
      this.#onMessage(bytes.subarray(at + PREFIX_BYTES, end));
      at = end;
    }
    // A copy, because the buffer of the read may be large and live long.
    this.#held = Buffer.from(bytes.subarray(at));
    return true;
  }
}

/** A message with its length in front. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed.writeUInt16BE(message.length, 0);
  message.copy(framed, PREFIX_BYTES);
  return framed;
}
