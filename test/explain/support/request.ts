/** Random requests, good and bad, as the bytes that a caller sends. */

import { BAD, Head, INCOMPLETE } from '../../../src/proxy/head/head.ts';
import { parseRequestHead } from '../../../src/proxy/http1/codec/request-head.ts';
import { renderHead } from '../../../src/explain/request.ts';
import { SESSION } from './config.ts';
import type { Dice } from './dice.ts';

/** Small enough to be passed by random heads. */
export const LIMITS = { headBytesMax: 1_500, headFieldsMax: 20 };

export interface Sent {
  readonly head: Buffer;
  /** Behind the head; '' for a head that is not valid. */
  readonly body: string;
}

/** `tokens` are affinity tokens of endpoints that there are. */
export function randomRequest(dice: Dice, host: string, tokens: readonly string[]): Sent {
  const fields: string[] = [];
  if (dice.chance(0.6)) fields.push(`${dice.pick(['x-user', 'X-USER'])}: ${dice.int(1, 9)}`);
  if (dice.chance(0.6)) fields.push(`Cookie: ${cookies(dice, tokens)}`);
  if (dice.chance(0.2)) fields.push('Accept: */*');
  if (dice.chance(0.05)) fields.push(...Array.from({ length: 30 }, (_, i) => `x-${i}: y`));
  if (dice.chance(0.03)) fields.push(`x-long: ${'z'.repeat(2_000)}`);
  if (dice.chance(0.1)) fields.push(...bad(dice));
  const isChunked = dice.chance(0.05);
  if (isChunked) fields.push('Transfer-Encoding: chunked');
  if (dice.chance(0.04)) fields.push(`Host: ${dice.pick(['other', 'a b', ''])}`);
  const method = dice.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'BREW']);
  const target = dice.pick([
    '/',
    '/cart?x=1',
    '/a/b',
    `http://${host}/abs`,
    `http://${host}?q`,
    '/?q="x"&r=<y>|{z}',
    '/\u00fc/\u4f60\u597d',
  ]);
  const bodyBytes = dice.chance(0.3) ? dice.pick([1, 10, 11, 900, 20_000]) : 0;
  const plain = { method, target, host, fields, bodyBytes };
  const rendered = dice.chance(0.05) ? oddLine(dice, renderHead(plain)) : renderHead(plain);
  if (dice.chance(0.01)) return { head: rendered.subarray(0, dice.int(1, 30)), body: '' };
  return complete(dice.chance(0.1) ? mutated(dice, rendered) : rendered);
}

function cookies(dice: Dice, tokens: readonly string[]): string {
  const pairs = [
    `user=${dice.int(1, 9)}`,
    `${SESSION}=${dice.pick([...tokens, 'nonsense', ''])}`,
    'x=y',
  ];
  return dice.some(pairs, 0.6).join('; ');
}

const BAD_FIELDS: readonly (readonly string[])[] = [
  ['Content-Length: 5', 'Transfer-Encoding: chunked'],
  ['Content-Length: 5', 'Content-Length: 5'],
  ['Content-Length: -1'],
  ['Content-Length: 5', 'Content-Length: 6'],
  ['Transfer-Encoding: gzip'],
  ['Transfer-Encoding: chunked, chunked'],
  ['X-Space : y'],
  [' folded'],
  ['x: \u0001'],
  [': nameless'],
  ['Expect: miracles'],
  ['Expect: 100-continue'],
  ['Connection: host'],
  ['Connection: x-user, close'],
  ['Connection: keep-alive'],
  ['Upgrade: websocket', 'Connection: upgrade'],
];

function bad(dice: Dice): readonly string[] {
  return dice.pick(BAD_FIELDS);
}

/** Request lines that are wrong, or right in another version. */
function oddLine(dice: Dice, head: Buffer): Buffer {
  const text = head.toString('latin1');
  const rest = text.slice(text.indexOf('\r\n'));
  const lines = [
    'GET / HTTP/1.0',
    'GET / HTTP/2.0',
    'GET /',
    'CONNECT a:80 HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'GET https://a/ HTTP/1.1',
    'GET /a b HTTP/1.1',
    'G(T / HTTP/1.1',
  ];
  return Buffer.from(`${dice.pick(lines)}${rest}`, 'latin1');
}

const BYTES = ['\r', '\n', ' ', ':', '\0', 'a', '1', '\u00ff', '\t', ',', ';'] as const;

function mutated(dice: Dice, head: Buffer): Buffer {
  let text = head.toString('latin1');
  for (let i = dice.int(1, 2); i > 0; i--) {
    const at = dice.int(0, text.length - 1);
    const cut = dice.int(0, 1);
    text = text.slice(0, at) + (dice.chance(0.6) ? dice.pick(BYTES) : '') + text.slice(at + cut);
  }
  return Buffer.from(text, 'latin1');
}

/** A changed digit makes a body that nobody wants to send. */
const BODY_BYTES_MAX = 50_000;
const PLAIN = Buffer.from('GET / HTTP/1.1\r\nHost: plain\r\n\r\n');

/** Cuts off what would be a second request, and adds the body that a valid head announces. */
function complete(bytes: Buffer): Sent {
  const head = new Head(LIMITS.headFieldsMax);
  const end = parseRequestHead(bytes, 0, bytes.length, head, LIMITS);
  if (end === BAD || end === INCOMPLETE) return { head: bytes, body: '' };
  if (head.contentLength > BODY_BYTES_MAX) return { head: PLAIN, body: '' };
  const body = head.chunked ? '2\r\nhi\r\n0\r\n\r\n' : 'b'.repeat(Math.max(head.contentLength, 0));
  return { head: bytes.subarray(0, end), body };
}
