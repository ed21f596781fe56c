/** What content types of gRPC-Web say: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md */

import { HYPHEN, PLUS, SEMICOLON, SPACE, TAB } from '../head/characters.ts';
import { isWord, TOKEN } from '../head/grammar.ts';
import { FIELD_STRIDE, type Head } from '../head/head.ts';
import { findNamed } from '../head/named.ts';

export interface WebType {
  /** Content is base64. */
  readonly isText: boolean;
  /** The format of messages: `+proto`; '' where it is not said. */
  readonly format: string;
}

const WEB = 'application/grpc-web';
const GRPC = 'application/grpc';
const TEXT = '-text';
const CONTENT_TYPE = 'content-type';
/** Of a format, with its plus. */
const FORMAT_BYTES_MAX = 32;

/** That of the field `lower` of a head; null where there is none, more than one, or it says something else. */
export function webTypeOf(data: Buffer, head: Head, lower: string): WebType | null {
  const at = findNamed(data, head, lower);
  if (at < 0 || findNamed(data, head, lower, at + FIELD_STRIDE) >= 0) return null;
  const start = head.fields[at + 3] as number;
  const end = head.fields[at + 4] as number;
  const stop = start + WEB.length;
  if (stop > end || !isWord(data, start, stop, WEB)) return null;
  const isText = data[stop] === HYPHEN && isWordAt(data, stop, end, TEXT);
  const format = formatAt(data, isText ? stop + TEXT.length : stop, end);
  return format === null ? null : { isText, format };
}

/**
 * Whether somebody behind the mesh may take the content for a call of gRPC, in any form, however lax a reader it is. No page may send
 * such a type unasked.
 */
export function mayBeGrpc(data: Buffer, head: Head): boolean {
  const at = findNamed(data, head, CONTENT_TYPE);
  if (at < 0) return false;
  if (findNamed(data, head, CONTENT_TYPE, at + FIELD_STRIDE) >= 0) return true;
  const type = data.toString('latin1', head.fields[at + 3], head.fields[at + 4]);
  return type.toLowerCase().includes(GRPC);
}

/** The format that the content type of an answer of gRPC names; '' for none. */
export function formatOfGrpc(data: Buffer, head: Head): string {
  const at = findNamed(data, head, CONTENT_TYPE);
  if (at < 0) return '';
  const start = (head.fields[at + 3] as number) + GRPC.length;
  return formatAt(data, start, head.fields[at + 4] as number) ?? '';
}

/** The content type of an answer. */
export function webTypeText({ isText, format }: WebType): string {
  return `${WEB}${isText ? TEXT : ''}${format}`;
}

/** The same for the endpoint. */
export function grpcTypeText(format: string): string {
  return `${GRPC}${format}`;
}

function isWordAt(data: Buffer, start: number, end: number, lower: string): boolean {
  const stop = start + lower.length;
  return stop <= end && isWord(data, start, stop, lower);
}

/** From a plus to parameters, which are left out; null where something else follows. */
function formatAt(data: Buffer, start: number, end: number): string | null {
  let stop = start;
  if (start < end && data[start] === PLUS) {
    stop++;
    while (stop < end && TOKEN[data[stop] as number] === 1) stop++;
    if (stop === start + 1 || stop - start > FORMAT_BYTES_MAX) return null;
  }
  if (stop < end && data[stop] !== SEMICOLON && !isBlankBefore(data, stop, end)) return null;
  return data.toString('latin1', start, stop);
}

function isBlankBefore(data: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end && (data[at] === SPACE || data[at] === TAB)) at++;
  return at > start && (at === end || data[at] === SEMICOLON);
}
