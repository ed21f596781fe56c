/** Puts one message body into the framing that it leaves in: as it is, or as chunks (RFC 9112 §7.1). */

import { copyWhole, Defect, wholeUpTo } from '../../net/copy-whole.ts';
import { CR, LF, ZERO } from '../../head/characters.ts';

/** Digits of the chunk size that is patched in behind the data: 20 bits, more than any one read. */
const SIZE_DIGITS = 5;
const CHUNK_BYTES_MAX = (1 << (4 * SIZE_DIGITS)) - 1;
const CHUNK_HEAD_BYTES = SIZE_DIGITS + 2;
/** A chunk head, and the CRLF behind the data. */
const CHUNK_OVERHEAD_BYTES = CHUNK_HEAD_BYTES + 2;
/** The last chunk and the blank line behind the trailers. */
const LAST_CHUNK_BYTES = 5;
/** What is written beyond the content between two calls of `closeChunk`, trailers aside. */
export const BODY_OVERHEAD_BYTES = 32;

const HEX = Buffer.from('0123456789abcdef');

export class BodyWriter {
  /** What the connection must have taken, framing included: counted from what is to be written, not from what was. */
  wireBytes = 0;
  #chunked = false;
  /** Where the head of the open chunk stands in the buffer; -1 when none is open. */
  #open = -1;

  begin(chunked: boolean): void {
    this.#chunked = chunked;
    this.#open = -1;
    this.wireBytes = 0;
  }

  /** Writes content to `out` from `at` and returns the new end; several calls make one chunk. @throws Defect without room */
  // oxlint-disable-next-line max-params -- those of Buffer.copy
  write(data: Buffer, start: number, end: number, out: Buffer, at: number): number {
    this.wireBytes += end - start;
    if (!this.#chunked) return copyWhole(data, start, end, out, at);
    if (this.#open >= 0) return copyWhole(data, start, end, out, at);
    this.#open = at;
    this.wireBytes += CHUNK_OVERHEAD_BYTES;
    return copyWhole(data, start, end, out, at + CHUNK_HEAD_BYTES);
  }

  /** Whether content leaves as it is. */
  get isPlain(): boolean {
    return !this.#chunked;
  }

  /** Content left without being written here. */
  skip(bytes: number): void {
    this.wireBytes += bytes;
  }

  /** Before what was written is sent: the open chunk ends at `at`. Returns the new end. */
  closeChunk(out: Buffer, at: number): number {
    if (this.#open < 0) return at;
    const from = this.#open;
    this.#open = -1;
    return closeChunk(out, from, at - from - CHUNK_HEAD_BYTES);
  }

  /** The body is whole. Returns the new end. */
  end(trailers: Buffer | null, out: Buffer, at: number): number {
    if (!this.#chunked) return at;
    this.wireBytes += LAST_CHUNK_BYTES + (trailers?.length ?? 0);
    return writeLastChunk(out, this.closeChunk(out, at), trailers);
  }
}

/** Puts the size before and CRLF after `size` bytes that already stand behind the room for the size. */
function closeChunk(out: Buffer, at: number, size: number): number {
  if (size > CHUNK_BYTES_MAX || at + size + CHUNK_OVERHEAD_BYTES > out.length)
    throw new Defect(`a chunk of ${size} bytes does not fit`);
  for (let digit = SIZE_DIGITS - 1, rest = size; digit >= 0; digit--, rest >>>= 4) {
    out[at + digit] = HEX[rest & 15] as number;
  }
  out[at + SIZE_DIGITS] = CR;
  out[at + SIZE_DIGITS + 1] = LF;
  let to = at + CHUNK_HEAD_BYTES + size;
  out[to++] = CR;
  out[to++] = LF;
  return to;
}

function writeLastChunk(out: Buffer, at: number, trailers: Buffer | null): number {
  let to = at;
  out[to++] = ZERO;
  out[to++] = CR;
  out[to++] = LF;
  if (trailers !== null) to = copyWhole(trailers, 0, trailers.length, out, to);
  out[to++] = CR;
  out[to++] = LF;
  return wholeUpTo(to, out);
}
