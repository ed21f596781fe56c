/**
 * What of the fields of a message is passed on, and what the proxy says of where a request comes from: the same in every version of
 * HTTP, since it is what the other side may believe.
 */

import { COMMA, SPACE, TAB, writeLineEnd } from '../head/characters.ts';
import {
  FIELD_CONNECTION,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_FORWARDING,
  FIELD_HOST,
  FIELD_KINDS,
  FIELD_MAX_FORWARDS,
  FIELD_STRIDE,
  FIELD_TRANSFER_ENCODING,
  FIELD_UPGRADE,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PROTO,
  type Head,
} from '../head/head.ts';
import { copy } from '../net/copy-whole.ts';
import type { Forwarding } from './source.ts';

const HTTP = Buffer.from('http');
const HTTPS = Buffer.from('https');
const FORWARDED_FOR = Buffer.from('X-Forwarded-For: ');
const FORWARDED_PROTO = Buffer.from('X-Forwarded-Proto: ');
const FORWARDED_HOST = Buffer.from('X-Forwarded-Host: ');

/** 1 for each of these kinds. */
export function kinds(...list: number[]): Uint8Array {
  const table = new Uint8Array(FIELD_KINDS);
  for (const kind of list) table[kind] = 1;
  return table;
}

/** Field kinds that are never copied, because the proxy writes its own or none. */
const STEERING = [
  FIELD_DROP,
  FIELD_HOST,
  FIELD_CONNECTION,
  FIELD_UPGRADE,
  FIELD_TRANSFER_ENCODING,
  FIELD_EXPECT,
  FIELD_MAX_FORWARDS,
];
const FORWARDED = [FIELD_X_FORWARDED_FOR, FIELD_X_FORWARDED_HOST, FIELD_X_FORWARDED_PROTO];
/** From a caller that nobody vouches for. */
const NOT_IN_REQUEST = kinds(...STEERING, ...FORWARDED, FIELD_FORWARDING);
/** From a trusted one, to whose X-Forwarded-* the proxy adds … */
const NOT_IN_REQUEST_EXTENDED = kinds(...STEERING, ...FORWARDED);
/** … or not. */
const NOT_IN_REQUEST_KEPT = kinds(...STEERING);
/** Of a response, what belongs to its connection. */
export const NOT_IN_RESPONSE = kinds(
  FIELD_DROP,
  FIELD_CONNECTION,
  FIELD_UPGRADE,
  FIELD_TRANSFER_ENCODING,
);

/** The kinds of fields of a request that are not copied. */
export function leftOut({ trusted, lines }: Forwarding): Uint8Array {
  if (!trusted) return NOT_IN_REQUEST;
  return lines === null ? NOT_IN_REQUEST_KEPT : NOT_IN_REQUEST_EXTENDED;
}

/** Writes the lines `X-Forwarded-*`, of a caller that is trusted behind what it says itself. */
export function writeForwarded(
  out: Buffer,
  from: number,
  data: Buffer,
  head: Head,
  forwarding: Forwarding,
): number {
  let at = from;
  if (!forwarding.trusted) {
    at += (forwarding.lines as Buffer).copy(out, at);
    if (head.hostEnd === head.hostStart) return at;
    at += FORWARDED_HOST.copy(out, at);
    return writeLineEnd(out, copy(data, head.hostStart, head.hostEnd, out, at));
  }
  at += FORWARDED_FOR.copy(out, at);
  mark(data, head, FIELD_X_FORWARDED_FOR, out, at);
  at = joinValues(data, head, FIELD_X_FORWARDED_FOR, out, at);
  at = writeLineEnd(out, at + forwarding.address.copy(out, at));
  at += FORWARDED_PROTO.copy(out, at);
  mark(data, head, FIELD_X_FORWARDED_PROTO, out, at);
  const proto = findField(head, FIELD_X_FORWARDED_PROTO);
  at = writeLineEnd(
    out,
    proto < 0
      ? at + (forwarding.secure ? HTTPS : HTTP).copy(out, at)
      : copyValue(data, head, proto, out, at),
  );
  const host = findField(head, FIELD_X_FORWARDED_HOST);
  if (host < 0 && head.hostEnd === head.hostStart) return at;
  at += FORWARDED_HOST.copy(out, at);
  mark(data, head, FIELD_X_FORWARDED_HOST, out, at);
  at =
    host < 0
      ? copy(data, head.hostStart, head.hostEnd, out, at)
      : copyValue(data, head, host, out, at);
  return writeLineEnd(out, at);
}

/** Index of the first field of a kind in `head.fields`, or -1. */
function findField(head: Head, kind: number): number {
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) if (head.fields[i] === kind) return i;
  return -1;
}

/** A value that stands behind a tab keeps it: no table of HTTP/2 may have it (RFC 7541 §6.2.3). Ours begins at `at`. */
function mark(data: Buffer, head: Head, kind: number, out: Buffer, at: number): void {
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE)
    if (head.fields[i] === kind && data[(head.fields[i + 3] as number) - 1] === TAB)
      out[at - 1] = TAB;
}

function copyValue(data: Buffer, head: Head, field: number, out: Buffer, at: number): number {
  return copy(data, head.fields[field + 3] as number, head.fields[field + 4] as number, out, at);
}

/** Writes all values of a kind, each followed by `, `. */
function joinValues(data: Buffer, head: Head, kind: number, out: Buffer, from: number): number {
  let at = from;
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    if (head.fields[i] !== kind) continue;
    at = copyValue(data, head, i, out, at);
    out[at++] = COMMA;
    out[at++] = SPACE;
  }
  return at;
}
