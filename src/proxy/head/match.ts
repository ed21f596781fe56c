/** Whether a route takes a request: its matches, ready to be compared with the bytes of a head. */

import type { HttpMatch, NamedMatch } from '../../model/route.ts';
import { AMPERSAND, COMMA, EQUALS, PERCENT, PLUS, SLASH, SPACE } from './characters.ts';
import {
  FIELD_DROP,
  FIELD_FORWARDING,
  FIELD_KINDS,
  FIELD_STRIDE,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PROTO,
  type Head,
  METHOD_GET,
} from './head.ts';
import { byteOf, pathOf, type PathView } from './path-view.ts';
import { isNamed } from './named.ts';

/** What a caller that nobody vouches for says of where its request comes from. */
const IS_CLAIM = new Uint8Array(FIELD_KINDS);
for (const kind of [
  FIELD_FORWARDING,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PROTO,
])
  IS_CLAIM[kind] = 1;

interface Named {
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly value: Buffer;
}

export class Matcher {
  readonly #method: Buffer;
  readonly #isGet: boolean;
  /** Null takes every path. */
  readonly #path: Buffer | null;
  readonly #isPrefix: boolean;
  readonly #headers: readonly Named[];
  readonly #query: readonly Named[];

  constructor({ method, path, headers, query }: HttpMatch) {
    this.#method = Buffer.from(method);
    this.#isGet = method === 'GET';
    this.#isPrefix = path?.kind === 'prefix';
    this.#path = path === null ? null : this.#isPrefix ? prefixOf(path.value) : pathOf(path.value);
    this.#headers = headers.map(named);
    this.#query = query.map(named);
  }

  /** `path` is that of the request. What only a proxy may say is believed when its caller `isTrusted`. */
  takes(data: Buffer, head: Head, path: PathView, isTrusted: boolean): boolean {
    if (this.#method.length > 0 && !this.#takesMethod(data, head)) return false;
    if (this.#path !== null && !this.#takesPath(this.#path, path)) return false;
    for (const header of this.#headers) if (!hasHeader(data, head, header, isTrusted)) return false;
    for (const parameter of this.#query) if (!hasParameter(data, head, parameter)) return false;
    return true;
  }

  /** An Extended CONNECT counts as GET. */
  #takesMethod(data: Buffer, { method, methodStart, methodEnd }: Head): boolean {
    return method === METHOD_GET ? this.#isGet : isSame(data, methodStart, methodEnd, this.#method);
  }

  /** How much of a path that it takes is what it asks for: all of an exact one, nothing without a path to ask for. */
  matchedBytes({ start, end }: PathView): number {
    if (this.#path === null) return 0;
    return this.#isPrefix ? this.#path.length : end - start;
  }

  #takesPath(wanted: Buffer, { data, start, end }: PathView): boolean {
    if (!this.#isPrefix) return isSame(data, start, end, wanted);
    if (wanted.length === 0) return true;
    const at = start + wanted.length;
    if (at > end || !isSame(data, start, at, wanted)) return false;
    return at === end || data[at] === SLASH;
  }
}

/** A path from a configuration without the slash at its end, so that `/a/` takes `/a` too, and `/` everything. */
export function prefixOf(text: string): Buffer {
  const path = pathOf(text);
  return path.at(-1) === SLASH ? path.subarray(0, -1) : path;
}

function named({ name, value }: NamedMatch): Named {
  return { name, nameBytes: Buffer.from(name), value: Buffer.from(value) };
}

function isSame(data: Buffer, start: number, end: number, wanted: Buffer): boolean {
  if (end - start !== wanted.length) return false;
  for (let i = 0; i < wanted.length; i++) if (data[start + i] !== wanted[i]) return false;
  return true;
}

/** Lines of one name are one value, joined by `, `. What is not sent on is not there. */
function hasHeader(data: Buffer, head: Head, { name, value }: Named, isTrusted: boolean): boolean {
  if (name === 'host') return isNamedHost(data, head, value);
  let at = -1;
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    const kind = head.fields[i] as number;
    if (kind === FIELD_DROP || (!isTrusted && IS_CLAIM[kind] === 1)) continue;
    if (!isNamed(data, head.fields[i + 1] as number, head.fields[i + 2] as number, name)) continue;
    if (at < 0) at = 0;
    else if (value[at] === COMMA && value[at + 1] === SPACE) at += 2;
    else return false;
    const start = head.fields[i + 3] as number;
    const end = head.fields[i + 4] as number;
    const next = at + end - start;
    if (next > value.length || data.compare(value, at, next, start, end) !== 0) return false;
    at = next;
  }
  return at === value.length;
}

/** That of an absolute target counts before the field; names of hosts have no case (RFC 3986 §3.2.2). */
function isNamedHost(data: Buffer, head: Head, value: Buffer): boolean {
  if (head.hostEnd - head.hostStart !== value.length) return false;
  for (let i = 0; i < value.length; i++) {
    if (lower(data[head.hostStart + i] as number) !== lower(value[i] as number)) return false;
  }
  return true;
}

function lower(byte: number): number {
  return byte >= 65 && byte <= 90 ? byte | 0x20 : byte;
}

/** Of several of one name the first counts. */
function hasParameter(data: Buffer, head: Head, { nameBytes, value }: Named): boolean {
  let at = head.queryStart + 1;
  while (at <= head.targetEnd) {
    let end = at;
    let equals = -1;
    while (end < head.targetEnd && data[end] !== AMPERSAND) {
      if (equals < 0 && data[end] === EQUALS) equals = end;
      end++;
    }
    if (isDecoded(data, at, equals < 0 ? end : equals, nameBytes))
      return isDecoded(data, equals < 0 ? end : equals + 1, end, value);
    at = end + 1;
  }
  return false;
}

/** Whether the bytes stand for `wanted`: percent-encoded, with `+` for a space. */
function isDecoded(data: Buffer, start: number, end: number, wanted: Buffer): boolean {
  let at = 0;
  for (let i = start; i < end; i++, at++) {
    let byte = data[i] as number;
    if (byte === PLUS) byte = SPACE;
    else if (byte === PERCENT && i + 2 < end) {
      const value = byteOf(data[i + 1] as number, data[i + 2] as number);
      if (value >= 0) {
        byte = value;
        i += 2;
      }
    }
    if (at >= wanted.length || byte !== wanted[at]) return false;
  }
  return at === wanted.length;
}
