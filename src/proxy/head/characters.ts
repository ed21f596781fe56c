/** Bytes and classes of bytes that heads are compared and written by, whatever the protocol. */

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const PERCENT = 0x25;
export const AMPERSAND = 0x26;
export const ASTERISK = 0x2a;
export const PLUS = 0x2b;
export const COMMA = 0x2c;
export const HYPHEN = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION = 0x3f;
export const BRACKET_OPEN = 0x5b;
export const BACKSLASH = 0x5c;
export const BRACKET_CLOSE = 0x5d;

export const DIGITS = '0123456789';
export const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';
/** RFC 3986 §2.3. */
export const UNRESERVED = `${DIGITS}${LETTERS}-._~`;
/** RFC 3986 §2.2. */
export const SUB_DELIMS = "!$&'()*+,;=";

/** 1 for each of these characters. */
export function table(characters: string): Uint8Array {
  const classes = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) classes[characters.charCodeAt(i)] = 1;
  return classes;
}

/** The value of a hexadecimal digit, or 255. */
export const HEX = new Uint8Array(256).fill(255);
for (let value = 0; value < 16; value++) {
  HEX['0123456789abcdef'.charCodeAt(value)] = value;
  HEX['0123456789ABCDEF'.charCodeAt(value)] = value;
}

/** What a byte is encoded with: RFC 3986 §2.1 asks for capitals. */
export const HEX_DIGITS = Buffer.from('0123456789ABCDEF');

/** Writes the end of a line at `at`; returns what is behind it. */
export function writeLineEnd(out: Buffer, at: number): number {
  out[at] = CR;
  out[at + 1] = LF;
  return at + 2;
}
