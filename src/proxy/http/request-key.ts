/** What of a request picks its endpoint: the hash of a header, cookie or source, and the affinity cookie. */

import { mix32 } from '../../base/hash.ts';
import type { AffinityPolicy, RequestKey } from '../../model/policy.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import { FIELD_COOKIE, FIELD_STRIDE, type Head } from './head.ts';

const CASE_BIT = 32;
const EQUALS = 61;
const SEMICOLON = 59;
const SPACE = 32;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Unsigned 32-bit hash of what `key` names, or -1 when the request does not have it. */
export function hashOf(key: RequestKey, data: Buffer, head: Head, addressHash: number): number {
  if (key.kind === 'source') return addressHash;
  if (key.kind === 'cookie') return hashCookie(key.name, data, head);
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    const start = head.fields[i + 1] as number;
    if (!isNamed(data, start, head.fields[i + 2] as number, key.name)) continue;
    return hashBytes(data, head.fields[i + 3] as number, head.fields[i + 4] as number);
  }
  return -1;
}

/** The value of the affinity cookie, or '' when the request has none. */
export function affinityToken(cookie: string, data: Buffer, head: Head): string {
  return findCookie(cookie, data, head) ? data.toString('latin1', found.start, found.end) : '';
}

/** The `Set-Cookie` line when the request came without a token or with one of another endpoint; else null. */
export function affinityCookie(
  policy: AffinityPolicy,
  endpoint: EndpointState,
  token: string,
): Buffer | null {
  const mine = endpoint.affinityToken;
  if (token === mine) return null;
  const age = policy.maxAgeSeconds > 0 ? `; Max-Age=${policy.maxAgeSeconds}` : '';
  return Buffer.from(
    `Set-Cookie: ${policy.cookie}=${mine}; Path=/; HttpOnly; SameSite=Lax${age}\r\n`,
  );
}

const found = { start: 0, end: 0 };

function hashCookie(name: string, data: Buffer, head: Head): number {
  return findCookie(name, data, head) ? hashBytes(data, found.start, found.end) : -1;
}

/** Looks for `name=value` in the Cookie fields (RFC 6265 §4.2); names are case-sensitive. Leaves the range in `found`. */
function findCookie(name: string, data: Buffer, head: Head): boolean {
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    if (head.fields[i] !== FIELD_COOKIE) continue;
    if (findPair(name, data, head.fields[i + 3] as number, head.fields[i + 4] as number))
      return true;
  }
  return false;
}

function findPair(name: string, data: Buffer, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    while (at < end && (data[at] === SPACE || data[at] === SEMICOLON)) at++;
    let stop = data.indexOf(SEMICOLON, at);
    if (stop < 0 || stop > end) stop = end;
    if (at + name.length < stop && data[at + name.length] === EQUALS && isExactly(data, at, name)) {
      found.start = at + name.length + 1;
      found.end = stop;
      return true;
    }
    at = stop;
  }
  return false;
}

function isExactly(data: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (data[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Compares a field name with a lower-case one; a field name is a token. */
function isNamed(data: Buffer, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    const byte = data[start + i] as number;
    const folded = byte >= 65 && byte <= 90 ? byte | CASE_BIT : byte;
    if (folded !== lower.charCodeAt(i)) return false;
  }
  return true;
}

function hashBytes(data: Buffer, start: number, end: number): number {
  let h = FNV_OFFSET;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (data[i] as number), FNV_PRIME);
  return mix32(h);
}
