/** Messages of gRPC over HTTP/2: a byte that says whether it is compressed, four of length, the message. */

const PREFIX_BYTES = 5;

export function framed(message: string | Buffer): Buffer {
  const bytes = Buffer.from(message);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Takes content in any pieces, and gives messages. */
export class MessageReader {
  readonly #onMessage: (message: string) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onMessage: (message: string) => void) {
    this.#onMessage = onMessage;
  }

  read(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data]);
    while (this.#rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      const message = this.#rest.toString('latin1', PREFIX_BYTES, end);
      this.#rest = this.#rest.subarray(end);
      this.#onMessage(message);
    }
  }
}
