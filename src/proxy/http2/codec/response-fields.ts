/** From decoded fields to the head of a response: RFC 9113 §8.3.2. What is malformed must not be passed on (§8.1.1). */

import { ZERO } from '../../head/characters.ts';
import { noteContentLength } from '../../head/content-length.ts';
import {
  BAD,
  FIELD_CONTENT_LENGTH,
  FIELD_DATE,
  FIELD_DROP,
  FIELD_STRIDE,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  type Head,
  malformed,
  METHOD_CONNECT,
  METHOD_HEAD,
  refuse,
} from '../../head/head.ts';
import type { FieldList } from './field-list.ts';
import {
  NAME_AUTHORITY,
  NAME_METHOD,
  NAME_PATH,
  NAME_PROTOCOL,
  NAME_SCHEME,
  NAME_STATUS,
  RESPONSE_KIND,
} from './name.ts';
import { kindOf } from './refused.ts';

const OF_REQUESTS = [NAME_METHOD, NAME_SCHEME, NAME_AUTHORITY, NAME_PATH, NAME_PROTOCOL] as const;

/**
 * Reads the response whose fields are in `list` into `head`, as `readRequest` does. `requestMethod` is the METHOD_* that it
 * answers. The framing of one that has a body without a length is FRAMING_CHUNKED.
 * @returns the end of the lines, or BAD with `head.failure` 'bad_response' or 'response_head_too_large'
 */
export function readResponse(
  list: FieldList,
  head: Head,
  requestMethod: number,
  endStream: boolean,
): number {
  head.reset();
  if (list.tooLarge !== '') return refuse(head, 'response_head_too_large', list.tooLarge);
  const isGood =
    readStatus(list, head, endStream) !== BAD &&
    readFields(list, head) !== BAD &&
    frame(head, requestMethod, endStream) !== BAD;
  if (isGood) return list.end;
  head.failure = 'bad_response';
  return BAD;
}

function readStatus(list: FieldList, head: Head, endStream: boolean): number {
  const { data, pseudo } = list;
  if (list.broken !== '') return malformed(head, list.broken);
  for (const name of OF_REQUESTS)
    if ((pseudo[2 * name] as number) >= 0) return malformed(head, 'pseudo_unknown');
  const start = pseudo[2 * NAME_STATUS] as number;
  if (start < 0) return malformed(head, 'pseudo_missing');
  head.status = statusOf(data, start, pseudo[2 * NAME_STATUS + 1] as number);
  if (head.status < 0) return malformed(head, 'status_malformed');
  // RFC 9113 §8.6, §8.1
  if (head.status === 101) return malformed(head, 'status_switch');
  if (head.status < 200 && endStream) return malformed(head, 'interim_end');
  head.fields = list.fields;
  head.count = list.count;
  head.stamps = list.stamps;
  head.serial = list.serial;
  head.keepAlive = true;
  return 0;
}

/** Three digits from 100 on, or -1. */
function statusOf(data: Buffer, start: number, end: number): number {
  let status = 0;
  for (let i = start; i < end; i++) {
    const digit = (data[i] as number) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    status = status * 10 + digit;
  }
  return end - start === 3 && status >= 100 ? status : -1;
}

function readFields(list: FieldList, head: Head): number {
  const { data, fields, words, count } = list;
  for (let i = 0, at = 0; i < count; i++, at += FIELD_STRIDE) {
    const kind = kindOf(words[i] as number, RESPONSE_KIND, head);
    if (kind === BAD) return BAD;
    fields[at] = kind;
    if (kind === FIELD_DATE) head.dated = true;
    else if (kind === FIELD_CONTENT_LENGTH && noteContentLength(data, at, head, true) === BAD)
      return BAD;
  }
  return 0;
}

/** The framing that the response would have in HTTP/1.1, where one without a length is sent in chunks. */
function frame(head: Head, requestMethod: number, endStream: boolean): number {
  const { status, contentLength } = head;
  if (status < 200 || status === 204) return frameBodiless(head);
  // What follows is the tunnel: RFC 9110 §9.3.6.
  if (requestMethod === METHOD_CONNECT && status < 300) return frameBodiless(head);
  if (status === 304 || requestMethod === METHOD_HEAD) return 0;
  if (endStream) return contentLength > 0 ? malformed(head, 'content_length_differs') : 0;
  head.chunked = contentLength < 0;
  if (head.chunked) head.framing = FRAMING_CHUNKED;
  else if (contentLength > 0) head.framing = FRAMING_LENGTH;
  return 0;
}

/** RFC 9110 §8.6, §9.3.6: no length may be there, and none is passed on. */
function frameBodiless(head: Head): number {
  if (head.contentLength < 0) return 0;
  if (head.contentLength > 0 && head.status < 200) return malformed(head, 'bodiless_length');
  const size = head.count * FIELD_STRIDE;
  for (let at = 0; at < size; at += FIELD_STRIDE)
    if (head.fields[at] === FIELD_CONTENT_LENGTH) head.fields[at] = FIELD_DROP;
  head.lengthAnew = false;
  return 0;
}
