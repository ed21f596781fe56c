/** Random requests, good and bad, as the bytes that a caller sends. */

import { BAD, Head, INCOMPLETE } from '../../../src/proxy/head/head.ts';
import { parseRequestHead } from '../../../src/proxy/http1/codec/request-head.ts';
import { renderBlock, renderHead } from '../../../src/explain/request.ts';
import { SESSION } from './config.ts';
import type { Dice } from './dice.ts';

/** Small enough to be passed by random heads. */
export const LIMITS = { headBytesMax: 1_500, headFieldsMax: 20 };

export interface Sent {
  /** In HTTP/2 the block of fields. */
  readonly head: Buffer;
  /** Of HTTP/2; null for HTTP/1.1. */
  readonly http2: { readonly hasBody: boolean } | null;
  /** Behind the head; '' for a head that is not valid. */
  readonly body: string;
  /** It asks for a tunnel, which may stand beyond its answer. */
  readonly isUpgrade?: boolean;
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
  const web = dice.chance(0.15) ? webFields(dice) : null;
  if (web !== null) fields.push(...web.fields);
  const isChunked = dice.chance(0.05);
  if (isChunked) fields.push('Transfer-Encoding: chunked');
  if (dice.chance(0.04)) fields.push(`Host: ${dice.pick(['other', 'a b', ''])}`);
  const plainMethod = dice.pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'BREW']);
  const method = web?.method ?? plainMethod;
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
  if (dice.chance(0.01))
    return { head: rendered.subarray(0, dice.int(1, 30)), http2: null, body: '' };
  return complete(dice.chance(0.1) ? mutated(dice, rendered) : rendered);
}

const GRPC = ['content-type: application/grpc', 'te: trailers'];
const BAD_HTTP2_FIELDS: readonly (readonly string[])[] = [
  ['connection: close'],
  ['transfer-encoding: chunked'],
  ['te: gzip'],
  ['upgrade: websocket'],
  ['x: \u0001'],
  ['expect: miracles'],
  ['expect: 100-continue'],
  ['content-length: 5', 'content-length: 6'],
  ['content-length: -1'],
  [':unknown: x'],
  [':path: /again'],
  ['host: '],
  ['max-forwards: 0'],
];

/** A request of HTTP/2, some of them calls of gRPC. */
export function randomHttp2Request(dice: Dice, host: string, tokens: readonly string[]): Sent {
  const isGrpc = dice.chance(0.4);
  const fields: string[] = isGrpc ? [...GRPC] : [];
  if (dice.chance(0.6)) fields.push(`x-user: ${dice.int(1, 9)}`);
  if (dice.chance(0.6)) fields.push(`cookie: ${cookies(dice, tokens)}`);
  if (dice.chance(0.05)) fields.push(...Array.from({ length: 30 }, (_, i) => `x-${i}: y`));
  if (dice.chance(0.03)) fields.push(`x-long: ${'z'.repeat(2_000)}`);
  const web = !isGrpc && dice.chance(0.2) ? webFields(dice) : null;
  if (web !== null) fields.push(...web.fields);
  const isBad = dice.chance(0.15);
  if (isBad) fields.push(...dice.pick(BAD_HTTP2_FIELDS));
  const plainMethod = dice.pick(['GET', 'GET', 'HEAD', 'POST', 'PUT', 'BREW']);
  const method = isGrpc ? 'POST' : (web?.method ?? plainMethod);
  const target = dice.pick(['/', '/cart?x=1', '/a/b', '/?q={z}', '/shop.Stock/Count', 'a', '*']);
  const length = dice.chance(0.3) ? dice.pick([1, 10, 11, 900, 20_000]) : 0;
  const hasBody = isGrpc || length > 0;
  // What the field says has to be true; without it, nobody can tell before that a body is too large.
  const isSaid = !isBad && length > 0 && dice.chance(0.7);
  const plain = { method, target, host, fields, bodyBytes: isSaid ? length : 0 };
  const body = isSaid ? 'b'.repeat(length) : hasBody ? 'b' : '';
  return { head: renderBlock(plain), http2: { hasBody }, body };
}

/** A call of gRPC-Web, in its binary form, which takes any content; or a preflight. */
function webFields(dice: Dice): { readonly method: string; readonly fields: readonly string[] } {
  const origin = dice.pick([
    'https://app.example',
    'https://app.example',
    'https://evil.example',
    '',
  ]);
  const from = origin === '' ? [] : [`origin: ${origin}`];
  if (dice.chance(0.3)) {
    const asks = [
      'access-control-request-method: POST',
      `access-control-request-headers: ${dice.chance(0.8) ? 'x-a, content-type' : 'x-a, x-b'}`,
    ];
    return { method: 'OPTIONS', fields: [...from, ...asks] };
  }
  const type = dice.pick([
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-webs',
    'text/plain',
  ]);
  const until = dice.chance(0.1) ? ['grpc-timeout: 0n'] : [];
  const method = dice.chance(0.9) ? 'POST' : 'PUT';
  return { method, fields: [...from, ...until, `content-type: ${type}`] };
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
  ['Transfer-Encoding: gzip, chunked'],
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
  if (end === BAD || end === INCOMPLETE) return { head: bytes, http2: null, body: '' };
  if (head.contentLength > BODY_BYTES_MAX) return { head: PLAIN, http2: null, body: '' };
  const body = head.chunked ? '2\r\nhi\r\n0\r\n\r\n' : 'b'.repeat(Math.max(head.contentLength, 0));
  return { head: bytes.subarray(0, end), http2: null, body };
}
