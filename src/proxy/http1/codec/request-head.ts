/** Parses the head of a request in place: RFC 9112 §3 and §5, as strict as docs/decisions/http1-strictness.md says. */
import {
  dropNamed,
  finishConnection,
  finishFraming,
  kindOfBoth,
  noteOfBoth,
  noteUpgrade,
  scanFields,
} from './field.ts';
import { FORWARDING, forwardingField, NOT_FORWARDING } from '../../head/forwarding-field.ts';
import { COMMA, CR, DOT, LF, SPACE, ZERO } from '../../head/characters.ts';
import { isName, isTwin, isWord, skipSpace, TOKEN } from '../../head/grammar.ts';
import {
  BAD,
  FIELD_COOKIE,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_FORWARDING,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_OTHER,
  FIELD_STRIDE,
  FIELD_TE,
  FIELD_TRACEPARENT,
  FIELD_UPGRADE,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PROTO,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  type Head,
  type HeadLimits,
  INCOMPLETE,
  malformed,
  METHOD_CONNECT,
  METHOD_TRACE,
  refuse,
} from '../../head/head.ts';
import { isAuthority } from '../../head/target.ts';
import { methodOf, noteExpect, noteMaxForwards } from '../../head/request-field.ts';
import { parseTarget } from './target.ts';

/**
 * Parses a request head from `buf[start, end)` into `head`, reading nothing outside that range.
 * @returns the offset after the head; INCOMPLETE when more bytes are needed; BAD when `head.failure` and `head.rule` are set
 */
// oxlint-disable-next-line max-params -- once per request: an options object would be an allocation
export function parseRequestHead(
  buf: Buffer,
  start: number,
  end: number,
  head: Head,
  limits: HeadLimits,
): number {
  head.reset();
  const stop = Math.min(end, start + limits.headBytesMax);
  let i = parseRequestLine(buf, start, stop, head);
  if (i >= 0) i = scanFields(buf, i, stop, head, limits.headFieldsMax, false);
  if (i >= 0) return finish(buf, head) === BAD ? BAD : i;
  if (i === INCOMPLETE && stop - start >= limits.headBytesMax)
    return refuse(head, isInTarget(head) ? 'target_too_long' : 'head_too_large', 'head_bytes');
  return i;
}

/** Whether the target is what does not end: RFC 9112 §3. */
function isInTarget(head: Head): boolean {
  return head.methodEnd > 0 && head.targetEnd === 0;
}

// oxlint-disable-next-line complexity -- every request passes here: branches, no calls
function parseRequestLine(buf: Buffer, start: number, end: number, head: Head): number {
  let i = start;
  // RFC 9112 §2.2: an empty line before the request line, from clients that end a body with CRLF.
  if (i < end && buf[i] === CR) {
    if (i + 1 >= end) return INCOMPLETE;
    if (buf[i + 1] !== LF) return malformed(head, 'line_bare_cr');
    i += 2;
  }
  const methodStart = i;
  while (i < end && TOKEN[buf[i] as number] === 1) i++;
  if (i >= end) return INCOMPLETE;
  if (buf[i] !== SPACE || i === methodStart) {
    return malformed(head, buf[i] === LF ? 'line_bare_lf' : 'method_character');
  }
  head.methodStart = methodStart;
  head.methodEnd = i;
  head.method = methodOf(buf, methodStart, i);
  if (head.method === METHOD_CONNECT) return refuse(head, 'unsupported_method', 'method_connect');
  i = parseTarget(buf, i + 1, end, head);
  if (i < 0) return i;
  return parseVersion(buf, i + 1, end, head);
}

/** `HTTP/1.x` and the end of the line. A minor above 1 is treated as 1: RFC 9110 §2.5. */
// oxlint-disable-next-line complexity -- eight comparisons of single bytes are its whole content
function parseVersion(buf: Buffer, start: number, end: number, head: Head): number {
  if (start + 10 > end) return INCOMPLETE;
  const isHttp =
    buf[start] === 0x48 &&
    buf[start + 1] === 0x54 &&
    buf[start + 2] === 0x54 &&
    buf[start + 3] === 0x50 &&
    buf[start + 4] === 0x2f;
  const major = (buf[start + 5] as number) - ZERO;
  const minor = (buf[start + 7] as number) - ZERO;
  if (!isHttp || buf[start + 6] !== DOT || major < 0 || major > 9 || minor < 0 || minor > 9) {
    return malformed(head, 'version_malformed');
  }
  if (buf[start + 8] !== CR)
    return malformed(head, buf[start + 8] === LF ? 'line_bare_lf' : 'version_malformed');
  if (buf[start + 9] !== LF) return malformed(head, 'line_bare_cr');
  if (major !== 1) return refuse(head, 'unsupported_version', 'version_unsupported');
  head.minor = minor === 0 ? 0 : 1;
  return start + 10;
}

/** Classifies every field, then judges what only all of them together tell. */
// oxlint-disable-next-line complexity -- every request passes here
function finish(buf: Buffer, head: Head): number {
  const fields = head.fields;
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    const nameStart = fields[at + 1] as number;
    const length = (fields[at + 2] as number) - nameStart;
    let kind = kindOfBoth(buf, nameStart, length);
    if (kind === FIELD_OTHER) kind = kindOfRequest(buf, nameStart, length);
    if (kind === FIELD_OTHER) kind = claimOf(buf, nameStart, length);
    fields[at] = kind;
    if (kind > FIELD_DROP && note(buf, at, head, kind) === BAD) return BAD;
  }
  if (head.hosts === 0 && head.minor === 1) return malformed(head, 'host_missing');
  if (finishFraming(head) === BAD) return BAD;
  if (head.connectionNames > 0 && dropNamed(buf, head, false) === BAD) return BAD;
  finishConnection(head);
  head.framing = head.chunked
    ? FRAMING_CHUNKED
    : head.contentLength > 0
      ? FRAMING_LENGTH
      : FRAMING_NONE;
  // RFC 9110 §10.1.1: only a request with content may have the expectation.
  if (head.framing === FRAMING_NONE) head.expectContinue = false;
  // RFC 9110 §9.3.8
  else if (head.method === METHOD_TRACE) return malformed(head, 'trace_content');
  if (head.maxForwards === 0) return refuse(head, 'unsupported_method', 'max_forwards_used');
  return 0;
}

function note(buf: Buffer, at: number, head: Head, kind: number): number {
  const start = head.fields[at + 3] as number;
  const end = head.fields[at + 4] as number;
  switch (kind) {
    case FIELD_HOST:
      return noteHost(buf, start, end, head);
    case FIELD_UPGRADE:
      return noteUpgrade(buf, start, end, head);
    case FIELD_EXPECT:
      return noteExpect(buf, start, end, head);
    case FIELD_MAX_FORWARDS:
      return noteMaxForwards(buf, at, head);
    case FIELD_TE:
      head.fields[at] = FIELD_DROP;
      noteTe(buf, start, end, head);
      return 0;
    default:
      return noteOfBoth(buf, at, head, kind, false);
  }
}

/**
 * RFC 9112 §3.2: once, valid, and empty when the target has no authority: then the name of the Service is sent on, as
 * when an HTTP/1.0 caller names no host. §3.2.2: an absolute-form target wins over it.
 */
function noteHost(buf: Buffer, start: number, end: number, head: Head): number {
  if (++head.hosts > 1) return malformed(head, 'host_repeated');
  if (start === end && !head.absoluteForm) return 0;
  if (!isAuthority(buf, start, end)) return malformed(head, 'host_invalid');
  if (!head.absoluteForm) {
    head.hostStart = start;
    head.hostEnd = end;
  }
  return 0;
}

/** TE itself is never forwarded; whether the caller takes trailers is: RFC 9110 §10.1.4. */
function noteTe(buf: Buffer, start: number, end: number, head: Head): void {
  let i = start;
  while (i < end) {
    const from = i;
    while (i < end && TOKEN[buf[i] as number] === 1) i++;
    if (isWord(buf, from, i, 'trailers')) head.acceptsTrailers = true;
    while (i < end && buf[i] !== COMMA) i++;
    i++;
    i = skipSpace(buf, i, end);
  }
}

/** The kind of a field that means something in requests alone. */
// oxlint-disable-next-line complexity -- a table by length, once per field
function kindOfRequest(buf: Buffer, start: number, length: number): number {
  switch (length) {
    case 2:
      return isName(buf, start, 'te') ? FIELD_TE : FIELD_OTHER;
    case 4:
      return isName(buf, start, 'host') ? FIELD_HOST : FIELD_OTHER;
    case 6:
      if (isName(buf, start, 'cookie')) return FIELD_COOKIE;
      return isName(buf, start, 'expect') ? FIELD_EXPECT : FIELD_OTHER;
    case 11:
      return isName(buf, start, 'traceparent') ? FIELD_TRACEPARENT : FIELD_OTHER;
    case 12:
      return isName(buf, start, 'max-forwards') ? FIELD_MAX_FORWARDS : FIELD_OTHER;
    case 14:
      return isName(buf, start, 'http2-settings') ? FIELD_DROP : twin(buf, start, 'content-length');
    case 15:
      return isName(buf, start, 'x-forwarded-for') ? FIELD_X_FORWARDED_FOR : FIELD_OTHER;
    case 16:
      return isName(buf, start, 'x-forwarded-host') ? FIELD_X_FORWARDED_HOST : FIELD_OTHER;
    case 17:
      if (isName(buf, start, 'x-forwarded-proto')) return FIELD_X_FORWARDED_PROTO;
      return twin(buf, start, 'transfer-encoding');
    default:
      return FIELD_OTHER;
  }
}

/** A field that an application could take for one that frames the message is dropped. */
function twin(buf: Buffer, start: number, lower: string): number {
  return isTwin(buf, start, lower) ? FIELD_DROP : FIELD_OTHER;
}

/** What a field of no other kind claims about who calls. */
function claimOf(buf: Buffer, start: number, length: number): number {
  const found = forwardingField(buf, start, length);
  if (found === NOT_FORWARDING) return FIELD_OTHER;
  return found === FORWARDING ? FIELD_FORWARDING : FIELD_DROP;
}
