/**
 * From decoded fields to the head of a request: RFC 9113 §8.2 and §8.3, RFC 8441. As strict as with HTTP/1.1, and with the same
 * kinds of fields, so that everybody behind sees no difference.
 */

import { ASTERISK, SLASH } from '../../head/characters.ts';
import { noteContentLength } from '../../head/content-length.ts';
import { isSameName, isWord, TOKEN } from '../../head/grammar.ts';
import { isGrpcType } from '../../head/grpc-field.ts';
import {
  BAD,
  FIELD_CONTENT_LENGTH,
  FIELD_CONTENT_TYPE,
  FIELD_COOKIE,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_OTHER,
  FIELD_STRIDE,
  FIELD_TE,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  type Head,
  malformed,
  METHOD_CONNECT,
  METHOD_GET,
  METHOD_OPTIONS,
  METHOD_POST,
  METHOD_TRACE,
  refuse,
} from '../../head/head.ts';
import { NO_STAMP } from '../../head/stamp.ts';
import { methodOf, noteExpect, noteMaxForwards } from '../../head/request-field.ts';
import { isAuthority, scanPath } from '../../head/target.ts';
import { joinCookies } from './cookies.ts';
import { type FieldList, WORD_NAME } from './field-list.ts';
import {
  NAME_AUTHORITY,
  NAME_METHOD,
  NAME_PATH,
  NAME_PROTOCOL,
  NAME_SCHEME,
  NAME_STATUS,
  numberOf,
  REQUEST_KIND,
} from './name.ts';
import { kindOf } from './refused.ts';
import { STATIC_GET, STATIC_HTTP, STATIC_POST } from './static-table.ts';

const HTTP_PORT = Buffer.from(':80');
const NAME_CONTENT_TYPE = numberOf('content-type');
const HTTPS_PORT = Buffer.from(':443');

/**
 * Reads the request whose fields are in `list` into `head`, whose offsets are then of `list.data`, and whose fields are those of
 * the list. With `endStream` nothing follows. The framing of one that has a body without a length is FRAMING_CHUNKED.
 * @param extended whether we announced SETTINGS_ENABLE_CONNECT_PROTOCOL
 * @returns the end of the lines, or BAD with `head.failure` and `head.rule`
 */
export function readRequest(
  list: FieldList,
  head: Head,
  endStream: boolean,
  extended: boolean,
): number {
  const end = read(list, head, endStream, extended);
  // Who is answered must be able to read it, though not all fields were read.
  if (end === BAD && head.failure !== 'bad_request') head.grpc = list.isGrpc || saysGrpc(list);
  return end;
}

/** By the words of the list: the kinds of fields that were not judged are those of the request before. */
function saysGrpc({ data, fields, words, count }: FieldList): boolean {
  for (let i = count - 1, at = i * FIELD_STRIDE; i >= 0; i--, at -= FIELD_STRIDE) {
    if (((words[i] as number) & WORD_NAME) !== NAME_CONTENT_TYPE) continue;
    return isGrpcType(data, fields[at + 3] as number, fields[at + 4] as number);
  }
  return false;
}

function read(list: FieldList, head: Head, endStream: boolean, extended: boolean): number {
  head.reset();
  head.fields = list.fields;
  head.count = list.count;
  if (list.tooLarge !== '')
    return refuse(head, list.isPathTooLong ? 'target_too_long' : 'head_too_large', list.tooLarge);
  if (list.broken !== '') return malformed(head, list.broken);
  head.stamps = list.stamps;
  head.serial = list.serial;
  head.keepAlive = true;
  if (readPseudo(list, head, extended) === BAD) return BAD;
  if (readFields(list, head) === BAD) return BAD;
  if (head.hosts > 0 && settleHost(list, head) === BAD) return BAD;
  if (head.hostEnd === head.hostStart) return malformed(head, 'host_missing');
  if (frame(head, endStream) === BAD) return BAD;
  if (head.maxForwards === 0) return refuse(head, 'unsupported_method', 'max_forwards_used');
  return list.end;
}

// oxlint-disable-next-line complexity -- every request passes here
function readPseudo(list: FieldList, head: Head, extended: boolean): number {
  const { data, pseudo, pseudoStamps } = list;
  if ((pseudo[2 * NAME_STATUS] as number) >= 0) return malformed(head, 'pseudo_unknown');
  const method = pseudo[2 * NAME_METHOD] as number;
  if (method < 0) return malformed(head, 'pseudo_missing');
  const methodEnd = pseudo[2 * NAME_METHOD + 1] as number;
  const methodStamp = pseudoStamps[NAME_METHOD] as number;
  if (methodStamp === STATIC_GET) head.method = METHOD_GET;
  else if (methodStamp === STATIC_POST) head.method = METHOD_POST;
  else if (isToken(data, method, methodEnd)) head.method = methodOf(data, method, methodEnd);
  else return malformed(head, 'method_character');
  head.methodStart = method;
  head.methodEnd = methodEnd;
  if (readProtocol(list, head, extended) === BAD) return BAD;
  const scheme = pseudo[2 * NAME_SCHEME] as number;
  const path = pseudo[2 * NAME_PATH] as number;
  if (scheme < 0 || path < 0) return malformed(head, 'pseudo_missing');
  const isKnown = (pseudoStamps[NAME_SCHEME] as number) === STATIC_HTTP;
  if (!isKnown && !isHttp(data, scheme, pseudo[2 * NAME_SCHEME + 1] as number))
    return malformed(head, 'scheme_unknown');
  head.targetStamp = pseudoStamps[NAME_PATH] as number;
  if (readPath(data, path, pseudo[2 * NAME_PATH + 1] as number, head) === BAD) return BAD;
  const authority = pseudo[2 * NAME_AUTHORITY] as number;
  if (authority < 0) return head.upgrade ? malformed(head, 'pseudo_missing') : 0;
  const authorityEnd = pseudo[2 * NAME_AUTHORITY + 1] as number;
  const hostStamp = pseudoStamps[NAME_AUTHORITY] as number;
  if (hostStamp === NO_STAMP || hostStamp !== list.goodAuthority) {
    if (!isAuthority(data, authority, authorityEnd)) return malformed(head, 'host_invalid');
    list.goodAuthority = hostStamp;
  }
  head.hostStart = authority;
  head.hostEnd = authorityEnd;
  head.hostStamp = hostStamp;
  return 0;
}

/** RFC 8441 §4: CONNECT with :protocol asks for a tunnel to the service, like Upgrade; without, to anywhere. */
function readProtocol({ data, pseudo }: FieldList, head: Head, extended: boolean): number {
  const start = pseudo[2 * NAME_PROTOCOL] as number;
  if (start < 0)
    return head.method === METHOD_CONNECT
      ? refuse(head, 'unsupported_method', 'method_connect')
      : 0;
  const end = pseudo[2 * NAME_PROTOCOL + 1] as number;
  if (!extended || head.method !== METHOD_CONNECT || !isToken(data, start, end))
    return malformed(head, 'pseudo_unknown');
  // RFC 9220 §3: 501 for a protocol that is not known.
  if (!isWord(data, start, end, 'websocket'))
    return refuse(head, 'unsupported_upgrade', 'protocol_unknown');
  // Routes and retries take it for what the same request is in HTTP/1.1.
  head.method = METHOD_GET;
  head.protocolStart = start;
  head.protocolEnd = end;
  head.upgrade = true;
  head.upgrades = 1;
  return 0;
}

function isToken(data: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (TOKEN[data[i] as number] !== 1) return false;
  return end > start;
}

/** Callers behind a proxy that ended their TLS say https. */
function isHttp(data: Buffer, start: number, end: number): boolean {
  return (
    isToken(data, start, end) &&
    (isWord(data, start, end, 'http') || isWord(data, start, end, 'https'))
  );
}

function readPath(data: Buffer, start: number, end: number, head: Head): number {
  const isServer = end === start + 1 && data[start] === ASTERISK && head.method === METHOD_OPTIONS;
  if (start === end || (data[start] !== SLASH && !isServer)) return malformed(head, 'target_form');
  if (isServer) {
    head.targetStart = start;
    head.queryStart = end;
  } else if (scanPath(data, start, end, head) !== end) return malformed(head, 'target_character');
  head.targetEnd = end;
  return 0;
}

/** Turns words into kinds, and judges what single fields say. */
function readFields(list: FieldList, head: Head): number {
  const { data, fields, words, count } = list;
  let cookies = 0;
  for (let i = 0, at = 0; i < count; i++, at += FIELD_STRIDE) {
    const kind = kindOf(words[i] as number, REQUEST_KIND, head);
    if (kind === BAD) return BAD;
    fields[at] = kind;
    if (kind === FIELD_OTHER) continue;
    if (kind === FIELD_COOKIE) cookies++;
    else if (note(data, at, head, kind) === BAD) return BAD;
  }
  if (cookies > 1) joinCookies(list, head);
  return 0;
}

function note(data: Buffer, at: number, head: Head, kind: number): number {
  const start = head.fields[at + 3] as number;
  const end = head.fields[at + 4] as number;
  switch (kind) {
    case FIELD_HOST:
      return ++head.hosts > 1 ? malformed(head, 'host_repeated') : 0;
    case FIELD_CONTENT_LENGTH:
      return noteContentLength(data, at, head, false);
    case FIELD_CONTENT_TYPE:
      head.grpc = isGrpcType(data, start, end);
      return 0;
    case FIELD_EXPECT:
      return noteExpect(data, start, end, head);
    case FIELD_MAX_FORWARDS:
      return noteMaxForwards(data, at, head);
    case FIELD_TE:
      if (!isWord(data, start, end, 'trailers')) return malformed(head, 'te_other');
      head.acceptsTrailers = true;
      head.fields[at] = FIELD_DROP;
      return 0;
    default:
      return 0;
  }
}

/** RFC 9113 §8.3.1: Host takes the place of an :authority that is not there; else both are the same. */
function settleHost({ data, pseudo }: FieldList, head: Head): number {
  const { fields } = head;
  let at = 0;
  while (fields[at] !== FIELD_HOST) at += FIELD_STRIDE;
  const start = fields[at + 3] as number;
  const end = fields[at + 4] as number;
  if (!isAuthority(data, start, end)) return malformed(head, 'host_invalid');
  if (head.hostEnd === head.hostStart) {
    head.hostStart = start;
    head.hostEnd = end;
    return 0;
  }
  // The port of the scheme may be left out.
  const isTls = (pseudo[2 * NAME_SCHEME + 1] as number) - (pseudo[2 * NAME_SCHEME] as number) > 4;
  const length = withoutPort(data, start, end, isTls) - start;
  const isSame =
    withoutPort(data, head.hostStart, head.hostEnd, isTls) - head.hostStart === length &&
    isSameName(data, start, head.hostStart, length);
  return isSame ? 0 : malformed(head, 'host_differs');
}

function withoutPort(data: Buffer, start: number, end: number, isTls: boolean): number {
  const port = isTls ? HTTPS_PORT : HTTP_PORT;
  const to = end - port.length;
  if (to <= start) return end;
  for (let i = 0; i < port.length; i++) if (data[to + i] !== port[i]) return end;
  return to;
}

/** The framing that the request would have in HTTP/1.1. */
function frame(head: Head, endStream: boolean): number {
  const { contentLength, method, upgrade } = head;
  const hasContent = !endStream && contentLength !== 0;
  if (upgrade) {
    // What follows is no content: RFC 9110 §9.3.6.
    head.expectContinue = false;
    return contentLength < 0 ? 0 : malformed(head, 'content_length_differs');
  }
  if (endStream && contentLength > 0) return malformed(head, 'content_length_differs');
  if (!hasContent) {
    head.expectContinue = false;
    return 0;
  }
  // RFC 9110 §9.3.8
  if (method === METHOD_TRACE) return malformed(head, 'trace_content');
  head.chunked = contentLength < 0;
  head.framing = head.chunked ? FRAMING_CHUNKED : FRAMING_LENGTH;
  return 0;
}
