/**
 * Gathers the first bytes of a caller until its ClientHello is whole, over as many records and reads as it likes, and keeps them all as
 * they came. What it says follows from the bytes alone, and not from where reads have cut them.
 */

import { FirstBytes } from '../net/first-bytes.ts';
import {
  type ClientHello,
  type HelloFault,
  MESSAGE_HEADER_BYTES,
  readClientHello,
} from './client-hello.ts';

/** In which a ClientHello must end, records included. One with post-quantum keys has some 2,000. */
export const HELLO_BYTES_MAX = 32_768;
const RECORD_HEADER_BYTES = 5;
const LONGEST_RECORD = 16_384;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;

export class HelloReader {
  /** Null until it is whole. */
  hello: ClientHello | null = null;
  /** Why it never will be. */
  fault: HelloFault | null = null;
  readonly #came = new FirstBytes();
  /** Where the next record begins. */
  #recordAt = 0;
  /** Start and end of each part of the message. */
  readonly #parts: number[] = [];
  #messageBytes = 0;
  /** Of the whole message; 0 until its header is there. */
  #wantedBytes = 0;

  /** All that came, the bytes behind the hello too. */
  get kept(): Buffer {
    return this.#came.bytes;
  }

  get keptBytes(): number {
    return this.#came.length;
  }

  push(data: Buffer, start: number, end: number): void {
    this.#came.push(data, start, end);
    if (this.hello !== null || this.fault !== null) return;
    const found = this.#read();
    if (found === null) return;
    if (typeof found === 'string') this.fault = found;
    else this.hello = found;
  }

  /** Null as long as bytes are missing. */
  #read(): ClientHello | HelloFault | null {
    const { kept } = this;
    for (;;) {
      const bytes = kept.length - this.#recordAt;
      const fault = this.#faultOfRecord(kept, bytes);
      if (fault !== null) return fault;
      if (bytes < RECORD_HEADER_BYTES) break;
      const start = this.#recordAt + RECORD_HEADER_BYTES;
      const end = start + kept.readUInt16BE(start - 2);
      if (end === start || end - start > LONGEST_RECORD) return 'an empty or too long record';
      const isFirst = this.#parts.length === 0;
      if (isFirst && kept.length > start && kept[start] !== CLIENT_HELLO)
        return 'another message than a ClientHello';
      if (end > kept.length) break;
      this.#parts.push(start, end);
      this.#messageBytes += end - start;
      this.#recordAt = end;
      const whole = this.#wholeMessage();
      if (whole !== null) return whole;
    }
    return kept.length > HELLO_BYTES_MAX ? 'too long' : null;
  }

  #faultOfRecord(kept: Buffer, bytes: number): HelloFault | null {
    if (bytes === 0) return null;
    const at = this.#recordAt;
    const kind = kept[at] as number;
    if (kind !== HANDSHAKE)
      return at === 0 ? 'no TLS' : 'a record of another kind than a handshake';
    return bytes > 1 && kept[at + 1] !== 3 ? 'another version than TLS 1.0 to 1.3' : null;
  }

  /** Null as long as records are missing. */
  #wholeMessage(): ClientHello | HelloFault | null {
    if (this.#recordAt > HELLO_BYTES_MAX) return 'too long';
    if (this.#messageBytes < MESSAGE_HEADER_BYTES) return null;
    if (this.#wantedBytes === 0) {
      // Of at most four parts.
      this.#wantedBytes = MESSAGE_HEADER_BYTES + this.#joined().readUIntBE(1, 3);
    }
    if (this.#wantedBytes > HELLO_BYTES_MAX) return 'too long';
    if (this.#wantedBytes > this.#messageBytes) return null;
    return readClientHello(this.#joined(), 0, this.#wantedBytes);
  }

  #joined(): Buffer {
    const { kept } = this;
    const parts: Buffer[] = [];
    for (let i = 0; i < this.#parts.length; i += 2)
      parts.push(kept.subarray(this.#parts[i], this.#parts[i + 1]));
    const [first] = parts;
    return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts);
  }
}
