/** The character classes of HTTP as lookup tables, and comparisons on raw bytes. */

import {
  BACKSLASH,
  COMMA,
  DIGITS,
  HYPHEN,
  LETTERS,
  QUOTE,
  SPACE,
  SUB_DELIMS,
  TAB,
  UNRESERVED,
  table,
} from './characters.ts';

/** `tchar`: RFC 9110 §5.6.2. */
const PUNCTUATION = "!#$%&'*+-.^_`|~";
export const TOKEN = table(`${PUNCTUATION}${DIGITS}${LETTERS}`);
const IS_PUNCTUATION = table(PUNCTUATION);

/** What may stand in a field value or reason phrase: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
export const VALUE = new Uint8Array(256)
  .fill(1, SPACE)
  .fill(0, 0x7f, 0x80)
  .fill(1, TAB, TAB + 1);

/** In `PATH` and `QUERY`: what many senders leave raw, though it must be percent-encoded. */
export const RAW = 2;

/** `pchar`, the slash, and `[ ] | ^`, which browsers send as they are: RFC 3986 §3.3 and the URL standard. */
export const PATH = withRaw(`${UNRESERVED}${SUB_DELIMS}%:@/[]|^`, '"<>{}\\`');

/** What `PATH` has, the question mark, and what browsers do not escape in a query. */
export const QUERY = withRaw(`${UNRESERVED}${SUB_DELIMS}%:@/[]|^?{}\`\\`, '"<>');

/** No space, control character or `#`: those end a target or what a reader takes of it. */
function withRaw(characters: string, raw: string): Uint8Array {
  const classes = table(characters).fill(RAW, 0x80);
  for (let i = 0; i < raw.length; i++) classes[raw.charCodeAt(i)] = RAW;
  return classes;
}

/** A registered name as DNS and people use it; `sub-delims` and percent-encoding of RFC 3986 are left out on purpose. */
export const HOST = table(UNRESERVED);

/** Inside the brackets of an IPv6 address; no zone, no IPvFuture. */
export const IPV6 = table(`${DIGITS}abcdefABCDEF:.`);

/** `qdtext` of a quoted string: RFC 9110 §5.6.4. */
export const QUOTED = new Uint8Array(VALUE);
QUOTED[QUOTE] = 0;
QUOTED[BACKSLASH] = 0;

export function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB;
}

/** What stands around the members of a list, empty ones included: RFC 9110 §5.6.1.2. */
export function isListSeparator(byte: number): boolean {
  return byte === COMMA || byte === SPACE || byte === TAB;
}

/** Where the blanks from `start` on end. */
export function skipSpace(buf: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && (buf[i] === SPACE || buf[i] === TAB)) i++;
  return i;
}

/**
 * Whether the bytes from `start` on are `lower`, in any case. The caller has compared the length. `lower` has letters,
 * digits and `-` only, and the bytes passed `TOKEN` or `VALUE`: then `| 0x20` folds letters and nothing else.
 */
export function isName(buf: Uint8Array, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    if (((buf[start + i] as number) | 0x20) !== lower.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether `[start, end)` is `lower` in any case; conditions as for `isName`. */
export function isWord(buf: Uint8Array, start: number, end: number, lower: string): boolean {
  return end - start === lower.length && isName(buf, start, lower);
}

/** Whether a character of a token is neither letter nor digit. */
export function isPunctuation(byte: number): boolean {
  return IS_PUNCTUATION[byte] === 1;
}

/**
 * Whether the bytes are `lower` when any punctuation counts as `-`; asked after `isName` said no. CGI, WSGI and PHP see
 * one name in `a_b` and `a-b`, some gateways in `a.b` too, so that such a twin would pass for the real field.
 */
export function isTwin(buf: Uint8Array, start: number, lower: string): boolean {
  for (let i = 0; i < lower.length; i++) {
    const byte = buf[start + i] as number;
    const wanted = lower.charCodeAt(i);
    if (wanted === HYPHEN ? !isPunctuation(byte) : (byte | 0x20) !== wanted) return false;
  }
  return true;
}

/** Whether two ranges of token characters are the same name in any case. */
export function isSameName(buf: Uint8Array, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    const x = buf[a + i] as number;
    const y = buf[b + i] as number;
    if (x === y) continue;
    if ((x | 0x20) !== (y | 0x20)) return false;
    const letter = x | 0x20;
    if (letter < 0x61 || letter > 0x7a) return false;
  }
  return true;
}
