/**
 * From a head to a block of fields. What HTTP/1.1 leaves out or writes anew, HTTP/2 does, too (`http1/codec/head-writer.ts`); what
 * belongs to a connection is said by frames.
 */

import type { HeadEdit } from '../../head/filter.ts';
import { leftOut, NOT_IN_RESPONSE } from '../../http/passed-on.ts';
import type { Forwarding } from '../../http/source.ts';
import { FIELD_STRIDE, type Head, METHOD_GET, METHOD_POST } from '../../head/head.ts';
import { asForwardedHost, newStamp } from '../../head/stamp.ts';
import { sentTarget } from '../../head/target.ts';
import type { HpackEncoder } from './hpack-encoder.ts';
import { NAME_AUTHORITY, NAME_METHOD, NAME_PATH, numberOf } from './name.ts';
import { STATIC_GET, STATIC_HTTP, STATIC_HTTPS, STATIC_POST } from './static-table.ts';

const NAME_CONTENT_LENGTH = numberOf('content-length');
const NAME_FORWARDED_HOST = numberOf('x-forwarded-host');
const FORWARDED_HOST = Buffer.from('x-forwarded-host');
const PLAIN = { line: Buffer.from('x-forwarded-proto: http\r\n'), stamp: newStamp() };
const SECURE = { line: Buffer.from('x-forwarded-proto: https\r\n'), stamp: newStamp() };
const CONNECT = Buffer.from('CONNECT');
const PROTOCOL = Buffer.from(':protocol: websocket\r\n');
const TE_TRAILERS = Buffer.from('te: trailers\r\n');
const EXPECT = Buffer.from('expect: 100-continue\r\n');

/** What stands for the fields that leave, where they are those that came; 0 where something is said anew. */
export function repeatableSerial(head: Head): number {
  const isAnew = head.lengthAnew || head.expectContinue || head.maxForwards >= 0;
  return isAnew || head.upgrade ? 0 : head.serial;
}

/** Bytes of all that a head says, at most. */
export function fieldBytes(head: Head): number {
  const { fields } = head;
  const size = head.count * FIELD_STRIDE;
  let bytes = head.methodEnd - head.methodStart + head.hostEnd - head.hostStart;
  bytes += head.targetEnd - head.targetStart + 2 * head.targetRaw;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    bytes += (fields[at + 2] as number) - (fields[at + 1] as number);
    bytes += (fields[at + 4] as number) - (fields[at + 3] as number);
  }
  return bytes;
}

/** Bytes that an edit adds, at most. */
export function editBytes(edit: HeadEdit | null): number {
  if (edit === null) return 0;
  return (edit.host?.length ?? 0) + edit.target.length + (edit.extra?.lines.length ?? 0);
}

/** Puts the fields of `head` whose kind is not in `skip` into the block. */
function putFields(encoder: HpackEncoder, data: Buffer, head: Head, skip: Uint8Array): void {
  const { fields, stamps } = head;
  const { count } = head;
  for (let i = 0, at = 0; i < count; i++, at += FIELD_STRIDE) {
    const kind = fields[at] as number;
    if (skip[kind] === 1) continue;
    if (stamps !== null && encoder.known(stamps[i] as number)) continue;
    encoder.field(
      data,
      fields[at + 1] as number,
      fields[at + 2] as number,
      fields[at + 3] as number,
      fields[at + 4] as number,
    );
  }
}

function putLength(encoder: HpackEncoder, length: number): void {
  const digits = Buffer.from(String(length), 'latin1');
  encoder.named(NAME_CONTENT_LENGTH, digits, 0, digits.length);
}

/** What a request for a WebSocket begins with: RFC 8441 §4. */
export function putExtendedConnect(encoder: HpackEncoder): void {
  encoder.named(NAME_METHOD, CONNECT, 0, CONNECT.length);
  encoder.lines(PROTOCOL, 0, PROTOCOL.length);
}

/** Puts the method of a request into the block. */
export function putMethod(encoder: HpackEncoder, data: Buffer, head: Head): void {
  if (head.method === METHOD_GET) encoder.entry(STATIC_GET);
  else if (head.method === METHOD_POST) encoder.entry(STATIC_POST);
  else encoder.named(NAME_METHOD, data, head.methodStart, head.methodEnd);
}

/**
 * Puts a request into the block, but for its method, which goes first, and X-Forwarded-*. `fallbackHost` serves a caller that names none; `edit` says what
 * leaves otherwise than it stands, null for nothing.
 */
// oxlint-disable-next-line max-params -- once per request, without an object
export function putRequest(
  encoder: HpackEncoder,
  data: Buffer,
  head: Head,
  forwarding: Forwarding,
  fallbackHost: Buffer,
  edit: HeadEdit | null,
): void {
  encoder.entry(forwarding.secure ? STATIC_HTTPS : STATIC_HTTP);
  const host = edit === null ? null : edit.host;
  if (host !== null) encoder.named(NAME_AUTHORITY, host, 0, host.length);
  else if (head.hostEnd > head.hostStart) {
    if (!encoder.known(head.hostStamp))
      encoder.named(NAME_AUTHORITY, data, head.hostStart, head.hostEnd);
  } else encoder.named(NAME_AUTHORITY, fallbackHost, 0, fallbackHost.length);
  putTarget(encoder, data, head, edit);
  putFields(encoder, data, head, leftOut(forwarding));
  if (edit !== null && edit.extra !== null) putLines(encoder, edit.extra.lines);
  putAnew(encoder, head);
}

/** What each hop says anew. */
function putAnew(encoder: HpackEncoder, head: Head): void {
  if (head.lengthAnew) putLength(encoder, head.contentLength);
  if (head.maxForwards > 0)
    putLines(encoder, Buffer.from(`max-forwards: ${head.maxForwards - 1}\r\n`, 'latin1'));
  if (head.expectContinue) putLines(encoder, EXPECT);
  if (head.acceptsTrailers) putLines(encoder, TE_TRAILERS);
}

function putTarget(encoder: HpackEncoder, data: Buffer, head: Head, edit: HeadEdit | null): void {
  if (edit !== null && edit.target.length > 0)
    return encoder.named(NAME_PATH, edit.target.bytes, 0, edit.target.length);
  if (!head.targetSlash && head.targetRaw === 0) {
    if (!encoder.known(head.targetStamp))
      encoder.named(NAME_PATH, data, head.targetStart, head.targetEnd);
    return;
  }
  const target = sentTarget(data, head);
  encoder.named(NAME_PATH, target, 0, target.length);
}

/** Bytes of what `putForwarded` adds, at most. */
export function forwardedBytes(head: Head, { lines }: Forwarding): number {
  if (lines === null) return 0;
  return lines.length + FORWARDED_HOST.length + head.hostEnd - head.hostStart;
}

/** What says to the endpoint of a caller that nobody vouches for where its request comes from. */
export function putForwarded(
  encoder: HpackEncoder,
  data: Buffer,
  head: Head,
  { lines, stamp, secure }: Forwarding,
): void {
  if (lines === null) return;
  if (!encoder.known(stamp)) encoder.line(lines, 0, lines.length);
  const proto = secure ? SECURE : PLAIN;
  if (!encoder.known(proto.stamp)) putLines(encoder, proto.line);
  if (head.hostEnd === head.hostStart) return;
  if (encoder.known(asForwardedHost(head.hostStamp))) return;
  encoder.pair(NAME_FORWARDED_HOST, FORWARDED_HOST, data, head.hostStart, head.hostEnd);
}

function putLines(encoder: HpackEncoder, lines: Buffer): void {
  encoder.lines(lines, 0, lines.length);
}

/** Puts the head of a response into the block. What is added to it are lines, too. */
export function putResponse(encoder: HpackEncoder, data: Buffer, head: Head): void {
  encoder.status(head.status);
  putFields(encoder, data, head, NOT_IN_RESPONSE);
  if (head.lengthAnew) putLength(encoder, head.contentLength);
}
