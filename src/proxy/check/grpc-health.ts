/**
 * The two messages of `grpc.health.v1.Health/Check` on the wire: a string in the request, a number in the response. Both are so small
 * that a library for all of Protocol Buffers would be more to trust than this.
 */

/** One byte that says whether the message is compressed, and four for its length. */
const FRAME_BYTES = 5;
/** `service`, and `status`: number 1, length-delimited and varint. */
const TAG_SERVICE = 0x0a;
const FIELD_STATUS = 1;
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The whole body of a request; '' asks about the server as a whole. */
export function checkRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const message =
    name.length === 0
      ? Buffer.alloc(0)
      : Buffer.concat([Buffer.from([TAG_SERVICE, ...varint(name.length)]), name]);
  const frame = Buffer.alloc(FRAME_BYTES);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

/** The serving status of a whole response body; null for anything but one message that can be read. */
export function servingStatus(body: Buffer): number | null {
  if (body.length < FRAME_BYTES || body[0] !== 0) return null;
  if (body.readUInt32BE(1) !== body.length - FRAME_BYTES) return null;
  return new Reader(body, FRAME_BYTES).status();
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}

class Reader {
  readonly #data: Buffer;
  #at: number;

  constructor(data: Buffer, from: number) {
    this.#data = data;
    this.#at = from;
  }

  /** The last one counts, and none is 0, as Protocol Buffers ask. */
  status(): number | null {
    let status = 0;
    while (this.#at < this.#data.length) {
      const tag = this.#varint();
      if (tag === null || tag < 8) return null;
      const kind = tag & 7;
      if (Math.floor(tag / 8) === FIELD_STATUS && kind === VARINT) {
        const value = this.#varint();
        if (value === null) return null;
        status = value;
      } else if (!this.#skip(kind)) return null;
    }
    return status;
  }

  /** Values beyond 32 bits are no status that anybody knows: their lower bits are as good. */
  #varint(): number | null {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.#data[this.#at++];
      if (byte === undefined) return null;
      if (i < 5) value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value % 2 ** 32;
    }
    return null;
  }

  /** What is not known is left out. Groups are not: nobody has sent one for many years. */
  #skip(kind: number): boolean {
    if (kind === VARINT) return this.#varint() !== null;
    if (kind === BYTES) {
      const length = this.#varint();
      if (length === null) return false;
      this.#at += length;
    } else if (kind === FIXED64) this.#at += 8;
    else if (kind === FIXED32) this.#at += 4;
    else return false;
    return this.#at <= this.#data.length;
  }
}
