/** Request targets and authorities: RFC 9112 §3.2, RFC 3986 §3.2. */
import { copyWhole, wholeUpTo } from '../../net/copy-whole.ts';
import {
  ASTERISK,
  BRACKET_CLOSE,
  BRACKET_OPEN,
  COLON,
  CR,
  LF,
  PERCENT,
  QUESTION,
  SLASH,
  SPACE,
  ZERO,
  HEX_DIGITS,
} from '../../head/characters.ts';
import { HOST, IPV6, isName, PATH, QUERY, RAW } from './grammar.ts';
import { type Head, INCOMPLETE, isServerWide, malformed, METHOD_OPTIONS } from '../../head/head.ts';

/** @returns the offset of the space after the target, INCOMPLETE or BAD */
export function parseTarget(buf: Buffer, start: number, end: number, head: Head): number {
  if (start >= end) return INCOMPLETE;
  const first = buf[start] as number;
  if (first === SLASH) return parsePath(buf, start, end, head);
  if (first === ASTERISK && head.method === METHOD_OPTIONS) {
    if (start + 1 >= end) return INCOMPLETE;
    head.targetStart = start;
    head.targetEnd = start + 1;
    head.queryStart = start + 1;
    return buf[start + 1] === SPACE ? start + 1 : malformed(head, 'target_form');
  }
  return parseAbsolute(buf, start, end, head);
}

/** Path and query. Bytes that senders should have percent-encoded are counted: they leave encoded (`copyTarget`). */
// oxlint-disable-next-line complexity -- two passes over bytes, no calls
function parsePath(buf: Buffer, start: number, end: number, head: Head): number {
  let i = start;
  for (;;) {
    while (i < end && PATH[buf[i] as number] === 1) i++;
    if (i >= end) return INCOMPLETE;
    if (PATH[buf[i] as number] !== RAW) break;
    head.targetRaw++;
    i++;
  }
  head.targetStart = start;
  head.queryStart = i;
  if (buf[i] === QUESTION) {
    i++;
    for (;;) {
      while (i < end && QUERY[buf[i] as number] === 1) i++;
      if (i >= end) return INCOMPLETE;
      if (QUERY[buf[i] as number] !== RAW) break;
      head.targetRaw++;
      i++;
    }
  }
  head.targetEnd = i;
  if (buf[i] === SPACE) return i;
  if (buf[i] === LF) return malformed(head, 'line_bare_lf');
  return malformed(head, buf[i] === CR ? 'version_malformed' : 'target_character');
}

/** `http://authority/path?query`: the authority is the host, the rest the target to send on. */
// oxlint-disable-next-line complexity -- one pass over one form, its grammar in one place
function parseAbsolute(buf: Buffer, start: number, end: number, head: Head): number {
  // At least the scheme and its delimiter are needed to tell a form that is unknown from one that is unfinished.
  let i = start;
  while (i < end && HOST[buf[i] as number] === 1) i++;
  if (i >= end || (buf[i] === COLON && i + 2 >= end)) return INCOMPLETE;
  if (buf[i] !== COLON || buf[i + 1] !== SLASH || buf[i + 2] !== SLASH)
    return malformed(head, 'target_form');
  if (i - start !== 4 || !isName(buf, start, 'http')) return malformed(head, 'target_scheme');
  i += 3;
  const hostStart = i;
  while (i < end && buf[i] !== SLASH && buf[i] !== QUESTION && buf[i] !== SPACE && buf[i] !== CR)
    i++;
  if (i >= end) return INCOMPLETE;
  if (!isAuthority(buf, hostStart, i)) return malformed(head, 'host_invalid');
  head.absoluteForm = true;
  head.hostStart = hostStart;
  head.hostEnd = i;
  head.targetSlash = buf[i] !== SLASH;
  return parsePath(buf, i, end, head);
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
  let to = at;
  for (let i = head.targetStart; i < head.targetEnd; i++) {
    const byte = data[i] as number;
    if ((i < head.queryStart ? PATH : QUERY)[byte] !== RAW) {
      out[to++] = byte;
      continue;
    }
    out[to++] = PERCENT;
    out[to++] = HEX_DIGITS[byte >> 4] as number;
    out[to++] = HEX_DIGITS[byte & 15] as number;
  }
  return wholeUpTo(to, out);
}

/** The target of a head as it is sent on, for logs and explanations. */
export function sentTarget(data: Buffer, head: Head): Buffer {
  const out = Buffer.alloc(head.targetEnd - head.targetStart + 2 * head.targetRaw);
  copyTarget(data, head, out, 0);
  if (!head.targetSlash) return out;
  return Buffer.concat([Buffer.from([isServerWide(head) ? ASTERISK : SLASH]), out]);
}
