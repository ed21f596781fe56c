/** Takes one message body out of the framing that it comes in (RFC 9112 §6, §7.1). */

import { FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE } from '../../head/head.ts';
import type { Rule } from '../../head/rule.ts';
import { Defect } from '../../net/copy-whole.ts';
import { CHUNK_BAD, CHUNK_DATA, CHUNK_END, ChunkedDecoder } from './chunked.ts';

/** Where the content of a body goes. */
export interface BodySink {
  /** `data[start, end)` is content; valid only during the call. False when nobody wants the rest of this body. */
  onBody(data: Buffer, start: number, end: number): boolean;
}

export class BodyReader {
  framing = FRAMING_NONE;
  /** True once the last byte of the body was read. */
  done = true;
  /** How far `read` came in its input. */
  pos = 0;
  /** The rule of RFC 9112 that the chunked coding broke; '' otherwise. */
  rule: Rule | '' = '';
  #remaining = 0;
  #decoder: ChunkedDecoder | null = null;
  readonly #lenient: boolean;

  /** Bodies of responses are read with lenience where they can be meant in one way only. */
  constructor(lenient: boolean) {
    this.#lenient = lenient;
  }

  /** `length` counts only for FRAMING_LENGTH. `named` are the fields that Connection takes out of the trailers. */
  begin(framing: number, length: number, named: ReadonlySet<string> | null = null): void {
    this.framing = framing;
    this.rule = '';
    this.#remaining = length;
    this.done = framing === FRAMING_NONE || (framing === FRAMING_LENGTH && length === 0);
    if (framing !== FRAMING_CHUNKED) return;
    this.#decoder ??= new ChunkedDecoder(this.#lenient);
    this.#decoder.reset(named);
  }

  /** Lines of `name: value\r\n` that came behind a body that is done, or null. Valid until `begin`. */
  get trailers(): Buffer | null {
    return this.framing === FRAMING_CHUNKED && this.#decoder !== null
      ? this.#decoder.trailers
      : null;
  }

  /** Content that is still to come and stands on the connection as it is; 0 when nobody knows how much, or it must be read. */
  get plainBytes(): number {
    return this.framing === FRAMING_LENGTH && !this.done ? this.#remaining : 0;
  }

  /** Somebody else took so many bytes of the content. @throws Defect when it has less */
  skip(bytes: number): void {
    if (!(bytes <= this.plainBytes)) throw new Defect('more than the body was taken');
    this.#remaining -= bytes;
    if (this.#remaining === 0) this.done = true;
  }

  /**
   * Hands the content in `data[pos, end)` to `sink`. False when the framing is broken: see `rule`. `this.pos` tells how much of
   * the input was used: when `done`, what is left belongs to the next message; when the sink wants no more, it may be any part.
   */
  read(data: Buffer, pos: number, end: number, sink: BodySink): boolean {
    this.pos = pos;
    if (this.done) return true;
    if (this.framing === FRAMING_CHUNKED) return this.#readChunks(data, end, sink);
    let take = end - pos;
    if (this.framing === FRAMING_LENGTH) {
      if (take > this.#remaining) take = this.#remaining;
      this.#remaining -= take;
      if (this.#remaining === 0) this.done = true;
    }
    this.pos = pos + take;
    if (take > 0) sink.onBody(data, pos, pos + take);
    return true;
  }

  /** The sender closed: true when that is how this body ends. */
  endByClose(): boolean {
    if (this.framing !== FRAMING_CLOSE) return false;
    this.done = true;
    return true;
  }

  #readChunks(data: Buffer, end: number, sink: BodySink): boolean {
    const decoder = this.#decoder as ChunkedDecoder;
    while (this.pos < end) {
      const event = decoder.step(data, this.pos, end);
      this.pos = decoder.pos;
      if (event === CHUNK_DATA) {
        if (!sink.onBody(data, decoder.dataStart, decoder.dataEnd)) return true;
      } else if (event === CHUNK_END) {
        this.done = true;
        return true;
      } else if (event === CHUNK_BAD) {
        this.rule = decoder.rule;
        return false;
      }
    }
    return true;
  }
}
