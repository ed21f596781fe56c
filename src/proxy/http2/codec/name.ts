/**
 * Names of fields as numbers. The decoder finds the number once, when a name comes as text; entries of its tables keep it, so
 * that a field that comes by its index is known without a look at its name.
 */

import { COLON } from '../../head/characters.ts';
import { FORWARDING, forwardingField, NOT_FORWARDING } from '../../head/forwarding-field.ts';
import { isTwin, TOKEN } from '../../head/grammar.ts';
import {
  FIELD_CONTENT_LENGTH,
  FIELD_CONTENT_TYPE,
  FIELD_COOKIE,
  FIELD_DATE,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_FORWARDING,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_RETRY_AFTER,
  FIELD_SET_COOKIE,
  FIELD_TE,
  FIELD_TRACEPARENT,
  FIELD_TRAILER,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PROTO,
} from '../../head/head.ts';

/** Any other name. */
export const NAME_OTHER = 0;
export const NAME_METHOD = 1;
export const NAME_SCHEME = 2;
export const NAME_AUTHORITY = 3;
export const NAME_PATH = 4;
export const NAME_PROTOCOL = 5;
export const NAME_STATUS = 6;
/** Begins with a colon, and is none of these. */
export const NAME_PSEUDO_OTHER = 7;
/** Up to it, but for NAME_OTHER, they are pseudo-header fields. */
export const NAME_PSEUDO_LAST = NAME_PSEUDO_OTHER;
/** Has a capital letter. */
export const NAME_UPPER = 8;
/** Is empty. */
export const NAME_EMPTY = 9;
/** Is no token. */
export const NAME_BAD = 10;
/** Up to it, and from NAME_UPPER on, no field may have such a name. */
export const NAME_BAD_LAST = NAME_BAD;
/** Says what only a proxy may say. */
export const NAME_FORWARDING = 11;
/** Passes for another field where punctuation is all the same. */
export const NAME_TWIN = 12;
/** The names of the list below have numbers from here on. */
const NAME_FIRST = 13;

const PSEUDO = [':method', ':scheme', ':authority', ':path', ':protocol', ':status'] as const;

/** Those of the static table, those that mean something to the proxy, and those that a trailer section may not bring. */
export const NAMES = [
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'accept-ranges',
  'access-control-allow-origin',
  'age',
  'allow',
  'authentication-info',
  'authorization',
  'cache-control',
  'connection',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'etag',
  'expect',
  'expires',
  'from',
  'host',
  'http2-settings',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'referer',
  'refresh',
  'retry-after',
  'server',
  'set-cookie',
  'strict-transport-security',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'vary',
  'via',
  'warning',
  'www-authenticate',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
] as const;

export type KnownName = (typeof PSEUDO)[number] | (typeof NAMES)[number];

/** In tables of kinds: no message may have the field (RFC 9113 §8.2.2). */
export const REFUSED = 255;

/** The number of a name of the lists above. */
export function numberOf(name: KnownName): number {
  const pseudo = (PSEUDO as readonly string[]).indexOf(name);
  return pseudo < 0
    ? NAME_FIRST + (NAMES as readonly string[]).indexOf(name)
    : NAME_METHOD + pseudo;
}

/** A table by NAME_*. */
export function byName(values: Partial<Record<KnownName, number>>): Uint8Array {
  const table = new Uint8Array(256);
  for (const [name, value] of Object.entries(values)) table[numberOf(name as KnownName)] = value;
  return table;
}

const CONNECTION_SPECIFIC = {
  connection: REFUSED,
  'keep-alive': REFUSED,
  'proxy-connection': REFUSED,
  'transfer-encoding': REFUSED,
  upgrade: REFUSED,
} as const;

/** FIELD_* by NAME_*, as HTTP/1.1 has them. */
export const REQUEST_KIND = byName({
  ...CONNECTION_SPECIFIC,
  'content-length': FIELD_CONTENT_LENGTH,
  'content-type': FIELD_CONTENT_TYPE,
  cookie: FIELD_COOKIE,
  expect: FIELD_EXPECT,
  host: FIELD_HOST,
  'http2-settings': FIELD_DROP,
  'max-forwards': FIELD_MAX_FORWARDS,
  te: FIELD_TE,
  traceparent: FIELD_TRACEPARENT,
  trailer: FIELD_TRAILER,
  'x-forwarded-for': FIELD_X_FORWARDED_FOR,
  'x-forwarded-host': FIELD_X_FORWARDED_HOST,
  'x-forwarded-proto': FIELD_X_FORWARDED_PROTO,
});
REQUEST_KIND[NAME_FORWARDING] = FIELD_FORWARDING;
REQUEST_KIND[NAME_TWIN] = FIELD_DROP;
REQUEST_KIND.fill(REFUSED, NAME_UPPER, NAME_BAD_LAST + 1);

export const RESPONSE_KIND = byName({
  ...CONNECTION_SPECIFIC,
  'content-length': FIELD_CONTENT_LENGTH,
  date: FIELD_DATE,
  'retry-after': FIELD_RETRY_AFTER,
  'set-cookie': FIELD_SET_COOKIE,
  te: FIELD_DROP,
  trailer: FIELD_TRAILER,
});
RESPONSE_KIND.fill(REFUSED, NAME_UPPER, NAME_BAD_LAST + 1);

/** All names that have numbers, one behind the other. */
const BYTES = Buffer.from([...PSEUDO, ...NAMES].join(''));
/** By number: where the name begins. */
const AT = new Uint16Array(256);
const LENGTH = new Uint8Array(256);
/** Numbers by the hash of their name, or in the next cells. */
const CELLS = new Uint8Array(512);

/** `| 0x20` makes it the same for capitals; what is no letter is compared afterwards. */
function hash(buf: Uint8Array, start: number, length: number): number {
  const first = (buf[start] as number) | 0x20;
  const last = (buf[start + length - 1] as number) | 0x20;
  const middle = (buf[start + (length >> 1)] as number) | 0x20;
  return (length * 29 + first * 7 + last * 43 + middle * 97) & 511;
}

let end = 0;
for (const name of [...PSEUDO, ...NAMES]) {
  const number = numberOf(name);
  AT[number] = end;
  LENGTH[number] = name.length;
  let cell = hash(BYTES, end, name.length);
  while (CELLS[cell] !== 0) cell = (cell + 1) & 511;
  CELLS[cell] = number;
  end += name.length;
}

/**
 * The number of a name of the lists, or NAME_OTHER. With 0x20 for `fold`, capitals count as small letters; then the name must
 * be a token. Without, 0, it may be anything.
 */
export function knownName(buf: Uint8Array, start: number, length: number, fold: number): number {
  if (length === 0) return NAME_OTHER;
  let cell = hash(buf, start, length);
  for (;;) {
    const number = CELLS[cell] as number;
    if (number === 0) return NAME_OTHER;
    if (LENGTH[number] === length) {
      const at = AT[number] as number;
      let i = 0;
      while (i < length && ((buf[start + i] as number) | fold) === BYTES[at + i]) i++;
      if (i === length) return number;
    }
    cell = (cell + 1) & 511;
  }
}

/** `tchar` without capitals: RFC 9113 §8.2.1. */
const LOWER = TOKEN.slice().fill(0, 0x41, 0x5b);
const CONTENT_LENGTH = 'content-length';
const TRANSFER_ENCODING = 'transfer-encoding';

/** The number of the name `buf[start, start + length)`, whatever its bytes. */
export function nameOf(buf: Buffer, start: number, length: number): number {
  const known = knownName(buf, start, length, 0);
  if (known !== NAME_OTHER) return known;
  if (length === 0) return NAME_EMPTY;
  if (buf[start] === COLON) return NAME_PSEUDO_OTHER;
  for (let i = start; i < start + length; i++)
    if (LOWER[buf[i] as number] !== 1) return whatIsBad(buf, i, start + length);
  const found = forwardingField(buf, start, length);
  if (found !== NOT_FORWARDING) return found === FORWARDING ? NAME_FORWARDING : NAME_TWIN;
  if (length === CONTENT_LENGTH.length && isTwin(buf, start, CONTENT_LENGTH)) return NAME_TWIN;
  if (length === TRANSFER_ENCODING.length && isTwin(buf, start, TRANSFER_ENCODING))
    return NAME_TWIN;
  return NAME_OTHER;
}

/** A name that is a token but for its capitals is told apart from one that is none. */
function whatIsBad(buf: Buffer, from: number, to: number): number {
  for (let i = from; i < to; i++) if (TOKEN[buf[i] as number] !== 1) return NAME_BAD;
  return NAME_UPPER;
}
