/** What a browser asks before a call of gRPC-Web, which its rules let no page make unasked. */

import { FIELD_STRIDE, type Head, METHOD_OPTIONS } from '../head/head.ts';
import { isListSeparator, TOKEN } from '../head/grammar.ts';
import { findNamed, isNamed } from '../head/named.ts';

const METHOD = 'access-control-request-method';
const FIELDS = 'access-control-request-headers';
/** Of the names of fields that are allowed by saying them again; more is allowed to nobody. */
const FIELDS_BYTES_MAX = 4_096;
/** Browsers ask again after two hours at the latest. The origin is looked at in each call, too. */
const LINES = Buffer.from('access-control-allow-methods: POST\r\naccess-control-max-age: 7200\r\n');
const ALLOWED = Buffer.from('access-control-allow-headers: ');
const END = Buffer.from('\r\n');

/** Whether it asks for leave to POST: the one method that gRPC has. */
export function isPreflight(data: Buffer, head: Head): boolean {
  if (head.method !== METHOD_OPTIONS || findNamed(data, head, 'origin') < 0) return false;
  const at = findNamed(data, head, METHOD);
  if (at < 0) return false;
  return isNamed(data, head.fields[at + 3] as number, head.fields[at + 4] as number, 'post');
}

/** Whole lines that allow what it asks for; `allows` says to whom. */
export function preflightLines(data: Buffer, head: Head, allows: Buffer): Buffer {
  const at = findNamed(data, head, FIELDS);
  if (at < 0) return Buffer.concat([allows, LINES]);
  const start = head.fields[at + 3] as number;
  const end = head.fields[at + 4] as number;
  const isOne = findNamed(data, head, FIELDS, at + FIELD_STRIDE) < 0;
  if (!isOne || !areNames(data, start, end)) return Buffer.concat([allows, LINES]);
  return Buffer.concat([allows, LINES, ALLOWED, data.subarray(start, end), END]);
}

function areNames(data: Buffer, start: number, end: number): boolean {
  if (end - start > FIELDS_BYTES_MAX) return false;
  for (let at = start; at < end; at++) {
    const byte = data[at] as number;
    if (TOKEN[byte] !== 1 && !isListSeparator(byte)) return false;
  }
  return true;
}
