/** Generates HTTP/1.1 connections: valid requests from the grammar, then shapes of smuggling and random damage put in. */
import type { Random } from '../../src/base/random.ts';
import { below, oneOf } from '../fuzz/mutate.ts';

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'PROPFIND',
];
const TARGETS = [
  '/',
  '/',
  '/a/b',
  '/a?b=c',
  '/%20;x',
  '/a?b=/?',
  '//a',
  '/a|b',
  '/[a]',
  '/?a={b}',
  '/~a!$&()*+,=:@',
];
const ODD_TARGETS = [
  'http://b/c',
  'http://b',
  'http://b?c',
  'HTTP://b:80/',
  'http://u@b/',
  'http:///a',
  'https://b/',
  '*',
  'a',
  'a:80',
  '/a#b',
  '/a\\b',
  '/"',
  '/<a>',
  '/\xe9',
  '/?\xe9',
  '/a\x7f',
  '?a',
  '',
  'http://b:x/',
  'ftp://b/',
  'http:/b',
  '/?#',
  '/^',
  '/`',
  '/{',
];
const HOSTS = ['a', 'web.shop:80', 'a', '[::1]', '127.0.0.1:8080'];
const ODD_HOSTS = [
  '',
  'a b',
  'a,b',
  'a/b',
  'u@a',
  'a:',
  'a:x',
  'a:99999',
  '[::1',
  'a%41',
  'a_b',
  '\xe9',
  'a;b',
  '::1',
  '[]',
  'a?b',
  'a#b',
  'a\\b',
  '.',
  '*',
];
const FIELDS = [
  'X-A: b',
  'X-A:b',
  'x-a: \t b c \t',
  'Accept: */*',
  'Cookie: a=b; c="d"',
  'X-Empty:',
  'X-E: \xe9',
  'User-Agent: x/1 (y)',
  'X-A: 1',
  'Range: bytes=0-1',
];
const ODD_FIELDS = [
  'X-A : b',
  ' X-A: b',
  '\tX-A: b',
  'X-A',
  ':b',
  'X(A): b',
  'X A: b',
  'X-A: \x00',
  'X-A: \x01',
  'X-A: a\x0bb',
  'X-A: \x7f',
  'X\x00A: b',
  '\xe9: a',
  'X-A: b\r\n c',
  'X-A: b\n',
  'X-A: b\rc',
  'X-A: b\nX-B: c',
  '"X": a',
  'X-A:\r\n b',
  'X-A: b\r',
  '\x0bX: a',
  '[X]: a',
  'X/Y: a',
  'X_Forwarded_For: 1',
];
const STEERING = [
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: 05',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: -1',
  'Content-Length:',
  'Content-Length: 5 5',
  'Content-Length: 0x5',
  'Content-Length: 99999999999999999999',
  'Content-Length: 9007199254740993',
  'Content-Length: "5"',
  'Content_Length: 5',
  'Content-Length : 5',
  'Content-Length: 5;a',
  'Content-Length: 5\t',
  'Content-Length: 1e1',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: Chunked',
  'Transfer-Encoding: chunked ',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: gzip',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding: chunked;a=b',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked',
  'Transfer_Encoding: chunked',
  'Transfer-Encoding\x00: chunked',
  'Transfer-Encoding:\x0cchunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 5',
  'Content-Length: 5\r\nTransfer-Encoding: chunked',
  'Content-Length: 5\r\nContent-Length: 5',
  'Content-Length: 5\r\nContent-Length: 6',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: Keep-Alive, close',
  'Connection: x-a',
  'Connection: host',
  'Connection: transfer-encoding',
  'Connection: a b',
  'Connection: ,close',
  'Connection: "close"',
  'Connection:',
  'Connection: content-length',
  'Connection: TE',
  'TE: trailers',
  'Keep-Alive: 5',
  'Proxy-Connection: close',
  'Expect: 100-continue',
  'Expect: 100-Continue',
  'Expect: x',
  'Expect:',
  'Expect: ,100-continue\r\nExpect: 100-continue,',
  'Upgrade: h2c',
  'Upgrade: websocket',
  'Connection: upgrade\r\nUpgrade: websocket',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
  'Upgrade:',
  'Connection: upgrade\r\nUpgrade: a\r\nUpgrade: ,b/1, a,',
  'Upgrade: (',
  'Trailer: x-t',
  'Host: b',
  'Host : b',
  'host: a',
];
const CHUNKED_BODIES = [
  '5\r\nhello\r\n0\r\n\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n',
  '05\r\nhello\r\n00\r\n\r\n',
  'A\r\n0123456789\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n',
];
const ODD_CHUNKED_BODIES = [
  '5 \r\nhello\r\n0\r\n\r\n',
  ' 5\r\nhello\r\n0\r\n\r\n',
  '5;\r\nhello\r\n0\r\n\r\n',
  '5;a="b;c"\r\nhello\r\n0\r\n\r\n',
  '5;a="b\r\nhello\r\n0\r\n\r\n',
  '5 ; a = b\r\nhello\r\n0\r\n\r\n',
  '5\nhello\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhello\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\n',
  '5\r\nhello\r\n0\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  '\r\n0\r\n\r\n',
  'g\r\n',
  'fffffffffffffffff\r\nhello',
  '00000000000000005\r\nhello\r\n0\r\n\r\n',
  '5\r\nhelloX0\r\n\r\n',
  '5;a\nb\r\nhello\r\n0\r\n\r\n',
  '0\r\nX-T : 1\r\n\r\n',
  '0\r\n X: 1\r\n\r\n',
  '0\r\nX-T\r\n\r\n',
  '0\r\nX-T: \x00\r\n\r\n',
  '0\r\nContent-Length: 5\r\n\r\n',
  '0\r\nHost: b\r\n\r\n',
  '0\r\nTransfer-Encoding: x\r\n\r\n',
  '0\r\nX-T: 1\n\r\n',
  '5\rXhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\rX',
  '5;\x00\r\nhello\r\n0\r\n\r\n',
  '5;a=\x7f\r\nhello\r\n0\r\n\r\n',
  '5,\r\nhello\r\n0\r\n\r\n',
  '5_0\r\n',
  '5\t\r\nhello\r\n0\r\n\r\n',
  '0\r\nX-T: a\r\n b\r\n\r\n',
];
const VERSIONS = [
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'HTTP/1.2',
  'HTTP/1.10',
  'http/1.1',
  'HTTP/1,1',
  'HTTP/1.1 ',
  ' HTTP/1.1',
  'HTTP /1.1',
  'HTTP/1',
  'HTTP/11.1',
  'HTTPS/1.1',
  'ICE/1.0',
  '',
];
const BYTES = [0, 1, 9, 10, 11, 12, 13, 32, 34, 35, 44, 47, 48, 58, 59, 64, 92, 127, 128, 255];

/** Shows of the differences that are too rare to come by chance: each is a row of docs/decisions/http1-strictness.md. */
export const RARE: readonly Buffer[] = [
  'POST /\xf8 HTTP/1.1\r\nHost: [::\xff\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\nX-A: b\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: #\r\n',
  'OPTIONS /a \r\n\r\n',
  'DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect:\r\n\r\n',
  'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5; b\r\nhello\r\n0\r\n\r\n',
  'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5 ; a = b\r\nhello\r\n0\r',
  'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\r\nhello\r\n0\r\n\r\n',
  'PATCH / HTTP/1.2\r\nHost: a\r\nContent-Length: 15\r\n\r\nhello',
  'HEAD / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\nhello',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nExpect: B 100-Continue\r\n\r\n',
  'X / HTTP/1.1\r\nHost: a\r\n',
].map((text) => Buffer.from(text, 'latin1'));

/** One connection as the bytes a client sends: one to three requests, most of them sound, usually one odd thing. */
export function connection(random: Random): Buffer {
  const count = random.next() < 0.7 ? 1 : 1 + below(random, 3);
  const odd = random.next() < 0.8 ? below(random, count) : -1;
  let text = '';
  for (let i = 0; i < count; i++) text += request(random, i === odd);
  const bytes = Buffer.from(text, 'latin1');
  return random.next() < 0.25 ? damage(random, bytes) : bytes;
}

function request(random: Random, odd: boolean): string {
  const where = odd ? below(random, 9) : -1;
  const target = where === 0 ? oneOf(random, ODD_TARGETS) : oneOf(random, TARGETS);
  const version = where === 1 ? oneOf(random, VERSIONS) : 'HTTP/1.1';
  const fields =
    random.next() < 0.02 ? [] : [`Host: ${oneOf(random, where === 2 ? ODD_HOSTS : HOSTS)}`];
  for (let more = below(random, 4); more > 0; more--) fields.push(oneOf(random, FIELDS));
  let method = oneOf(random, METHODS);
  let body = '';
  if (where === 3) fields.splice(below(random, fields.length + 1), 0, oneOf(random, ODD_FIELDS));
  else if (where === 4 || where === 5) {
    fields.splice(below(random, fields.length + 1), 0, oneOf(random, STEERING));
    if (random.next() < 0.3) fields.push(oneOf(random, STEERING));
    body = oneOf(random, ['', 'hello', ...CHUNKED_BODIES]);
  } else if (where === 6) {
    fields.push('Transfer-Encoding: chunked');
    body = oneOf(random, ODD_CHUNKED_BODIES);
  } else if (where === 7)
    method = oneOf(random, [
      'CONNECT',
      'get',
      'G@T',
      'GET ',
      ' GET',
      'M-SEARCH',
      '',
      'PRI',
      'G\x00T',
      'TRACE',
      'SOURCE',
      'X',
    ]);
  else if (random.next() < 0.4) {
    const chunked = random.next() < 0.5;
    body = chunked ? oneOf(random, CHUNKED_BODIES) : 'hello'.repeat(below(random, 4));
    fields.push(chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`);
  }
  const ends = where === 8 ? oneOf(random, ['\n', '\r', '\r\r\n', '\n\n', '\r\n\r\n']) : '\r\n';
  const lead = random.next() < 0.02 ? oneOf(random, ['\r\n', '\n', '\r', '\r\n\r\n', ' ']) : '';
  return `${lead}${method} ${target} ${version}${where === 8 && random.next() < 0.5 ? ends : '\r\n'}${fields.join('\r\n')}${fields.length > 0 ? ends : ''}\r\n${body}`;
}

function damage(random: Random, bytes: Buffer): Buffer {
  let list = bytes;
  for (let edits = 1 + below(random, 2); edits > 0; edits--) {
    const at = below(random, list.length + 1);
    const size = 1 + below(random, 4);
    const byte = Buffer.from([random.next() < 0.7 ? oneOf(random, BYTES) : below(random, 256)]);
    const middle = oneOf(random, [
      byte,
      Buffer.alloc(0),
      Buffer.concat([byte, list.subarray(at, at + size)]),
    ]);
    list = Buffer.concat([
      list.subarray(0, at),
      middle,
      list.subarray(at + (random.next() < 0.5 ? size : 0)),
    ]);
  }
  return list;
}
