/** Passes one message body from the framing it came in to the framing it leaves in (RFC 9112 §6, §7.1). */

import { CHUNK_BAD, CHUNK_DATA, CHUNK_END, ChunkedDecoder } from './chunked.ts';
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE } from './head.ts';

/** Digits of the chunk size that is patched in after the data: 20 bits, more than any one read. */
const SIZE_DIGITS = 5;
const CHUNK_HEAD_BYTES = SIZE_DIGITS + 2;
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
  /** How far `pass` consumed its input. */
  pos = 0;
  /** The rule of RFC 9112 that the chunked coding broke, after `pass` returned -1. */
  rule = '';
  #remaining = 0;
  #rechunk = false;
  #decoder: ChunkedDecoder | null = null;

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
    this.#remaining = length;
    this.#rechunk = rechunk;
    this.bytes = 0;
    this.done = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && length === 0);
    if (framing !== FRAMING_CHUNKED) return;
    if (this.#decoder === null) this.#decoder = new ChunkedDecoder();
    this.#decoder.reset(named);
  }

  /** Most bytes that `pass` writes for `size` bytes of input; trailers that came before count too. */
  room(size: number): number {
    if (this.framing !== FRAMING_CHUNKED) return size + BODY_OVERHEAD_BYTES;
    // A trailer line of four bytes grows by one, the space after its colon.
    const trailerBytes = (this.#decoder as ChunkedDecoder).trailerBytes + (size >> 2);
    return size + BODY_OVERHEAD_BYTES + trailerBytes;
  }

  /**
   * Moves body bytes from `data[pos, end)` to `out` from `at`, which must have room for `room(end - pos)` bytes.
   * Returns the new end of `out`, or -1 when the framing is broken. `this.pos` tells how much input was used; what
   * is left when `done` belongs to the next message.
   */
  pass(data: Buffer, pos: number, end: number, out: Buffer, at: number): number {
    if (this.framing === FRAMING_CHUNKED) return this.#passChunks(data, pos, end, out, at);
    let take = end - pos;
    if (this.framing === FRAMING_LENGTH) {
      if (take > this.#remaining) take = this.#remaining;
      this.#remaining -= take;
      if (this.#remaining === 0) this.done = true;
    }
    this.pos = pos + take;
    this.bytes += take;
    if (take === 0) return at;
    if (!this.#rechunk) return at + data.copy(out, at, pos, pos + take);
    data.copy(out, at + CHUNK_HEAD_BYTES, pos, pos + take);
    return closeChunk(out, at, take);
  }

  /** Ends a FRAMING_CLOSE body: the sender closed. Returns the new end of `out`. */
  finish(out: Buffer, at: number): number {
    this.done = true;
    return this.#rechunk ? writeLastChunk(out, at, null) : at;
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
      if (event === CHUNK_DATA) to += data.copy(out, to, decoder.dataStart, decoder.dataEnd);
      else if (event === CHUNK_END) ended = true;
      else if (event === CHUNK_BAD) {
        this.rule = decoder.rule;
        return -1;
      } else break;
    }
    this.pos = next;
    this.bytes += to - begin;
    if (this.#rechunk) to = to === begin ? at : closeChunk(out, at, to - begin);
    if (!ended) return to;
    this.done = true;
    return this.#rechunk ? writeLastChunk(out, to, decoder.trailers) : to;
  }
}

/** Puts the size before and CRLF after `size` bytes that already stand behind the room for the size. */
function closeChunk(out: Buffer, at: number, size: number): number {
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
  if (trailers !== null) to += trailers.copy(out, to);
  out[to++] = CR;
  out[to++] = LF;
  return to;
}
