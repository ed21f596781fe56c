/**
 * Parses the head of a response in place: RFC 9112 §4, §5 and §6.3. What can be meant in one way only is accepted, since
 * it leaves in its usual form; docs/decisions/http1-strictness.md says what is refused and why.
 */
import {
  dropNamed,
  finishConnection,
  finishFraming,
  kindOfBoth,
  noteOfBoth,
  noteUpgrade,
  scanFields,
} from './field.ts';
import { CR, DOT, LF, SPACE, ZERO } from '../../head/characters.ts';
import { isName, VALUE } from '../../head/grammar.ts';
import {
  BAD,
  FIELD_CONTENT_LENGTH,
  FIELD_DATE,
  FIELD_DROP,
  FIELD_OTHER,
  FIELD_RETRY_AFTER,
  FIELD_SET_COOKIE,
  FIELD_STRIDE,
  FIELD_UPGRADE,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  type Head,
  type HeadLimits,
  INCOMPLETE,
  malformed,
  METHOD_HEAD,
  refuse,
} from '../../head/head.ts';

/**
 * Parses a response head from `buf[start, end)` into `head`. `requestMethod` is the METHOD_* that it answers.
 * @returns the offset after the head, INCOMPLETE, or BAD with `head.failure` 'bad_response' or 'response_head_too_large'
 */
// oxlint-disable-next-line max-params -- once per response: an options object would be an allocation
export function parseResponseHead(
  buf: Buffer,
  start: number,
  end: number,
  head: Head,
  limits: HeadLimits,
  requestMethod: number,
): number {
  head.reset();
  const stop = Math.min(end, start + limits.headBytesMax);
  let i = parseStatusLine(buf, start, stop, head);
  if (i >= 0) i = scanFields(buf, i, stop, head, Infinity, true);
  if (i >= 0 && finish(buf, head, requestMethod) === BAD) i = BAD;
  if (i === INCOMPLETE && stop - start >= limits.headBytesMax)
    i = refuse(head, 'head_too_large', 'head_bytes');
  if (i === BAD)
    head.failure = head.failure === 'head_too_large' ? 'response_head_too_large' : 'bad_response';
  return i;
}

// oxlint-disable-next-line complexity -- comparisons of single bytes are its whole content
function parseStatusLine(buf: Buffer, start: number, end: number, head: Head): number {
  // "HTTP/1.1 200" and one byte more, which tells whether the number ends there.
  if (start + 13 > end)
    return mayBecomeHttp1(buf, start, end) ? INCOMPLETE : malformed(head, 'version_malformed');
  const isHttp1 =
    buf[start] === 0x48 &&
    buf[start + 1] === 0x54 &&
    buf[start + 2] === 0x54 &&
    buf[start + 3] === 0x50 &&
    buf[start + 4] === 0x2f &&
    buf[start + 5] === 0x31 &&
    buf[start + 6] === DOT &&
    buf[start + 8] === SPACE;
  const minor = (buf[start + 7] as number) - ZERO;
  if (!isHttp1 || minor < 0 || minor > 9) return malformed(head, 'version_malformed');
  head.minor = minor === 0 ? 0 : 1;
  const hundreds = (buf[start + 9] as number) - ZERO;
  const tens = (buf[start + 10] as number) - ZERO;
  const ones = (buf[start + 11] as number) - ZERO;
  if (hundreds < 1 || hundreds > 9 || tens < 0 || tens > 9 || ones < 0 || ones > 9) {
    return malformed(head, 'status_malformed');
  }
  head.status = hundreds * 100 + tens * 10 + ones;
  return parseReason(buf, start + 12, end, head);
}

const HTTP1 = Buffer.from('HTTP/1.');

/** What is something else is refused with its first bytes: its sender may wait for us, and more would never come. */
function mayBecomeHttp1(buf: Buffer, start: number, end: number): boolean {
  const length = Math.min(end - start, HTTP1.length);
  for (let i = 0; i < length; i++) if (buf[start + i] !== HTTP1[i]) return false;
  return true;
}

/** The reason and the end of the line. Many servers leave out the space when there is no reason; nothing else can be meant. */
function parseReason(buf: Buffer, start: number, end: number, head: Head): number {
  let i = start;
  if (buf[i] === SPACE) i++;
  else if (buf[i] !== CR)
    return malformed(head, buf[i] === LF ? 'line_bare_lf' : 'status_malformed');
  head.reasonStart = i;
  while (i < end && VALUE[buf[i] as number] === 1) i++;
  head.reasonEnd = i;
  if (i >= end) return INCOMPLETE;
  if (buf[i] !== CR) return malformed(head, buf[i] === LF ? 'line_bare_lf' : 'reason_character');
  if (i + 1 >= end) return INCOMPLETE;
  return buf[i + 1] === LF ? i + 2 : malformed(head, 'line_bare_cr');
}

function finish(buf: Buffer, head: Head, requestMethod: number): number {
  const fields = head.fields;
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    const nameStart = fields[at + 1] as number;
    const length = (fields[at + 2] as number) - nameStart;
    let kind = kindOfBoth(buf, nameStart, length);
    if (kind === FIELD_OTHER) kind = kindOfResponse(buf, nameStart, length);
    fields[at] = kind;
    if (kind > FIELD_DROP && note(buf, at, head, kind) === BAD) return BAD;
  }
  if (finishFraming(head) === BAD) return BAD;
  if (head.connectionNames > 0 && dropNamed(buf, head, true) === BAD) return BAD;
  finishConnection(head);
  return finishBody(head, requestMethod);
}

/** RFC 9112 §6.3: which responses have a body, and where it ends. */
function finishBody(head: Head, requestMethod: number): number {
  const status = head.status;
  if (status < 200 || status === 204) return finishBodiless(head);
  if (status === 304 || requestMethod === METHOD_HEAD) return 0;
  if (head.chunked) head.framing = FRAMING_CHUNKED;
  else if (head.contentLength > 0) head.framing = FRAMING_LENGTH;
  else if (head.contentLength === 0) head.framing = FRAMING_NONE;
  else {
    head.framing = FRAMING_CLOSE;
    head.keepAlive = false;
  }
  return 0;
}

/**
 * RFC 9112 §6.1, RFC 9110 §8.6: neither framing field may be there, and none is passed on. Such a response ends with its
 * head, but who announces content may send it: after 204 nothing more is read, before the final response it is refused.
 */
function finishBodiless(head: Head): number {
  const announces = head.chunked || head.contentLength > 0;
  if (announces && head.status < 200) return malformed(head, 'bodiless_length');
  if (announces) head.keepAlive = false;
  if (head.contentLength >= 0) dropContentLength(head);
  return 0;
}

/** An Upgrade that is no list of protocols offers none. */
function offer(buf: Buffer, at: number, head: Head): void {
  const { fields, upgrades } = head;
  if (noteUpgrade(buf, fields[at + 3] as number, fields[at + 4] as number, head) !== BAD) return;
  fields[at] = FIELD_DROP;
  head.upgrades = upgrades;
  head.failure = '';
  head.rule = '';
}

function dropContentLength(head: Head): void {
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    if (head.fields[at] === FIELD_CONTENT_LENGTH) head.fields[at] = FIELD_DROP;
  }
  head.lengthAnew = false;
}

function note(buf: Buffer, at: number, head: Head, kind: number): number {
  switch (kind) {
    case FIELD_DATE:
      head.dated = true;
      return 0;
    case FIELD_UPGRADE:
      offer(buf, at, head);
      return 0;
    default:
      return noteOfBoth(buf, at, head, kind, true);
  }
}

/** The kind of a field that means something in responses alone. */
function kindOfResponse(buf: Buffer, start: number, length: number): number {
  switch (length) {
    case 2:
      return isName(buf, start, 'te') ? FIELD_DROP : FIELD_OTHER;
    case 4:
      return isName(buf, start, 'date') ? FIELD_DATE : FIELD_OTHER;
    case 10:
      return isName(buf, start, 'set-cookie') ? FIELD_SET_COOKIE : FIELD_OTHER;
    case 11:
      return isName(buf, start, 'retry-after') ? FIELD_RETRY_AFTER : FIELD_OTHER;
    default:
      return FIELD_OTHER;
  }
}
