/** What a browser asks before a call of gRPC-Web, which its rules let no page make unasked. */

import { FIELD_STRIDE, type Head, METHOD_OPTIONS } from '../head/head.ts';
import { isListSeparator, TOKEN } from '../head/grammar.ts';
import { findNamed, isNamed } from '../head/named.ts';

const METHOD = 'access-control-request-method';
const FIELDS = 'access-control-request-headers';
/** Of the names of fields that are allowed by saying them again; more is no preflight of gRPC-Web. */
const FIELDS_BYTES_MAX = 4_096;
/** Browsers ask again after two hours at the latest. The origin is looked at in each call, too. */
const LINES = Buffer.from('access-control-allow-methods: POST\r\naccess-control-max-age: 7200\r\n');
const ALLOWED = Buffer.from('access-control-allow-headers: ');
const END = Buffer.from('\r\n');

/**
 * Whether it asks what all calls of gRPC-Web have to ask: for leave to POST with a content type of its own. All else is none of ours,
 * and gets no leave by us.
 */
export function isPreflight(data: Buffer, head: Head): boolean {
  if (head.method !== METHOD_OPTIONS || findNamed(data, head, 'origin') < 0) return false;
  const method = onlyNamed(data, head, METHOD);
  const names = onlyNamed(data, head, FIELDS);
  if (method < 0 || names < 0) return false;
  return (
    isNamed(data, head.fields[method + 3] as number, head.fields[method + 4] as number, 'post') &&
    hasType(data, head.fields[names + 3] as number, head.fields[names + 4] as number)
  );
}

/** Whole lines that allow what a preflight asks for; `allows` says to whom. */
export function preflightLines(data: Buffer, head: Head, allows: Buffer): Buffer {
  const at = findNamed(data, head, FIELDS);
  const names = data.subarray(head.fields[at + 3], head.fields[at + 4]);
  return Buffer.concat([allows, LINES, ALLOWED, names, END]);
}

/** As `findNamed`; -1 where there are more, too. */
function onlyNamed(data: Buffer, head: Head, lower: string): number {
  const at = findNamed(data, head, lower);
  return at >= 0 && findNamed(data, head, lower, at + FIELD_STRIDE) >= 0 ? -1 : at;
}

/** Whether `data[start, end)` is a list of names, and the content type is one of them. */
function hasType(data: Buffer, start: number, end: number): boolean {
  if (end - start > FIELDS_BYTES_MAX) return false;
  let isFound = false;
  for (let at = start; at < end; at++) {
    const from = at;
    while (at < end && TOKEN[data[at] as number] === 1) at++;
    isFound ||= isNamed(data, from, at, 'content-type');
    if (at < end && !isListSeparator(data[at] as number)) return false;
  }
  return isFound;
}
