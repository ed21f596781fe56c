/** What a method and some fields of a request say, whatever the protocol. */

import { COMMA, ZERO } from './characters.ts';
import { isBlank, isWord, skipSpace } from './grammar.ts';
import {
  FIELD_OTHER,
  type Head,
  malformed,
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
  refuse,
} from './head.ts';

/** Digits of Max-Forwards. */
const MAX_FORWARDS_DIGITS_MAX = 9;

/** Methods are case-sensitive: RFC 9110 §9.1. */
// oxlint-disable-next-line complexity -- a table by length, once per request
export function methodOf(buf: Buffer, start: number, end: number): number {
  switch (end - start) {
    case 3:
      if (isUpper(buf, start, 'GET')) return METHOD_GET;
      return isUpper(buf, start, 'PUT') ? METHOD_PUT : METHOD_OTHER;
    case 4:
      if (isUpper(buf, start, 'POST')) return METHOD_POST;
      return isUpper(buf, start, 'HEAD') ? METHOD_HEAD : METHOD_OTHER;
    case 5:
      if (isUpper(buf, start, 'PATCH')) return METHOD_PATCH;
      return isUpper(buf, start, 'TRACE') ? METHOD_TRACE : METHOD_OTHER;
    case 6:
      return isUpper(buf, start, 'DELETE') ? METHOD_DELETE : METHOD_OTHER;
    case 7:
      if (isUpper(buf, start, 'OPTIONS')) return METHOD_OPTIONS;
      return isUpper(buf, start, 'CONNECT') ? METHOD_CONNECT : METHOD_OTHER;
    default:
      return METHOD_OTHER;
  }
}

function isUpper(buf: Buffer, start: number, upper: string): boolean {
  for (let i = 0; i < upper.length; i++) if (buf[start + i] !== upper.charCodeAt(i)) return false;
  return true;
}

/**
 * Expect: a list of which `100-continue` is the only member known, or it is empty (RFC 9110 §10.1.1, §5.6.1.2). In
 * HTTP/1.0 it is ignored. It is never passed on as it came: an endpoint might answer what is ignored here.
 */
export function noteExpect(buf: Buffer, start: number, end: number, head: Head): number {
  if (head.minor === 0) return 0;
  let i = start;
  while (i < end) {
    const from = i;
    while (i < end && buf[i] !== COMMA) i++;
    let to = i++;
    while (to > from && isBlank(buf[to - 1] as number)) to--;
    if (to > from) {
      if (!isWord(buf, from, to, '100-continue'))
        return refuse(head, 'expectation_failed', 'expect_unknown');
      head.expectContinue = true;
    }
    i = skipSpace(buf, i, end);
  }
  return 0;
}

/** RFC 9110 §7.6.2: for OPTIONS and TRACE it is counted down, for other methods it means nothing. */
export function noteMaxForwards(buf: Buffer, at: number, head: Head): number {
  const { fields } = head;
  if (head.method !== METHOD_OPTIONS && head.method !== METHOD_TRACE) {
    fields[at] = FIELD_OTHER;
    return 0;
  }
  const start = fields[at + 3] as number;
  const size = (fields[at + 4] as number) - start;
  const isNumber = size > 0 && size <= MAX_FORWARDS_DIGITS_MAX;
  if (!isNumber || head.maxForwards >= 0) return malformed(head, 'max_forwards_malformed');
  let value = 0;
  for (let i = start; i < start + size; i++) {
    const digit = (buf[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return malformed(head, 'max_forwards_malformed');
    value = value * 10 + digit;
  }
  head.maxForwards = value;
  return 0;
}
