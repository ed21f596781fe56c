/** Writes the heads that leave the proxy: kept field lines are copied as bytes, everything else is normalised. */

import { writeDecimal } from '../../../base/decimal.ts';
import {
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_DROP,
  FIELD_STRIDE,
  FIELD_TRANSFER_ENCODING,
  FIELD_UPGRADE,
  type Head,
  isServerWide,
} from '../../head/head.ts';
import type { HeadEdit } from '../../head/filter.ts';
import { kinds, leftOut, NOT_IN_RESPONSE, writeForwarded } from '../../http/passed-on.ts';
import type { Forwarding } from '../../http/source.ts';
import { isExtendedConnect } from '../../http/websocket-handshake.ts';
import {
  ASTERISK,
  COLON,
  COMMA,
  CR,
  LF,
  SLASH,
  SPACE,
  writeLineEnd,
} from '../../head/characters.ts';
import { isListSeparator } from '../../head/grammar.ts';
import { copyTarget } from '../../head/target.ts';
import { copy, copyWhole, wholeUpTo } from '../../net/copy-whole.ts';

const NOT_IN_RESPONSE_CHUNKED = kinds(
  FIELD_DROP,
  FIELD_CONNECTION,
  FIELD_UPGRADE,
  FIELD_TRANSFER_ENCODING,
  FIELD_CONTENT_LENGTH,
);

const HTTP11 = Buffer.from(' HTTP/1.1\r\n');
const STATUS_LINE = Buffer.from('HTTP/1.1 ');
const GET = Buffer.from('GET');
const HOST = Buffer.from('Host: ');
const CONTENT_LENGTH = Buffer.from('Content-Length: ');
const MAX_FORWARDS = Buffer.from('Max-Forwards: ');
const EXPECT = Buffer.from('Expect: 100-continue\r\n');
const CHUNKED = Buffer.from('Transfer-Encoding: chunked\r\n');
const CONNECTION_UPGRADE = Buffer.from('Connection: Upgrade\r\nUpgrade: ');
/** RFC 9110 §10.1.4: TE is meant for the next hop, so each hop says it anew. */
const TE = Buffer.from('TE: trailers\r\nConnection: TE\r\n');
const TE_UPGRADE = Buffer.from('TE: trailers\r\nConnection: TE, Upgrade\r\nUpgrade: ');
const UPGRADE_CLOSE = Buffer.from('Connection: Upgrade, close\r\nUpgrade: ');
const UPGRADE_KEEP_ALIVE = Buffer.from('Connection: Upgrade, keep-alive\r\nUpgrade: ');
const CONNECTION_CLOSE = Buffer.from('Connection: close\r\n');
const CONNECTION_KEEP_ALIVE = Buffer.from('Connection: keep-alive\r\n');

/** An upper bound of what `writeRequestHead` writes for a head of `headBytes`, of which `raw` are encoded in the target. */
export function requestHeadBound(headBytes: number, raw: number): number {
  return (headBytes + raw) * 2 + 512;
}

/**
 * Writes the request head for an endpoint; returns the new end. `fallbackHost` serves HTTP/1.0 callers without Host; `edit` says what
 * leaves otherwise than it stands, null for nothing.
 */
export function writeRequestHead(
  out: Buffer,
  data: Buffer,
  head: Head,
  forwarding: Forwarding,
  fallbackHost: Buffer,
  edit: HeadEdit | null,
): number {
  // An Extended CONNECT is GET here.
  let at = isExtendedConnect(head)
    ? GET.copy(out, 0)
    : copy(data, head.methodStart, head.methodEnd, out, 0);
  out[at++] = SPACE;
  at = writeTarget(out, at, data, head, edit);
  at += HTTP11.copy(out, at);
  at += HOST.copy(out, at);
  const host = edit === null ? null : edit.host;
  if (host !== null) at += host.copy(out, at);
  else if (head.hostEnd > head.hostStart) at = copy(data, head.hostStart, head.hostEnd, out, at);
  else at += fallbackHost.copy(out, at);
  out[at++] = CR;
  out[at++] = LF;
  at = copyFields(data, head, out, at, leftOut(forwarding));
  if (edit !== null && edit.extra !== null) at += edit.extra.lines.copy(out, at);
  if (forwarding.lines !== null) at = writeForwarded(out, at, data, head, forwarding);
  if (head.lengthAnew) at = writeNumber(out, at, CONTENT_LENGTH, head.contentLength);
  if (head.maxForwards > 0) at = writeNumber(out, at, MAX_FORWARDS, head.maxForwards - 1);
  if (head.expectContinue) at += EXPECT.copy(out, at);
  if (head.chunked) at += CHUNKED.copy(out, at);
  at = writeConnection(out, at, data, head);
  return wholeUpTo(writeLineEnd(out, at), out);
}

function writeTarget(
  out: Buffer,
  from: number,
  data: Buffer,
  head: Head,
  edit: HeadEdit | null,
): number {
  if (edit !== null && edit.target.length > 0)
    return copyWhole(edit.target.bytes, 0, edit.target.length, out, from);
  let at = from;
  if (head.targetSlash) out[at++] = isServerWide(head) ? ASTERISK : SLASH;
  return copyTarget(data, head, out, at);
}

/** Writes Connection, and what it names. */
function writeConnection(out: Buffer, at: number, data: Buffer, head: Head): number {
  if (head.upgrade) {
    // Then it is in the edit.
    if (isExtendedConnect(head)) return at;
    const from = at + (head.acceptsTrailers ? TE_UPGRADE : CONNECTION_UPGRADE).copy(out, at);
    return writeLineEnd(out, joinUpgrades(data, head, out, from));
  }
  if (isLastOf10(head)) return at + CONNECTION_CLOSE.copy(out, at);
  return head.acceptsTrailers ? at + TE.copy(out, at) : at;
}

/**
 * A caller of HTTP/1.0 that wants one response takes the close for its end. There are servers that tell no length to HTTP/1.1
 * either, and then wait seconds for the next request before they close: they must know that there is none.
 */
function isLastOf10(head: Head): boolean {
  return head.minor === 0 && !head.keepAlive;
}

/** How the response leaves. */
export const RESPONSE_AS_IS = 0;
export const RESPONSE_CHUNKED = 1;
/** Without length: the end of the connection ends it (HTTP/1.0 callers). */
export const RESPONSE_UNTIL_CLOSE = 2;

export interface ResponseFraming {
  /** RESPONSE_… */
  readonly framing: number;
  readonly close: boolean;
  readonly http10: boolean;
  /** Upgrade is passed on, with the connection option that it needs. */
  readonly upgrade: boolean;
  /** A whole `Set-Cookie: …\r\n` line to add, or null. */
  readonly cookie: Buffer | null;
  /** Other whole lines to add, or null. */
  readonly extra: Buffer | null;
  /** A whole `Date: …\r\n` line for a response without one, or null. */
  readonly date: Buffer | null;
}

/** Writes the response head for the caller; returns the new end. */
export function writeResponseHead(
  out: Buffer,
  from: number,
  data: Buffer,
  head: Head,
  how: ResponseFraming,
): number {
  let at = from + STATUS_LINE.copy(out, from);
  const status = head.status;
  out[at++] = 48 + ((status / 100) | 0);
  out[at++] = 48 + (((status / 10) | 0) % 10);
  out[at++] = 48 + (status % 10);
  out[at++] = SPACE;
  at = writeLineEnd(out, copy(data, head.reasonStart, head.reasonEnd, out, at));
  const skip = how.framing === RESPONSE_AS_IS ? NOT_IN_RESPONSE : NOT_IN_RESPONSE_CHUNKED;
  at = copyFields(data, head, out, at, skip);
  if (head.lengthAnew && how.framing === RESPONSE_AS_IS)
    at = writeNumber(out, at, CONTENT_LENGTH, head.contentLength);
  at = copyLines(how.date, out, at);
  at = copyLines(how.extra, out, at);
  at = copyLines(how.cookie, out, at);
  if (how.framing === RESPONSE_CHUNKED) at += CHUNKED.copy(out, at);
  if (how.upgrade) {
    const options = how.http10 ? UPGRADE_KEEP_ALIVE : CONNECTION_UPGRADE;
    at += (how.close ? UPGRADE_CLOSE : options).copy(out, at);
    at = writeLineEnd(out, joinUpgrades(data, head, out, at));
  } else if (how.close) at += CONNECTION_CLOSE.copy(out, at);
  else if (how.http10) at += CONNECTION_KEEP_ALIVE.copy(out, at);
  return wholeUpTo(writeLineEnd(out, at), out);
}

/**
 * Copies the field lines whose kind is not in `skip`. Lines that are already `Name: value CRLF` and stand next to each
 * other go as one run; only a line with other white space is written anew.
 */
function copyFields(data: Buffer, head: Head, out: Buffer, from: number, skip: Uint8Array): number {
  const fields = head.fields;
  const last = head.count * FIELD_STRIDE;
  let at = from;
  let runStart = -1;
  let runEnd = -1;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    if (skip[fields[i] as number] === 1) continue;
    const nameStart = fields[i + 1] as number;
    const nameEnd = fields[i + 2] as number;
    const valueStart = fields[i + 3] as number;
    const valueEnd = fields[i + 4] as number;
    const canonical =
      valueStart === nameEnd + 2 && data[nameEnd + 1] === SPACE && data[valueEnd] === CR;
    if (canonical && nameStart === runEnd) {
      runEnd = valueEnd + 2;
      continue;
    }
    if (runStart >= 0) at = copy(data, runStart, runEnd, out, at);
    runStart = -1;
    runEnd = -1;
    if (canonical) {
      runStart = nameStart;
      runEnd = valueEnd + 2;
      continue;
    }
    at = copy(data, nameStart, nameEnd, out, at);
    out[at++] = COLON;
    out[at++] = SPACE;
    at = writeLineEnd(out, copy(data, valueStart, valueEnd, out, at));
  }
  return runStart >= 0 ? copy(data, runStart, runEnd, out, at) : at;
}

/** Writes what the Upgrade fields list as one list, without empty members. */
function joinUpgrades(data: Buffer, head: Head, out: Buffer, from: number): number {
  const last = head.count * FIELD_STRIDE;
  let at = from;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    if (head.fields[i] !== FIELD_UPGRADE) continue;
    const end = head.fields[i + 4] as number;
    let start = head.fields[i + 3] as number;
    while (start < end) {
      let stop = start;
      while (stop < end && !isListSeparator(data[stop] as number)) stop++;
      if (stop > start) {
        if (at > from) {
          out[at++] = COMMA;
          out[at++] = SPACE;
        }
        at = copy(data, start, stop, out, at);
      }
      start = stop + 1;
    }
  }
  return at;
}

function copyLines(lines: Buffer | null, out: Buffer, at: number): number {
  return lines === null ? at : at + lines.copy(out, at);
}

function writeNumber(out: Buffer, at: number, name: Buffer, value: number): number {
  return writeLineEnd(out, writeDecimal(value, out, at + name.copy(out, at)));
}
