/** Targets and authorities, whatever the protocol: RFC 3986 §3.2 to §3.4. */

import { copyWhole, wholeUpTo } from '../net/copy-whole.ts';
import {
  ASTERISK,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COLON,
  HEX_DIGITS,
  PERCENT,
  QUESTION,
  SLASH,
  ZERO,
} from './characters.ts';
import { HOST, IPV6, PATH, QUERY, RAW } from './grammar.ts';
import { type Head, isServerWide } from './head.ts';

/**
 * Notes where path and query of a target stand; its end is the caller's to note. Bytes that senders should have
 * percent-encoded are counted: they leave encoded (`copyTarget`).
 * @returns the offset of the first byte that belongs to neither, or `end`
 */
export function scanPath(buf: Buffer, start: number, end: number, head: Head): number {
  head.targetStart = start;
  let i = scan(buf, start, end, head, PATH);
  head.queryStart = i;
  if (i < end && buf[i] === QUESTION) i = scan(buf, i + 1, end, head, QUERY);
  return i;
}

// oxlint-disable-next-line max-params -- once per request: an options object would be an allocation
function scan(buf: Buffer, start: number, end: number, head: Head, classes: Uint8Array): number {
  let i = start;
  for (;;) {
    while (i < end && classes[buf[i] as number] === 1) i++;
    if (i >= end || classes[buf[i] as number] !== RAW) return i;
    head.targetRaw++;
    i++;
  }
}

/** Whether the bytes are a host with an optional port; an empty one is not (RFC 9110 §4.2.1). */
// oxlint-disable-next-line complexity -- once per request: loops over bytes, no calls
export function isAuthority(buf: Buffer, start: number, end: number): boolean {
  let i = start;
  if (start < end && buf[start] === BRACKET_OPEN) {
    i++;
    while (i < end && IPV6[buf[i] as number] === 1) i++;
    if (i < start + 3 || i >= end || buf[i] !== BRACKET_CLOSE) return false;
    i++;
  } else {
    while (i < end && HOST[buf[i] as number] === 1) i++;
    if (i === start) return false;
  }
  if (i === end) return true;
  if (buf[i] !== COLON || end - i > 6) return false;
  let port = 0;
  for (i++; i < end; i++) {
    const digit = (buf[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65535;
}

/**
 * Writes the target of a head as it is sent on, from `at`, and returns the new end. Every reader takes what is encoded for
 * the same bytes, while raw ones are refused by some and cut or turned by others.
 */
export function copyTarget(data: Buffer, head: Head, out: Buffer, at: number): number {
  if (head.targetRaw === 0) return copyWhole(data, head.targetStart, head.targetEnd, out, at);
  const { targetStart, queryStart } = head;
  return copyQuery(data, head, out, copyEncoded(data, targetStart, queryStart, PATH, out, at));
}

/** Writes its query alone, with the question mark. */
export function copyQuery(data: Buffer, head: Head, out: Buffer, at: number): number {
  return copyEncoded(data, head.queryStart, head.targetEnd, QUERY, out, at);
}

/** Percent-encodes what is raw by `classes`. */
// oxlint-disable-next-line max-params -- once per request, without an object
function copyEncoded(
  data: Buffer,
  start: number,
  end: number,
  classes: Uint8Array,
  out: Buffer,
  at: number,
): number {
  let to = at;
  for (let i = start; i < end; i++) {
    const byte = data[i] as number;
    if (classes[byte] !== RAW) {
      out[to++] = byte;
      continue;
    }
    out[to++] = PERCENT;
    out[to++] = HEX_DIGITS[byte >> 4] as number;
    out[to++] = HEX_DIGITS[byte & 15] as number;
  }
  return wholeUpTo(to, out);
}

/** Whether a request is for a path: OPTIONS for the server as a whole is for none. */
export function hasPath(data: Buffer, head: Head): boolean {
  return !isServerWide(head) && data[head.targetStart] !== ASTERISK;
}

/** The target of a head as it is sent on, for logs and explanations. */
export function sentTarget(data: Buffer, head: Head): Buffer {
  const out = Buffer.alloc(head.targetEnd - head.targetStart + 2 * head.targetRaw);
  copyTarget(data, head, out, 0);
  if (!head.targetSlash) return out;
  return Buffer.concat([Buffer.from([isServerWide(head) ? ASTERISK : SLASH]), out]);
}
