/** Content-Length, whatever the protocol. */

import { COMMA, ZERO } from './characters.ts';
import { skipSpace } from './grammar.ts';
import { BAD, FIELD_DROP, type Head, malformed } from './head.ts';

/**
 * Content-Length: digits only, once (RFC 9112 §6.3). With `merge`, equal values in a list or in several fields count as
 * one, as that section allows. Any other form than the plain number is written anew: some read `010` as eight.
 */
// oxlint-disable-next-line complexity -- one pass over a list, its grammar in one place
export function noteContentLength(buf: Buffer, at: number, head: Head, merge: boolean): number {
  const fields = head.fields;
  const start = fields[at + 3] as number;
  const end = fields[at + 4] as number;
  const first = head.contentLength < 0;
  if (!first && !merge) return malformed(head, 'content_length_repeated');
  let i = readLength(buf, start, end, head);
  if (i < 0) return BAD;
  const plain = i === end && (end - start === 1 || buf[start] !== ZERO);
  if (first && plain) return 0;
  while (i < end) {
    i = merge ? skipComma(buf, i, end) : -1;
    if (i < 0) return malformed(head, 'content_length_malformed');
    i = readLength(buf, i, end, head);
    if (i < 0) return BAD;
  }
  if (first) head.lengthAnew = true;
  fields[at] = FIELD_DROP;
  return 0;
}

/** Reads one number, which must be the one that was read before, if any. @returns the offset after it, or BAD */
function readLength(buf: Buffer, start: number, end: number, head: Head): number {
  let length = 0;
  let i = start;
  for (; i < end; i++) {
    const digit = (buf[i] as number) - ZERO;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
    if (length > Number.MAX_SAFE_INTEGER) return malformed(head, 'content_length_malformed');
  }
  if (i === start) return malformed(head, 'content_length_malformed');
  if (head.contentLength >= 0 && head.contentLength !== length)
    return malformed(head, 'content_length_repeated');
  head.contentLength = length;
  return i;
}

/** From after a list member to the next one; -1 when there is none. */
function skipComma(buf: Buffer, start: number, end: number): number {
  let i = skipSpace(buf, start, end);
  if (i >= end || buf[i] !== COMMA) return -1;
  i = skipSpace(buf, i + 1, end);
  return i < end ? i : -1;
}
