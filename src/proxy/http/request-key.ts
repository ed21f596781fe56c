/** What of a request picks its endpoint: the hash of a header, cookie or source, and the affinity cookie. */

import { mix32 } from '../../base/hash.ts';
import type { AffinityPolicy, Policies, RequestKey } from '../../model/policy.ts';
import type { RoutePolicies } from '../../model/route.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { PickFacts } from '../call/pick-facts.ts';
import { EQUALS, HEX, SEMICOLON, SPACE } from '../head/characters.ts';
import { FIELD_COOKIE, FIELD_STRIDE, type Head } from '../head/head.ts';
import { isNamed } from '../head/named.ts';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Of an `affinityToken`. */
const TOKEN_DIGITS = 8;

/** Reads the affinity cookie, where the route wants it, and the hash key, where the backend does. */
// oxlint-disable-next-line max-params -- once per request, without an object
export function readKeys(
  pick: PickFacts,
  { affinity }: Pick<RoutePolicies, 'affinity'>,
  { balance }: Policies,
  data: Buffer,
  head: Head,
  addressHash: number,
): void {
  const { hashKey } = balance;
  if (hashKey !== null) pick.hash = hashOf(hashKey, data, head, addressHash);
  if (affinity !== null) pick.affinity = affinityOf(affinity.cookie, data, head);
  pick.source = addressHash;
}

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

/** The `affinityHash` that the affinity cookie says; -1 when the request has none, or one that no endpoint has. */
export function affinityOf(cookie: string, data: Buffer, head: Head): number {
  const field = findCookie(cookie, data, head);
  if (field < 0) return -1;
  const end = head.fields[field + 4] as number;
  const at = findPair(cookie, data, head.fields[field + 3] as number, end);
  if (endOfPair(data, at, end) !== at + TOKEN_DIGITS) return -1;
  let hash = 0;
  for (let i = at; i < at + TOKEN_DIGITS; i++) {
    const digit = HEX[data[i] as number] as number;
    if (digit === 255) return -1;
    hash = (hash << 4) | digit;
  }
  return hash >>> 0;
}

/** The `Set-Cookie` line when the cookie of the request says no endpoint or another one; null otherwise, and without a policy. */
export function affinityCookie(
  policy: AffinityPolicy | null,
  endpoint: EndpointState,
  affinity: number,
): Buffer | null {
  if (policy === null || affinity === endpoint.affinityHash) return null;
  return endpoint.affinityLine(policy);
}

function hashCookie(name: string, data: Buffer, head: Head): number {
  const field = findCookie(name, data, head);
  if (field < 0) return -1;
  const end = head.fields[field + 4] as number;
  const at = findPair(name, data, head.fields[field + 3] as number, end);
  return hashBytes(data, at, endOfPair(data, at, end));
}

/** Looks for `name=value` in the Cookie fields (RFC 6265 §4.2); names are case-sensitive. The place of the field in `fields`, or -1. */
function findCookie(name: string, data: Buffer, head: Head): number {
  const last = head.count * FIELD_STRIDE;
  for (let i = 0; i < last; i += FIELD_STRIDE) {
    if (head.fields[i] !== FIELD_COOKIE) continue;
    const at = findPair(name, data, head.fields[i + 3] as number, head.fields[i + 4] as number);
    if (at >= 0) return i;
  }
  return -1;
}

/** Where the value of the pair begins in `data[start, end)`, or -1. */
function findPair(name: string, data: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    while (at < end && (data[at] === SPACE || data[at] === SEMICOLON)) at++;
    const equals = at + name.length;
    if (equals < end && data[equals] === EQUALS && isExactly(data, at, name)) return equals + 1;
    while (at < end && data[at] !== SEMICOLON) at++;
  }
  return -1;
}

/** Where the value that begins at `start` ends, in a field that ends at `end`. */
function endOfPair(data: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && data[at] !== SEMICOLON) at++;
  return at;
}

function isExactly(data: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (data[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

function hashBytes(data: Buffer, start: number, end: number): number {
  let h = FNV_OFFSET;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (data[i] as number), FNV_PRIME);
  return mix32(h);
}
