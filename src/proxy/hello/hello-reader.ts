/**
 * Keeps the first bytes of a caller as they came until its ClientHello is whole, over as many records and reads as it likes, and reads it
 * then.
 */

import { FirstBytes } from '../net/first-bytes.ts';
import { HELLO_PARTIAL, HelloWatch, RECORD_HEAD } from '../net/tls/hello-watch.ts';
import { type ClientHello, type HelloFault, readClientHello } from './client-hello.ts';

export class HelloReader {
  /** Null until it is whole. */
  hello: ClientHello | null = null;
  /** Why it never will be. */
  fault: HelloFault | null = null;
  readonly #came = new FirstBytes();
  readonly #watch = new HelloWatch();

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
    if (this.#watch.feed(data, start, end) === HELLO_PARTIAL) return;
    this.fault = this.#watch.fault;
    if (this.fault !== null) return;
    const { messageBytes } = this.#watch;
    const found = readClientHello(messageIn(this.kept, messageBytes), 0, messageBytes);
    if (typeof found === 'string') this.fault = found;
    else this.hello = found;
  }
}

/** Without the heads of its records, which somebody has walked over; more may follow. */
function messageIn(records: Buffer, bytes: number): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (let left = bytes; left > 0;) {
    const start = at + RECORD_HEAD;
    at = start + records.readUInt16BE(start - 2);
    left -= at - start;
    parts.push(records.subarray(start, at));
  }
  const [first] = parts;
  return first !== undefined && parts.length === 1 ? first : Buffer.concat(parts);
}
