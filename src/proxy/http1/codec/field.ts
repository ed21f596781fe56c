/** The field section of a head: lines to offsets, and the fields that frame a message or steer a connection. */
import { COLON, COMMA, CR, LF, SLASH, SPACE, TAB } from '../../head/characters.ts';
import { noteContentLength } from '../../head/content-length.ts';
import {
  isListSeparator,
  isName,
  isSameName,
  isWord,
  skipSpace,
  TOKEN,
  VALUE,
} from '../../head/grammar.ts';
import {
  BAD,
  FIELD_CONNECTION,
  FIELD_CONTENT_LENGTH,
  FIELD_DATE,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_MAX_FORWARDS,
  FIELD_OTHER,
  FIELD_STRIDE,
  FIELD_TRAILER,
  FIELD_TRANSFER_ENCODING,
  FIELD_UPGRADE,
  type Head,
  INCOMPLETE,
  malformed,
  refuse,
} from '../../head/head.ts';

/** Fields that one message may name in Connection beside the known options: it bounds the work of dropping them. */
const CONNECTION_NAMES_MAX = 32;

/**
 * Notes name and value of each field line from `start` to the blank line: RFC 9112 §5. With `lenient`, white space before
 * a colon is left out, as §5.1 asks of a proxy for responses.
 * @returns the offset after the blank line, INCOMPLETE or BAD
 */
// oxlint-disable-next-line complexity, max-params -- the loop over every byte of every head: one pass, no calls
export function scanFields(
  buf: Buffer,
  start: number,
  end: number,
  head: Head,
  fieldsMax: number,
  lenient: boolean,
): number {
  let fields = head.fields;
  let at = 0;
  let i = start;
  for (;;) {
    if (i >= end) return INCOMPLETE;
    const nameStart = i;
    let byte = buf[i] as number;
    while (TOKEN[byte] === 1) {
      if (++i >= end) return INCOMPLETE;
      byte = buf[i] as number;
    }
    const nameEnd = i;
    if (byte !== COLON || i === nameStart) {
      if (byte === CR && i === nameStart) {
        if (i + 1 >= end) return INCOMPLETE;
        if (buf[i + 1] !== LF) return malformed(head, 'line_bare_cr');
        head.count = at / FIELD_STRIDE;
        return i + 2;
      }
      if (!lenient || i === nameStart) return refuseName(head, byte, i === nameStart);
      i = skipSpace(buf, i, end);
      if (i >= end) return INCOMPLETE;
      if (buf[i] !== COLON) return refuseName(head, byte, false);
    }
    i++;
    while (i < end && (buf[i] === SPACE || buf[i] === TAB)) i++;
    const valueStart = i;
    while (i < end && VALUE[buf[i] as number] === 1) i++;
    if (i >= end) return INCOMPLETE;
    if (buf[i] !== CR)
      return malformed(head, buf[i] === LF ? 'line_bare_lf' : 'field_value_character');
    if (i + 1 >= end) return INCOMPLETE;
    if (buf[i + 1] !== LF) return malformed(head, 'line_bare_cr');
    let valueEnd = i;
    while (valueEnd > valueStart && (buf[valueEnd - 1] === SPACE || buf[valueEnd - 1] === TAB))
      valueEnd--;
    if (at >= fields.length || at >= fieldsMax * FIELD_STRIDE) {
      if (at >= fieldsMax * FIELD_STRIDE) return refuse(head, 'head_too_large', 'head_fields');
      fields = head.grow();
    }
    fields[at + 1] = nameStart;
    fields[at + 2] = nameEnd;
    fields[at + 3] = valueStart;
    fields[at + 4] = valueEnd;
    at += FIELD_STRIDE;
    i += 2;
  }
}

function refuseName(head: Head, byte: number, empty: boolean): typeof BAD {
  if (byte === SPACE || byte === TAB)
    return malformed(head, empty ? 'field_folded' : 'field_name_space');
  if (byte === COLON) return malformed(head, 'field_name_empty');
  if (byte === LF) return malformed(head, 'line_bare_lf');
  return malformed(head, 'field_name_character');
}

/** The kind of a field that means the same in requests and responses, by its name: by length first, then by letters. */
// oxlint-disable-next-line complexity -- a table by length, once per field
export function kindOfBoth(buf: Buffer, start: number, length: number): number {
  switch (length) {
    case 7:
      if (isName(buf, start, 'upgrade')) return FIELD_UPGRADE;
      return isName(buf, start, 'trailer') ? FIELD_TRAILER : FIELD_OTHER;
    case 10:
      if (isName(buf, start, 'connection')) return FIELD_CONNECTION;
      return isName(buf, start, 'keep-alive') ? FIELD_DROP : FIELD_OTHER;
    case 14:
      return isName(buf, start, 'content-length') ? FIELD_CONTENT_LENGTH : FIELD_OTHER;
    case 16:
      return isName(buf, start, 'proxy-connection') ? FIELD_DROP : FIELD_OTHER;
    case 17:
      return isName(buf, start, 'transfer-encoding') ? FIELD_TRANSFER_ENCODING : FIELD_OTHER;
    default:
      return FIELD_OTHER;
  }
}

/** Takes in what frames a message or steers the connection; `lenient` with responses. 0, or BAD. */
// oxlint-disable-next-line max-params -- once per field, without an object
export function noteOfBoth(
  buf: Buffer,
  at: number,
  head: Head,
  kind: number,
  lenient: boolean,
): number {
  const start = head.fields[at + 3] as number;
  const end = head.fields[at + 4] as number;
  switch (kind) {
    case FIELD_CONTENT_LENGTH:
      return noteContentLength(buf, at, head, lenient);
    case FIELD_TRANSFER_ENCODING:
      return noteTransferEncoding(buf, start, end, head, lenient);
    case FIELD_CONNECTION:
      return noteConnection(buf, start, end, head, lenient);
    default:
      return 0;
  }
}

/**
 * Transfer-Encoding: counts codings; `finishFraming` judges them when all fields are seen. Empty list members are skipped
 * with `lenient` only (RFC 9110 §5.6.1.2): in requests they are a known disguise of the coding.
 */
// oxlint-disable-next-line complexity, max-params -- one pass over a list, its grammar in one place
function noteTransferEncoding(
  buf: Buffer,
  start: number,
  end: number,
  head: Head,
  lenient: boolean,
): number {
  if (isWord(buf, start, end, 'chunked')) {
    head.codings++;
    head.codingsChunked++;
    head.chunkedLast = true;
    return 0;
  }
  const before = head.codings;
  let i = lenient ? skipSeparators(buf, start, end) : start;
  for (;;) {
    const tokenStart = i;
    while (i < end && TOKEN[buf[i] as number] === 1) i++;
    if (i === tokenStart) return malformed(head, 'transfer_encoding_malformed');
    head.codings++;
    head.chunkedLast = isWord(buf, tokenStart, i, 'chunked');
    if (head.chunkedLast) head.codingsChunked++;
    while (i < end && (buf[i] === SPACE || buf[i] === TAB)) i++;
    if (i === end) return 0;
    if (buf[i] !== COMMA) {
      // Parameters of other codings are not looked into: such a message is refused in any case.
      if (isWord(buf, tokenStart, tokenStart + 7, 'chunked'))
        return malformed(head, 'transfer_encoding_malformed');
      while (i < end && buf[i] !== COMMA) i++;
      if (i === end) return 0;
    }
    i = lenient ? skipSeparators(buf, i, end) : skipSpace(buf, i + 1, end);
    if (lenient && i === end && head.codings > before) return 0;
  }
}

function skipSeparators(buf: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && isListSeparator(buf[i] as number)) i++;
  return i;
}

/** Judges Content-Length and Transfer-Encoding together: RFC 9112 §6.1, §6.3. */
export function finishFraming(head: Head): number {
  if (head.codings === 0) return 0;
  if (head.contentLength >= 0) return malformed(head, 'content_length_with_transfer_encoding');
  if (head.minor === 0) return malformed(head, 'transfer_encoding_http10');
  if (head.codingsChunked > 1) return malformed(head, 'transfer_encoding_repeated');
  if (!head.chunkedLast) return malformed(head, 'transfer_encoding_open');
  if (head.codings > 1) {
    return refuse(head, 'unsupported_coding', 'transfer_encoding_unsupported');
  }
  head.chunked = true;
  return 0;
}

/**
 * Connection: a list of tokens, empty members allowed (RFC 9110 §5.6.1.2, §7.6.1). With `lenient`, what is no token is
 * left out and the connection counts as one that closes.
 */
// oxlint-disable-next-line complexity, max-params -- one pass over a list, its grammar in one place
function noteConnection(
  buf: Buffer,
  start: number,
  end: number,
  head: Head,
  lenient: boolean,
): number {
  let i = start;
  while (i < end) {
    const tokenStart = i;
    while (i < end && TOKEN[buf[i] as number] === 1) i++;
    const tokenEnd = i;
    while (i < end && (buf[i] === SPACE || buf[i] === TAB)) i++;
    const broken = i < end && buf[i] !== COMMA;
    if (broken && !lenient) return malformed(head, 'connection_malformed');
    if (broken) {
      head.connectionClose = true;
      while (i < end && buf[i] !== COMMA) i++;
    } else if (tokenEnd > tokenStart) noteOption(buf, tokenStart, tokenEnd, head);
    i++;
    while (i < end && (buf[i] === SPACE || buf[i] === TAB)) i++;
  }
  if (head.connectionNames > CONNECTION_NAMES_MAX) return malformed(head, 'connection_options');
  return 0;
}

function noteOption(buf: Buffer, start: number, end: number, head: Head): void {
  if (isWord(buf, start, end, 'keep-alive')) head.connectionKeepAlive = true;
  else if (isWord(buf, start, end, 'close')) head.connectionClose = true;
  else if (isWord(buf, start, end, 'upgrade')) head.connectionUpgrade = true;
  else head.connectionNames++;
}

/**
 * Marks the fields that Connection names as FIELD_DROP. When it names one that frames or routes the message, it is refused;
 * with `lenient` that field stays what it is, as some servers name their Transfer-Encoding.
 */
export function dropNamed(buf: Buffer, head: Head, lenient: boolean): number {
  const fields = head.fields;
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    if (!isWord(buf, fields[at + 1] as number, fields[at + 2] as number, 'connection')) continue;
    const end = fields[at + 4] as number;
    let i = fields[at + 3] as number;
    while (i < end) {
      const start = i;
      while (i < end && TOKEN[buf[i] as number] === 1) i++;
      if (i > start && dropName(buf, start, i, head) === BAD && !lenient)
        return malformed(head, 'connection_framing');
      i++;
    }
  }
  return 0;
}

/** A field that stays behind is not written anew either. */
function forget(head: Head, kind: number): void {
  if (kind === FIELD_DATE) head.dated = false;
  else if (kind === FIELD_EXPECT) head.expectContinue = false;
  else if (kind === FIELD_MAX_FORWARDS) head.maxForwards = -1;
}

function dropName(buf: Buffer, start: number, end: number, head: Head): number {
  const length = end - start;
  if (
    isWord(buf, start, end, 'host') ||
    isWord(buf, start, end, 'content-length') ||
    isWord(buf, start, end, 'transfer-encoding')
  ) {
    return BAD;
  }
  if (isWord(buf, start, end, 'upgrade') || isWord(buf, start, end, 'close')) return 0;
  const fields = head.fields;
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE) {
    const nameStart = fields[at + 1] as number;
    if ((fields[at + 2] as number) - nameStart !== length) continue;
    if (fields[at] === FIELD_CONNECTION || !isSameName(buf, nameStart, start, length)) continue;
    forget(head, fields[at] as number);
    fields[at] = FIELD_DROP;
  }
  return 0;
}

/** Upgrade: a list of `name[/version]`, maybe in several fields, maybe with empty members (RFC 9110 §7.8, §5.6.1.2). */
export function noteUpgrade(buf: Buffer, start: number, end: number, head: Head): number {
  let i = start;
  while (i < end) {
    if (isListSeparator(buf[i] as number)) {
      i++;
      continue;
    }
    const stop = protocolEnd(buf, i, end);
    if (stop < 0) return malformed(head, 'upgrade_malformed');
    if (isH2c(buf, i, stop)) head.upgradeH2c = true;
    head.upgrades++;
    i = skipSpace(buf, stop, end);
    if (i < end && buf[i] !== COMMA) return malformed(head, 'upgrade_malformed');
  }
  return 0;
}

/** Where the `name[/version]` at `start` ends, or -1. */
function protocolEnd(buf: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && TOKEN[buf[i] as number] === 1) i++;
  if (i === start) return -1;
  if (i === end || buf[i] !== SLASH) return i;
  const versionStart = ++i;
  while (i < end && TOKEN[buf[i] as number] === 1) i++;
  return i === versionStart ? -1 : i;
}

function isH2c(buf: Buffer, start: number, end: number): boolean {
  return isWord(buf, start, start + 3, 'h2c') && (end === start + 3 || buf[start + 3] === SLASH);
}

/**
 * Sets what follows from version, Connection and Upgrade together: RFC 9112 §9.3, RFC 9110 §7.8. An offer of `h2c`
 * counts as no Upgrade at all: a tunnel whose inside is HTTP again would carry requests past every policy.
 */
export function finishConnection(head: Head): void {
  head.keepAlive = !head.connectionClose && (head.minor === 1 || head.connectionKeepAlive);
  head.upgrade =
    head.connectionUpgrade && head.minor === 1 && head.upgrades > 0 && !head.upgradeH2c;
}
