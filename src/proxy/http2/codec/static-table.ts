/** The static table: RFC 7541 appendix A. */

import { knownName } from './name.ts';
import { viewOf, WORD_SLACK_BYTES } from './words.ts';

/** `name` or `name: value`, in the order of the table, which starts at 1. */
export const STATIC_ENTRIES = [
  ':authority',
  ':method: GET',
  ':method: POST',
  ':path: /',
  ':path: /index.html',
  ':scheme: http',
  ':scheme: https',
  ':status: 200',
  ':status: 204',
  ':status: 206',
  ':status: 304',
  ':status: 400',
  ':status: 404',
  ':status: 500',
  'accept-charset',
  'accept-encoding: gzip, deflate',
  'accept-language',
  'accept-ranges',
  'accept',
  'access-control-allow-origin',
  'age',
  'allow',
  'authorization',
  'cache-control',
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
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'link',
  'location',
  'max-forwards',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'referer',
  'refresh',
  'retry-after',
  'server',
  'set-cookie',
  'strict-transport-security',
  'transfer-encoding',
  'user-agent',
  'vary',
  'via',
  'www-authenticate',
] as const;

export const STATIC_GET = indexOf(':method: GET');
export const STATIC_POST = indexOf(':method: POST');
export const STATIC_HTTP = indexOf(':scheme: http');
export const STATIC_HTTPS = indexOf(':scheme: https');

/** Also the stamp of who comes by it. */
function indexOf(entry: (typeof STATIC_ENTRIES)[number]): number {
  return STATIC_ENTRIES.indexOf(entry) + 1;
}

/** Indexes above it are of the dynamic table. */
export const STATIC_COUNT = STATIC_ENTRIES.length;

const LINES = STATIC_ENTRIES.map((entry) => `${entry}${entry.includes(': ') ? '' : ': '}\r\n`);

/** All entries as lines, one behind the other. */
export const STATIC_BYTES = Buffer.from(LINES.join('') + ' '.repeat(WORD_SLACK_BYTES));
/** The same, for `copyWords`. */
export const STATIC_VIEW = viewOf(STATIC_BYTES);
/** By index: where the line begins. */
export const STATIC_AT = new Uint16Array(STATIC_COUNT + 1);
export const STATIC_NAME_LENGTH = new Uint8Array(STATIC_COUNT + 1);
export const STATIC_VALUE_LENGTH = new Uint8Array(STATIC_COUNT + 1);
/** NAME_*. */
export const STATIC_NAME = new Uint8Array(STATIC_COUNT + 1);

let at = 0;
for (const [i, line] of LINES.entries()) {
  const nameLength = line.indexOf(': ');
  STATIC_AT[i + 1] = at;
  STATIC_NAME_LENGTH[i + 1] = nameLength;
  STATIC_VALUE_LENGTH[i + 1] = line.length - nameLength - 4;
  STATIC_NAME[i + 1] = knownName(STATIC_BYTES, at, nameLength, 0);
  at += line.length;
}

/** By NAME_*: the first entry with that name, or 0. */
export const STATIC_INDEX = new Uint8Array(256);
for (let i = STATIC_COUNT; i > 0; i--) STATIC_INDEX[STATIC_NAME[i] as number] = i;
