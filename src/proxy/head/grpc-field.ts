/** What fields of gRPC say: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, and proposal A6 for retries. */

import { GRPC_CODES, GRPC_UNKNOWN } from '../../model/grpc-status.ts';
import { COLON, CR, PLUS, SEMICOLON, ZERO } from './characters.ts';
import { isWord } from './grammar.ts';
import type { Head } from './head.ts';
import { findNamed, isNamed } from './named.ts';

const TYPE = 'application/grpc';
const CONTENT_TYPE = 'content-type';
const STATUS = 'grpc-status';
/** Of a number of the protocol, at most. */
const DIGITS = 8;

/** A time limit that breaks the grammar. */
export const TIMEOUT_BAD = -1;
/** How long to wait before another try: the endpoint does not say. */
export const PUSHBACK_NONE = -1;
/** There must be none. */
export const PUSHBACK_NEVER = -2;

/** `application/grpc`, with a message format or parameters behind it; not gRPC-Web, which is another protocol. */
export function isGrpcType(data: Buffer, start: number, end: number): boolean {
  const stop = start + TYPE.length;
  if (stop > end || !isWord(data, start, stop, TYPE)) return false;
  return stop === end || data[stop] === PLUS || data[stop] === SEMICOLON;
}

/** Whether the content of a response is of gRPC. */
export function saysGrpc(data: Buffer, head: Head): boolean {
  const at = findNamed(data, head, CONTENT_TYPE);
  return at >= 0 && isGrpcType(data, head.fields[at + 3] as number, head.fields[at + 4] as number);
}

/** The number of up to eight digits that is the whole range, or -1. */
function numberIn(data: Buffer, start: number, end: number): number {
  if (end === start || end - start > DIGITS) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = (data[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** As callers do, takes what is no code of gRPC for UNKNOWN. */
function statusIn(data: Buffer, start: number, end: number): number {
  const number = numberIn(data, start, end);
  return number < 0 || number >= GRPC_CODES.length ? GRPC_UNKNOWN : number;
}

/** The number of the status that a head has, or -1. */
export function statusOfHead(data: Buffer, head: Head): number {
  const at = findNamed(data, head, STATUS);
  return at < 0 ? -1 : statusIn(data, head.fields[at + 3] as number, head.fields[at + 4] as number);
}

/** The same of trailers: lines `name: value`, each with its end. */
export function statusOfLines(lines: Buffer): number {
  let at = 0;
  while (at < lines.length) {
    let end = at;
    while (end < lines.length && lines[end] !== CR) end++;
    const nameEnd = at + STATUS.length;
    if (nameEnd + 2 <= end && isNamed(lines, at, nameEnd, STATUS) && lines[nameEnd] === COLON)
      return statusIn(lines, nameEnd + 2, end);
    at = end + 2;
  }
  return -1;
}

/** Milliseconds of H, M, S, m, u and n. */
const UNITS: ReadonlyMap<number, number> = new Map([
  [0x48, 3_600_000],
  [0x4d, 60_000],
  [0x53, 1_000],
  [0x6d, 1],
  [0x75, 1e-3],
  [0x6e, 1e-6],
]);

/** Milliseconds of `grpc-timeout`, or TIMEOUT_BAD. */
export function timeoutMs(data: Buffer, start: number, end: number): number {
  const number = end > start ? numberIn(data, start, end - 1) : -1;
  const unit = UNITS.get(data[end - 1] as number);
  return number < 0 || unit === undefined ? TIMEOUT_BAD : number * unit;
}

const VALUES = 10 ** DIGITS;

/** `grpc-timeout` for so many milliseconds, above 0: never longer, but for what is shorter than a microsecond. */
export function timeoutText(ms: number): string {
  if (ms < 100) return `${Math.max(1, Math.floor(ms * 1_000))}u`;
  if (ms < VALUES) return `${Math.floor(ms)}m`;
  if (ms < VALUES * 1_000) return `${Math.floor(ms / 1_000)}S`;
  return `${Math.min(VALUES - 1, Math.floor(ms / 3_600_000))}H`;
}

/** The whole number of a field, or -1 when it is not there or none. */
export function numberOfField(data: Buffer, head: Head, lower: string): number {
  const at = findNamed(data, head, lower);
  return at < 0 ? -1 : numberIn(data, head.fields[at + 3] as number, head.fields[at + 4] as number);
}

/** Milliseconds of `grpc-retry-pushback-ms`, or PUSHBACK_*. What is no number forbids as a negative one does. */
export function pushbackMs(data: Buffer, head: Head): number {
  const at = findNamed(data, head, 'grpc-retry-pushback-ms');
  if (at < 0) return PUSHBACK_NONE;
  const ms = numberIn(data, head.fields[at + 3] as number, head.fields[at + 4] as number);
  return ms < 0 ? PUSHBACK_NEVER : ms;
}
