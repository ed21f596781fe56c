/** Appends text and numbers to a buffer without making strings: what one log line is built with. */

import { writeDecimal } from '../../base/decimal.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const HEX = '0123456789ABCDEF';

/** Bytes that one UTF-16 unit may take at most (`\u001f`). */
export const BYTES_PER_CHAR_MAX = 6;

export class LineWriter {
  buffer: Buffer;
  length = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  byte(value: number): void {
    this.buffer[this.length++] = value;
  }

  /** What was written before, by another writer: one copy, where byte by byte would be dear. */
  bytes(written: Uint8Array): void {
    this.buffer.set(written, this.length);
    this.length += written.length;
  }

  /** ASCII that needs no escaping. */
  ascii(text: string): void {
    const { buffer } = this;
    let at = this.length;
    for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
    this.length = at;
  }

  /**
   * Text between quotes, at most `charsMax` units of it. Quote and backslash get a backslash; everything outside
   * printable ASCII becomes `\u001f`, which JSON readers turn back and terminals leave alone.
   */
  text(text: string, charsMax: number): void {
    const end = Math.min(text.length, charsMax);
    const plain = this.#plainText(text, end);
    for (let i = plain; i < end; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x20 && code < 0x7f) {
        if (code === QUOTE || code === BACKSLASH) this.byte(BACKSLASH);
        this.byte(code);
      } else this.#unicodeEscape(code);
    }
  }

  /** Writes what needs no escape from the start of the text on, and says how far that is: mostly all of it. */
  #plainText(text: string, end: number): number {
    const { buffer } = this;
    const start = this.length;
    let i = 0;
    for (; i < end; i++) {
      const code = text.charCodeAt(i);
      if (code < 0x20 || code >= 0x7f || code === QUOTE || code === BACKSLASH) break;
      buffer[start + i] = code;
    }
    this.length = start + i;
    return i;
  }

  /**
   * Bytes of a request target between quotes. What RFC 3986 does not allow bare (controls, space, bytes from 0x80 on)
   * is percent-encoded, so that the line is ASCII whatever the caller sent.
   */
  target(bytes: Uint8Array, length: number): void {
    const { buffer } = this;
    const start = this.length;
    let plain = 0;
    for (; plain < length; plain++) {
      const byte = bytes[plain] as number;
      if (byte <= 0x20 || byte >= 0x7f || byte === QUOTE || byte === BACKSLASH) break;
      buffer[start + plain] = byte;
    }
    this.length = start + plain;
    for (let i = plain; i < length; i++) {
      const byte = bytes[i] ?? 0;
      if (byte > 0x20 && byte < 0x7f) {
        if (byte === QUOTE || byte === BACKSLASH) this.byte(BACKSLASH);
        this.byte(byte);
      } else {
        this.byte(PERCENT);
        this.byte(HEX.charCodeAt(byte >> 4));
        this.byte(HEX.charCodeAt(byte & 15));
      }
    }
  }

  /** A whole number from 0 to 2^53 - 1; what lies outside is written as the nearer end, what is no number as 0. */
  integer(value: number): void {
    this.length = writeDecimal(value, this.buffer, this.length);
  }

  /** The last `digits` decimal digits of a whole number, with leading zeros. */
  padded(value: number, digits: number): void {
    let rest = value;
    for (let at = this.length + digits - 1; at >= this.length; at--) {
      const next = Math.floor(rest / 10);
      this.buffer[at] = 0x30 + (rest - next * 10);
      rest = next;
    }
    this.length += digits;
  }

  /** A number with three decimals, from 0 to 2^53 / 1000. */
  thousandths(value: number): void {
    const all = value > 0 ? Math.min(Math.round(value * 1000), Number.MAX_SAFE_INTEGER) : 0;
    const whole = Math.floor(all / 1000);
    this.integer(whole);
    this.byte(0x2e);
    this.padded(all - whole * 1000, 3);
  }

  #unicodeEscape(code: number): void {
    this.byte(BACKSLASH);
    this.byte(0x75);
    for (let shift = 12; shift >= 0; shift -= 4) this.byte(HEX.charCodeAt((code >> shift) & 15));
  }
}
