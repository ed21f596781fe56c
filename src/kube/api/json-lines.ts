/** Lines of JSON out of chunks of bytes that may end anywhere, as a watch sends them. */

import { MeshError } from '../../base/error.ts';

/** Bytes of one event: the API server takes no object beyond 3 MiB. */
export const EVENT_BYTES_MAX = 16_777_216;
/** A buffer that one long line made longer than this is not kept. */
const KEPT_BYTES = 65_536;

const LINE_FEED = 0x0a;

export class JsonLines {
  #rest = Buffer.alloc(0);
  #length = 0;

  /**
   * Hands on the value of each line that is complete. A line feed is never part of a longer UTF-8 sequence, so that
   * whole lines decode alone. Throws a `MeshError` for a line that is no JSON or too long; then use it no more.
   */
  push(chunk: Buffer, onValue: (value: unknown) => void): void {
    let start = 0;
    for (let end; (end = chunk.indexOf(LINE_FEED, start)) !== -1; start = end + 1) {
      const line = this.#complete(chunk.subarray(start, end));
      if (line.length > 0) onValue(parse(line));
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
  }

  #complete(tail: Buffer): Buffer {
    if (this.#length === 0 && tail.length <= EVENT_BYTES_MAX) return tail;
    this.#keep(tail);
    const line = this.#rest.subarray(0, this.#length);
    this.#length = 0;
    if (this.#rest.length > KEPT_BYTES) this.#rest = Buffer.alloc(0);
    return line;
  }

  #keep(bytes: Buffer): void {
    const length = this.#length + bytes.length;
    if (length > EVENT_BYTES_MAX) {
      throw new MeshError(
        'invalid_input',
        `Cannot read an event of the API server: it is longer than ${EVENT_BYTES_MAX} bytes`,
      );
    }
    if (length > this.#rest.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.#rest.length * 2));
      this.#rest.copy(larger, 0, 0, this.#length);
      this.#rest = larger;
    }
    bytes.copy(this.#rest, this.#length);
    this.#length = length;
  }
}

function parse(line: Buffer): unknown {
  const text = line.toString('utf8');
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Neither the text nor the error of the parser, which quotes it: it may be a part of a Secret.
    throw new MeshError('invalid_input', 'Cannot read an event of the API server: it is not JSON');
  }
}
