/** Decodes a chunked body that arrives in pieces cut anywhere: RFC 9112 §7.1. */
import {
  BACKSLASH,
  CR,
  EQUALS,
  HEX,
  LF,
  QUOTE,
  SEMICOLON,
  SPACE,
  TAB,
} from '../../head/characters.ts';
import { QUOTED, TOKEN, VALUE } from '../../head/grammar.ts';
import type { Rule } from '../../head/rule.ts';
import { TrailerSection } from './trailer.ts';

/** All bytes are consumed, the body goes on. */
export const CHUNK_MORE = 0;
/** `[dataStart, dataEnd)` is body; go on at `pos`. */
export const CHUNK_DATA = 1;
/** The body is complete; `pos` is after it, `trailers` is set. */
export const CHUNK_END = 2;
/** The framing is broken: `rule` says how; the connection must be closed. */
export const CHUNK_BAD = 3;

/** Bytes of chunk extensions in one body, a DoS bound: they carry nothing that is passed on. */
export const CHUNK_EXTENSION_BYTES_MAX = 16_384;
/** Digits of a chunk size, leading zeros included. */
const CHUNK_SIZE_DIGITS_MAX = 16;

const SIZE_FIRST = 0;
const SIZE = 1;
const EXTENSION_SPACE = 2;
const EXTENSION_NAME_FIRST = 3;
const EXTENSION_NAME = 4;
const EXTENSION_NAME_SPACE = 5;
const EXTENSION_VALUE_FIRST = 6;
const EXTENSION_TOKEN = 7;
const EXTENSION_QUOTED = 8;
const EXTENSION_ESCAPED = 9;
const EXTENSION_QUOTED_END = 10;
const SIZE_LF = 11;
const DATA = 12;
const DATA_CR = 13;
const DATA_LF = 14;
const TRAILER = 15;
const END = 16;
const BROKEN = 17;

/** One per body direction, reused. It keeps nothing of the buffers that it is given. */
export class ChunkedDecoder {
  pos = 0;
  dataStart = 0;
  dataEnd = 0;
  /** Lines of `name: value\r\n` to pass on, or null. Valid until `reset`. */
  trailers: Buffer | null = null;
  rule: Rule | '' = '';

  #state = SIZE_FIRST;
  /** Size while it is read, then the bytes of this chunk still to come. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  readonly #section: TrailerSection;
  readonly #lenient: boolean;

  /** With `lenient`, blanks around a chunk size and before the colon of a trailer are left out: only for responses. */
  constructor(lenient: boolean) {
    this.#lenient = lenient;
    this.#section = new TrailerSection(lenient);
  }

  /** Bytes of trailer lines kept so far. */
  get trailerBytes(): number {
    return this.#section.size;
  }

  /** `named` are the lower-case names that Connection takes out of this message, trailers included. */
  reset(named: ReadonlySet<string> | null = null): void {
    this.trailers = null;
    this.rule = '';
    this.#state = SIZE_FIRST;
    this.#left = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#section.reset(named);
  }

  /** Advances from `pos`, reading only `buf[pos, end)`. */
  // oxlint-disable-next-line complexity -- the state machine of every chunked body
  step(buf: Buffer, pos: number, end: number): number {
    let i = pos;
    while (i < end) {
      switch (this.#state) {
        case DATA: {
          this.dataStart = i;
          this.dataEnd = Math.min(end, i + this.#left);
          this.#left -= this.dataEnd - i;
          if (this.#left === 0) this.#state = DATA_CR;
          this.pos = this.dataEnd;
          return CHUNK_DATA;
        }
        case DATA_CR:
          if (buf[i] !== CR) return this.#broken('chunk_end', i);
          this.#state = DATA_LF;
          i++;
          break;
        case DATA_LF:
          if (buf[i] !== LF) return this.#broken('chunk_end', i);
          this.#startSize();
          i++;
          break;
        case TRAILER: {
          i = this.#section.step(buf, i, end);
          if (this.#section.rule !== '') return this.#broken(this.#section.rule, i);
          if (this.#section.ended) return this.#finish(i);
          break;
        }
        case END:
          this.pos = i;
          return CHUNK_END;
        case BROKEN:
          this.pos = i;
          return CHUNK_BAD;
        default:
          if (!this.#stepSize(buf[i] as number))
            return this.#broken(this.rule === '' ? 'chunk_size' : this.rule, i);
          i++;
      }
    }
    this.pos = i;
    if (this.#state === END) return CHUNK_END;
    return this.#state === BROKEN ? CHUNK_BAD : CHUNK_MORE;
  }

  #startSize(): void {
    this.#state = SIZE_FIRST;
    this.#left = 0;
    this.#digits = 0;
  }

  #finish(i: number): number {
    this.#state = END;
    this.trailers = this.#section.lines();
    this.pos = i;
    return CHUNK_END;
  }

  #broken(rule: Rule, i: number): number {
    this.#state = BROKEN;
    this.rule = rule;
    this.pos = i;
    return CHUNK_BAD;
  }

  /** One byte of the line that starts a chunk: size, extensions, CRLF. */
  #stepSize(byte: number): boolean {
    switch (this.#state) {
      case SIZE_FIRST:
        if (this.#lenient && (byte === SPACE || byte === TAB)) return this.#countExtension();
        this.#state = SIZE;
        return this.#stepDigit(byte);
      case SIZE:
        if (HEX[byte] !== 255) return this.#stepDigit(byte);
        return this.#stepAfterValue(byte, 'chunk_size');
      case SIZE_LF:
        if (byte !== LF) return this.#refuse('line_bare_cr');
        this.#state = this.#left === 0 ? TRAILER : DATA;
        return true;
      default:
        return this.#countExtension() && this.#stepExtension(byte);
    }
  }

  #countExtension(): boolean {
    return (
      ++this.#extensionBytes <= CHUNK_EXTENSION_BYTES_MAX || this.#refuse('chunk_extension_bytes')
    );
  }

  #stepDigit(byte: number): boolean {
    const digit = HEX[byte] as number;
    if (digit === 255 || ++this.#digits > CHUNK_SIZE_DIGITS_MAX) return this.#refuse('chunk_size');
    this.#left = this.#left * 16 + digit;
    return this.#left <= Number.MAX_SAFE_INTEGER || this.#refuse('chunk_size');
  }

  /** After the size or a whole extension: the end of the line, or one more extension, maybe after white space. */
  #stepAfterValue(byte: number, rule: Rule): boolean {
    if (byte === CR) this.#state = SIZE_LF;
    else if (byte === SEMICOLON) this.#state = EXTENSION_NAME_FIRST;
    else if (byte === SPACE || byte === TAB) this.#state = EXTENSION_SPACE;
    else return this.#refuse(byte === LF ? 'line_bare_lf' : rule);
    return true;
  }

  // oxlint-disable-next-line complexity -- one state machine, off the usual path
  #stepExtension(byte: number): boolean {
    const isSpace = byte === SPACE || byte === TAB;
    switch (this.#state) {
      case EXTENSION_SPACE:
        if (byte === SEMICOLON) this.#state = EXTENSION_NAME_FIRST;
        else if (byte === CR && this.#lenient) this.#state = SIZE_LF;
        else if (!isSpace) return this.#refuse(byte === LF ? 'line_bare_lf' : 'chunk_extension');
        return true;
      case EXTENSION_NAME_FIRST:
        if (TOKEN[byte] === 1) this.#state = EXTENSION_NAME;
        else if (!isSpace) return this.#refuse(byte === LF ? 'line_bare_lf' : 'chunk_extension');
        return true;
      case EXTENSION_NAME:
        if (TOKEN[byte] === 1) return true;
        if (byte === EQUALS) this.#state = EXTENSION_VALUE_FIRST;
        else if (isSpace) this.#state = EXTENSION_NAME_SPACE;
        else return this.#stepAfterValue(byte, 'chunk_extension');
        return true;
      case EXTENSION_NAME_SPACE:
        if (byte === EQUALS) this.#state = EXTENSION_VALUE_FIRST;
        else if (byte === SEMICOLON) this.#state = EXTENSION_NAME_FIRST;
        else return isSpace || this.#refuse(byte === LF ? 'line_bare_lf' : 'chunk_extension');
        return true;
      case EXTENSION_VALUE_FIRST:
        if (byte === QUOTE) this.#state = EXTENSION_QUOTED;
        else if (TOKEN[byte] === 1) this.#state = EXTENSION_TOKEN;
        else return isSpace || this.#refuse(byte === LF ? 'line_bare_lf' : 'chunk_extension');
        return true;
      case EXTENSION_TOKEN:
        return TOKEN[byte] === 1 || this.#stepAfterValue(byte, 'chunk_extension');
      case EXTENSION_QUOTED:
        if (byte === QUOTE) this.#state = EXTENSION_QUOTED_END;
        else if (byte === BACKSLASH) this.#state = EXTENSION_ESCAPED;
        else
          return (
            QUOTED[byte] === 1 || this.#refuse(byte === LF ? 'line_bare_lf' : 'chunk_extension')
          );
        return true;
      case EXTENSION_ESCAPED:
        this.#state = EXTENSION_QUOTED;
        return VALUE[byte] === 1 || this.#refuse('chunk_extension');
      default:
        return this.#stepAfterValue(byte, 'chunk_extension');
    }
  }

  #refuse(rule: Rule): boolean {
    this.rule = rule;
    return false;
  }
}
