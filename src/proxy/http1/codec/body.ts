/** Passes one message body from the framing it came in to the framing it leaves in (RFC 9112 §6, §7.1). */

import { copyWhole, Defect, wholeUpTo } from '../../net/copy-whole.ts';
import { CHUNK_BAD, CHUNK_DATA, CHUNK_END, ChunkedDecoder } from './chunked.ts';
import {
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  TRAILER_LINES_BYTES_MAX,
} from '../../http/head.ts';
import type { Rule } from '../../http/rule.ts';

/** Digits of the chunk size that is patched in after the data: 20 bits, more than any one read. */
const SIZE_DIGITS = 5;
const CHUNK_BYTES_MAX = (1 << (4 * SIZE_DIGITS)) - 1;
const CHUNK_HEAD_BYTES = SIZE_DIGITS + 2;
/** A chunk head, and the CRLF behind the data. */
const CHUNK_OVERHEAD_BYTES = CHUNK_HEAD_BYTES + 2;
/** The last chunk and the blank line behind the trailers. */
const LAST_CHUNK_BYTES = 5;
/** Chunk head, CRLF and the last chunk: what `pass` writes beyond the bytes that it reads, trailers aside. */
export const BODY_OVERHEAD_BYTES = 32;

const HEX = Buffer.from('0123456789abcdef');
const CR = 13;
const LF = 10;
const ZERO = 48;

export class BodyPass {
  framing = FRAMING_NONE;
  /** True once the last byte of the body was passed. */
  done = true;
  /** Payload bytes passed. */
  bytes = 0;
  /** What the connection must have taken for them, framing included: counted from what came in, not from what was written. */
  wireBytes = 0;
  /** How far `pass` consumed its input. */
  pos = 0;
  /** The rule of RFC 9112 that the chunked coding broke, after `pass` returned -1. */
  rule: Rule | '' = '';
  #remaining = 0;
  #rechunk = false;
  #decoder: ChunkedDecoder | null = null;
  readonly #lenient: boolean;

  /** Bodies of responses are read with lenience where they can be meant in one way only. */
  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  /**
   * `length` counts only for FRAMING_LENGTH; `rechunk` sends chunks, else the bytes as they are. `named` are the fields
   * that Connection takes out of the trailers.
   */
  begin(
    framing: number,
    length: number,
    rechunk: boolean,
    named: ReadonlySet<string> | null = null,
  ): void {
    this.framing = framing;
    this.rule = '';
    this.#remaining = length;
    this.#rechunk = rechunk;
    this.bytes = 0;
    this.wireBytes = 0;
    this.done = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && length === 0);
    if (framing !== FRAMING_CHUNKED) return;
    if (this.#decoder === null) this.#decoder = new ChunkedDecoder(this.#lenient);
    this.#decoder.reset(named);
  }

  /** Most bytes that `pass` writes for `size` bytes of input; trailers that came before count too. */
  room(size: number): number {
    if (this.framing !== FRAMING_CHUNKED) return size + BODY_OVERHEAD_BYTES;
    // A trailer line of four bytes grows by one, the space after its colon.
    const trailerBytes = (this.#decoder as ChunkedDecoder).trailerBytes + (size >> 2);
    return size + BODY_OVERHEAD_BYTES + Math.min(trailerBytes, TRAILER_LINES_BYTES_MAX);
  }

  /**
   * Moves body bytes from `data[pos, end)` to `out` from `at`, which must have room for `room(end - pos)` bytes.
   * Returns the new end of `out`, or -1 when the framing is broken. `this.pos` tells how much input was used; what
   * is left when `done` belongs to the next message. @throws Defect when `out` lacks that room
   */
  pass(data: Buffer, pos: number, end: number, out: Buffer, at: number): number {
    this.pos = pos;
    if (this.done) return at;
    if (this.framing === FRAMING_CHUNKED) return this.#passChunks(data, pos, end, out, at);
    let take = end - pos;
    if (this.framing === FRAMING_LENGTH) {
      if (take > this.#remaining) take = this.#remaining;
      this.#remaining -= take;
      if (this.#remaining === 0) this.done = true;
    }
    this.pos = pos + take;
    copyWhole(data, pos, pos + take, out, this.#rechunk ? at + CHUNK_HEAD_BYTES : at);
    return this.#endPiece(out, at, take);
  }

  /** Ends a FRAMING_CLOSE body: the sender closed. Returns the new end of `out`. */
  finish(out: Buffer, at: number): number {
    this.done = true;
    return this.#rechunk ? this.#writeLastChunk(out, at, null) : at;
  }

  #passChunks(data: Buffer, pos: number, end: number, out: Buffer, at: number): number {
    const decoder = this.#decoder as ChunkedDecoder;
    const begin = this.#rechunk ? at + CHUNK_HEAD_BYTES : at;
    let to = begin;
    let next = pos;
    let ended = false;
    while (next < end && !ended) {
      const event = decoder.step(data, next, end);
      next = decoder.pos;
      if (event === CHUNK_DATA) to = copyWhole(data, decoder.dataStart, decoder.dataEnd, out, to);
      else if (event === CHUNK_END) ended = true;
      else if (event === CHUNK_BAD) {
        this.rule = decoder.rule;
        return -1;
      } else break;
    }
    this.pos = next;
    to = this.#endPiece(out, at, to - begin);
    if (!ended) return to;
    this.done = true;
    return this.#rechunk ? this.#writeLastChunk(out, to, decoder.trailers) : to;
  }

  /** Counts `size` bytes that stand in `out`, behind the room for a chunk head if they leave as a chunk. */
  #endPiece(out: Buffer, at: number, size: number): number {
    if (size === 0) return at;
    this.bytes += size;
    this.wireBytes += this.#rechunk ? size + CHUNK_OVERHEAD_BYTES : size;
    return this.#rechunk ? closeChunk(out, at, size) : at + size;
  }

  #writeLastChunk(out: Buffer, at: number, trailers: Buffer | null): number {
    this.wireBytes += LAST_CHUNK_BYTES + (trailers?.length ?? 0);
    return writeLastChunk(out, at, trailers);
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
