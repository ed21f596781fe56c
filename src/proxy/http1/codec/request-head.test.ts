import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  droppedOf,
  fieldsOf,
  LIMITS,
  request,
  slice,
  verdict,
} from '../../../../test/support/http1.ts';
import {
  BAD,
  FIELD_COOKIE,
  FIELD_DROP,
  FIELD_HOST,
  FIELD_KINDS,
  FIELD_OTHER,
  FIELD_STRIDE,
  FIELD_TRACEPARENT,
  FIELD_X_FORWARDED_FOR,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  INCOMPLETE,
  METHOD_GET,
  METHOD_OPTIONS,
  METHOD_OTHER,
} from '../../head/head.ts';
import { parseRequestHead } from './request-head.ts';

const H = 'Host: a\r\n';

/** Start line and fields of a request that breaks one rule, and the outcome. */
const REFUSED: readonly (readonly [input: string, verdict: string])[] = [
  ['GET / HTTP/1.1\nHost: a\r\n\r\n', 'bad_request line_bare_lf'],
  ['GET / HTTP/1.1\r\nHost: a\n\r\n', 'bad_request line_bare_lf'],
  ['GET /\nHost: a\r\n\r\n', 'bad_request line_bare_lf'],
  ['\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request line_bare_lf'],
  [`GET / HTTP/1.1\r\n${H}\n`, 'bad_request line_bare_lf'],
  [`GET / HTTP/1.1\r\n${H}a\nb: c\r\n\r\n`, 'bad_request line_bare_lf'],
  [`GET / HTTP/1.1\rX\r\n${H}\r\n`, 'bad_request line_bare_cr'],
  [`GET / HTTP/1.1\r\n${H}a: b\rc: d\r\n\r\n`, 'bad_request line_bare_cr'],
  [`GET / HTTP/1.1\r\n${H}\rX`, 'bad_request line_bare_cr'],
  ['\rGET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request line_bare_cr'],
  ['\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request method_character'],
  [' GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request method_character'],
  ['G@T / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request method_character'],
  ['GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request method_character'],
  ['GÉT / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request method_character'],
  ['\x16\x03\x01\x02\x00', 'bad_request method_character'],
  [`CONNECT a:80 HTTP/1.1\r\n${H}\r\n`, 'unsupported_method method_connect'],
  [`GET  / HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`GET a HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`GET a:80 HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`GET * HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`OPTIONS *a HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`GET ?a HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`GET /a\tb HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET /a#b HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET /é\x07 HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET /?é\t HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET /"a" HTTP/1.1 x\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET /\x7f HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET /\x00 HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET http://é/ HTTP/1.1\r\n${H}\r\n`, 'bad_request host_invalid'],
  [`GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n`, 'bad_request host_invalid'],
  [`GET /?a#b HTTP/1.1\r\n${H}\r\n`, 'bad_request target_character'],
  [`GET https://a/ HTTP/1.1\r\n${H}\r\n`, 'bad_request target_scheme'],
  [`GET ftp://a/ HTTP/1.1\r\n${H}\r\n`, 'bad_request target_scheme'],
  [`GET http:/a HTTP/1.1\r\n${H}\r\n`, 'bad_request target_form'],
  [`GET http:///a HTTP/1.1\r\n${H}\r\n`, 'bad_request host_invalid'],
  [`GET http://u@a/ HTTP/1.1\r\n${H}\r\n`, 'bad_request host_invalid'],
  [`GET http://a:b/ HTTP/1.1\r\n${H}\r\n`, 'bad_request host_invalid'],
  [`GET /\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / \r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET /  HTTP/1.1\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / HTTP/1.1 \r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / HTTP/1.10\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / http/1.1\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / HTTP/1,1\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / HTTP/a.1\r\n${H}\r\n`, 'bad_request version_malformed'],
  [`GET / HTTP/0.9\r\n${H}\r\n`, 'unsupported_version version_unsupported'],
  [`GET / HTTP/2.0\r\n${H}\r\n`, 'unsupported_version version_unsupported'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'bad_request target_form'],
  [`GET / HTTP/1.1\r\n${H} folded\r\n\r\n`, 'bad_request field_folded'],
  [`GET / HTTP/1.1\r\n${H}a: b\r\n\tc\r\n\r\n`, 'bad_request field_folded'],
  [`GET / HTTP/1.1\r\n ${H}\r\n`, 'bad_request field_folded'],
  [`GET / HTTP/1.1\r\n${H}: b\r\n\r\n`, 'bad_request field_name_empty'],
  [`GET / HTTP/1.1\r\n${H}a : b\r\n\r\n`, 'bad_request field_name_space'],
  [`GET / HTTP/1.1\r\n${H}a\t: b\r\n\r\n`, 'bad_request field_name_space'],
  [`GET / HTTP/1.1\r\n${H}a b: c\r\n\r\n`, 'bad_request field_name_space'],
  [`GET / HTTP/1.1\r\n${H}no-colon\r\n\r\n`, 'bad_request field_name_character'],
  [`GET / HTTP/1.1\r\n${H}a(b): c\r\n\r\n`, 'bad_request field_name_character'],
  [`GET / HTTP/1.1\r\n${H}a\x00: c\r\n\r\n`, 'bad_request field_name_character'],
  [`GET / HTTP/1.1\r\n${H}é: c\r\n\r\n`, 'bad_request field_name_character'],
  [`GET / HTTP/1.1\r\n${H}a: \x00\r\n\r\n`, 'bad_request field_value_character'],
  [`GET / HTTP/1.1\r\n${H}a: b\x0bc\r\n\r\n`, 'bad_request field_value_character'],
  [`GET / HTTP/1.1\r\n${H}a: \x7f\r\n\r\n`, 'bad_request field_value_character'],
  ['GET / HTTP/1.1\r\n\r\n', 'bad_request host_missing'],
  ['GET http://a/ HTTP/1.1\r\n\r\n', 'bad_request host_missing'],
  [`GET / HTTP/1.1\r\n${H}${H}\r\n`, 'bad_request host_repeated'],
  [`GET / HTTP/1.1\r\n${H}HOST: b\r\n\r\n`, 'bad_request host_repeated'],
  [`GET / HTTP/1.0\r\n${H}${H}\r\n`, 'bad_request host_repeated'],
  ['GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: a,b\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: a%41\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: :80\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: [::1\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: []\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n', 'bad_request host_invalid'],
  ['GET / HTTP/1.1\r\nHost: é\r\n\r\n', 'bad_request host_invalid'],
  [`POST / HTTP/1.1\r\n${H}Content-Length:\r\n\r\n`, 'bad_request content_length_malformed'],
  [`POST / HTTP/1.1\r\n${H}Content-Length: +1\r\n\r\n`, 'bad_request content_length_malformed'],
  [`POST / HTTP/1.1\r\n${H}Content-Length: -1\r\n\r\n`, 'bad_request content_length_malformed'],
  [`POST / HTTP/1.1\r\n${H}Content-Length: 0x1\r\n\r\n`, 'bad_request content_length_malformed'],
  [`POST / HTTP/1.1\r\n${H}Content-Length: 1 1\r\n\r\n`, 'bad_request content_length_malformed'],
  [`POST / HTTP/1.1\r\n${H}Content-Length: 1, 1\r\n\r\n`, 'bad_request content_length_malformed'],
  [`POST / HTTP/1.1\r\n${H}Content-Length: 1.0\r\n\r\n`, 'bad_request content_length_malformed'],
  [
    `POST / HTTP/1.1\r\n${H}Content-Length: 9007199254740992\r\n\r\n`,
    'bad_request content_length_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Content-Length: ${'9'.repeat(400)}\r\n\r\n`,
    'bad_request content_length_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`,
    'bad_request content_length_repeated',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Content-Length: 1\r\ncontent-length: 2\r\n\r\n`,
    'bad_request content_length_repeated',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'bad_request content_length_with_transfer_encoding',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n`,
    'bad_request content_length_with_transfer_encoding',
  ],
  [`POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n\r\n`, 'bad_request transfer_encoding_malformed'],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked;a=b\r\n\r\n`,
    'bad_request transfer_encoding_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked,\r\n\r\n`,
    'bad_request transfer_encoding_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: ,chunked\r\n\r\n`,
    'bad_request transfer_encoding_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: "chunked"\r\n\r\n`,
    'bad_request transfer_encoding_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked chunked\r\n\r\n`,
    'bad_request transfer_encoding_malformed',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, chunked\r\n\r\n`,
    'bad_request transfer_encoding_repeated',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'bad_request transfer_encoding_repeated',
  ],
  [
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`,
    'bad_request transfer_encoding_http10',
  ],
  [`POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip\r\n\r\n`, 'bad_request transfer_encoding_open'],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    'unsupported_coding transfer_encoding_unsupported',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip;q="a", chunked\r\n\r\n`,
    'unsupported_coding transfer_encoding_unsupported',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked, gzip\r\n\r\n`,
    'bad_request transfer_encoding_open',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity\r\n\r\n`,
    'bad_request transfer_encoding_open',
  ],
  [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n`,
    'bad_request transfer_encoding_open',
  ],
  [`GET / HTTP/1.1\r\n${H}Connection: a b\r\n\r\n`, 'bad_request connection_malformed'],
  [`GET / HTTP/1.1\r\n${H}Connection: "close"\r\n\r\n`, 'bad_request connection_malformed'],
  [`GET / HTTP/1.1\r\n${H}Connection: close, host\r\n\r\n`, 'bad_request connection_framing'],
  [`GET / HTTP/1.1\r\n${H}Connection: Content-Length\r\n\r\n`, 'bad_request connection_framing'],
  [`GET / HTTP/1.1\r\n${H}Connection: transfer-encoding\r\n\r\n`, 'bad_request connection_framing'],
  [
    `GET / HTTP/1.1\r\n${H}Connection: ${'a,'.repeat(33)}\r\n\r\n`,
    'bad_request connection_options',
  ],
  [`GET / HTTP/1.1\r\n${H}Upgrade: a b\r\n\r\n`, 'bad_request upgrade_malformed'],
  [`GET / HTTP/1.1\r\n${H}Upgrade: a/\r\n\r\n`, 'bad_request upgrade_malformed'],
  [`GET / HTTP/1.1\r\n${H}Upgrade: a/b/c\r\n\r\n`, 'bad_request upgrade_malformed'],
  [`GET / HTTP/1.1\r\n${H}Upgrade: (a)\r\n\r\n`, 'bad_request upgrade_malformed'],
  [`GET / HTTP/1.1\r\n${H}Expect: 200-ok\r\n\r\n`, 'expectation_failed expect_unknown'],
  [`GET / HTTP/1.1\r\n${H}Expect: 100-continue, x\r\n\r\n`, 'expectation_failed expect_unknown'],
  [`GET / HTTP/1.1\r\n${H}Expect: 100-continue;a\r\n\r\n`, 'expectation_failed expect_unknown'],
  [`GET /${'a'.repeat(20_000)}`, 'target_too_long head_bytes'],
  [`GET http://${'a'.repeat(20_000)}`, 'target_too_long head_bytes'],
  ['A'.repeat(20_000), 'head_too_large head_bytes'],
  [`TRACE / HTTP/1.1\r\n${H}Content-Length: 1\r\n\r\na`, 'bad_request trace_content'],
  [`OPTIONS * HTTP/1.1\r\n${H}Max-Forwards: 0\r\n\r\n`, 'unsupported_method max_forwards_used'],
  [`TRACE / HTTP/1.1\r\n${H}Max-Forwards: 00\r\n\r\n`, 'unsupported_method max_forwards_used'],
  [`TRACE / HTTP/1.1\r\n${H}Max-Forwards: x\r\n\r\n`, 'bad_request max_forwards_malformed'],
  [`TRACE / HTTP/1.1\r\n${H}Max-Forwards:\r\n\r\n`, 'bad_request max_forwards_malformed'],
  [
    `TRACE / HTTP/1.1\r\n${H}Max-Forwards: 1\r\nMax-Forwards: 1\r\n\r\n`,
    'bad_request max_forwards_malformed',
  ],
  [
    `TRACE / HTTP/1.1\r\n${H}Max-Forwards: 1234567890\r\n\r\n`,
    'bad_request max_forwards_malformed',
  ],
  [`GET / HTTP/1.1\r\n${H}a: ${'a'.repeat(20_000)}\r\n\r\n`, 'head_too_large head_bytes'],
  [`GET / HTTP/1.1\r\n${H}${'a: b\r\n'.repeat(100)}\r\n`, 'head_too_large head_fields'],
];

/** Requests that must pass, however odd. */
const ACCEPTED: readonly string[] = [
  `GET / HTTP/1.1\r\n${H}\r\n`,
  `\r\nGET / HTTP/1.1\r\n${H}\r\n`,
  `get / HTTP/1.1\r\n${H}\r\n`,
  `!#$%&'*+-.^_\`|~ / HTTP/1.1\r\n${H}\r\n`,
  `GET /a/b;c=d,e:@!$&'()*+%20~[]|^ HTTP/1.1\r\n${H}\r\n`,
  `GET /?a={b}|\\\`^/? HTTP/1.1\r\n${H}\r\n`,
  `GET // HTTP/1.1\r\n${H}\r\n`,
  `GET / HTTP/1.9\r\n${H}\r\n`,
  'GET / HTTP/1.0\r\n\r\n',
  'GET http://a HTTP/1.0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost:a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: \t a:8080 \t \r\n\r\n',
  'GET / HTTP/1.1\r\nhOST: a_b.C-d~\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a:\r\n\r\n',
  `GET / HTTP/1.1\r\n${H}a:\r\nb: \r\nc: \t\r\n\r\n`,
  `GET / HTTP/1.1\r\n${H}a: \tx\ty é\xff" \r\n\r\n`,
  `GET / HTTP/1.1\r\n${H}Connection:\r\nConnection: , ,\tclose ,,\r\n\r\n`,
  `POST / HTTP/1.1\r\n${H}Content-Length: 007\r\n\r\n`,
  `POST / HTTP/1.1\r\n${H}Content-Length: 9007199254740991\r\n\r\n`,
  `POST / HTTP/1.1\r\n${H}Transfer-Encoding: Chunked \r\n\r\n`,
  `POST / HTTP/1.1\r\n${H}Expect: 100-Continue\r\n\r\n`,
  `POST / HTTP/1.1\r\n${H}Expect:\r\nExpect: ,100-continue ,\t100-Continue,\r\n\r\n`,
  `GET / HTTP/1.1\r\n${H}Upgrade: a\r\nUpgrade:\r\nUpgrade: ,b/1, ,a,\r\n\r\n`,
  'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'GET / HTTP/1.0\r\nHost: \r\n\r\n',
  `GET /a"b\\<c>{d}\`/é?q="x"<y>é HTTP/1.1\r\n${H}\r\n`,
  `GET / HTTP/1.1\r\n${H}${'a: b\r\n'.repeat(99)}\r\n`,
];

describe('parseRequestHead()', () => {
  for (const [input, expected] of REFUSED) {
    it(`refuses ${JSON.stringify(input.slice(0, 90))} as ${expected}`, () => {
      const { end, head } = request(input);
      assert.equal(verdict(end, head), expected);
    });
  }

  for (const input of ACCEPTED) {
    it(`accepts ${JSON.stringify(input.slice(0, 90))}`, () => {
      const { end, head } = request(input);
      assert.equal(verdict(end, head), 'ok');
      assert.equal(end, input.length);
    });

    it(`says INCOMPLETE for every prefix of ${JSON.stringify(input.slice(0, 60))}`, () => {
      const { buf, head } = request(input);
      for (let end = 0; end < buf.length; end++) {
        assert.equal(
          parseRequestHead(buf, 0, end, head, LIMITS),
          INCOMPLETE,
          `prefix of ${end} bytes`,
        );
      }
    });
  }

  it('gives every part of a request', () => {
    const { buf, head } = request(
      'OPTIONS /a/b?c=d?e HTTP/1.1\r\nHost: x:1\r\nCookie: k\r\nX-Y: z\r\ntraceparent: t\r\n\r\n',
    );
    assert.equal(slice(buf, head.methodStart, head.methodEnd), 'OPTIONS');
    assert.equal(head.method, METHOD_OPTIONS);
    assert.equal(slice(buf, head.targetStart, head.targetEnd), '/a/b?c=d?e');
    assert.equal(slice(buf, head.queryStart, head.targetEnd), '?c=d?e');
    assert.equal(slice(buf, head.hostStart, head.hostEnd), 'x:1');
    assert.deepEqual(fieldsOf(buf, head), [
      ['Host', 'x:1'],
      ['Cookie', 'k'],
      ['X-Y', 'z'],
      ['traceparent', 't'],
    ]);
    const kinds = [0, 1, 2, 3].map((i) => head.fields[i * FIELD_STRIDE]);
    assert.deepEqual(kinds, [FIELD_HOST, FIELD_COOKIE, FIELD_OTHER, FIELD_TRACEPARENT]);
    assert.ok(kinds.every((kind) => kind < FIELD_KINDS));
    assert.equal(head.framing, FRAMING_NONE);
    assert.equal(head.contentLength, -1);
  });

  it('tells methods apart by case', () => {
    assert.equal(request(`GET / HTTP/1.1\r\n${H}\r\n`).head.method, METHOD_GET);
    assert.equal(request(`Get / HTTP/1.1\r\n${H}\r\n`).head.method, METHOD_OTHER);
  });

  for (const [target, host, rest, slash] of [
    ['http://b/c?d', 'b', '/c?d', false],
    ['HTTP://b:81', 'b:81', '', true],
    ['http://[::1]?d', '[::1]', '?d', true],
  ] as const) {
    it(`takes host and path from the absolute target ${target}`, () => {
      const { buf, head, end } = request(`GET ${target} HTTP/1.1\r\nHost: other\r\n\r\n`);
      assert.equal(verdict(end, head), 'ok');
      assert.equal(head.absoluteForm, true);
      assert.equal(slice(buf, head.hostStart, head.hostEnd), host);
      assert.equal(slice(buf, head.targetStart, head.targetEnd), rest);
      assert.equal(head.targetSlash, slash);
    });
  }

  it('takes the * of OPTIONS as the target', () => {
    const { buf, head } = request(`OPTIONS * HTTP/1.1\r\n${H}\r\n`);
    assert.equal(slice(buf, head.targetStart, head.targetEnd), '*');
  });

  it('frames bodies by Content-Length and by chunks', () => {
    const length = request(`POST / HTTP/1.1\r\n${H}Content-Length: 12\r\n\r\n`).head;
    assert.deepEqual(
      [length.framing, length.contentLength, length.chunked],
      [FRAMING_LENGTH, 12, false],
    );
    const chunked = request(`POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`).head;
    assert.deepEqual(
      [chunked.framing, chunked.contentLength, chunked.chunked],
      [FRAMING_CHUNKED, -1, true],
    );
    const empty = request(`POST / HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n`).head;
    assert.deepEqual([empty.framing, empty.contentLength], [FRAMING_NONE, 0]);
  });

  for (const [version, connection, expected] of [
    ['1.1', '', true],
    ['1.1', 'close', false],
    ['1.1', 'Keep-Alive, CLOSE', false],
    ['1.1', 'foo', true],
    ['1.0', '', false],
    ['1.0', 'Keep-Alive', true],
    ['1.0', 'keep-alive, close', false],
  ] as const) {
    it(`says keepAlive ${expected} for HTTP/${version} with Connection: ${connection}`, () => {
      assert.equal(
        request(`GET / HTTP/${version}\r\n${H}Connection: ${connection}\r\n\r\n`).head.keepAlive,
        expected,
      );
    });
  }

  it('drops hop-by-hop fields, those named by Connection, and underscore twins', () => {
    const { buf, head } = request(
      `GET / HTTP/1.1\r\n${H}X-A: 1\r\nConnection: x-a, close\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n` +
        'X-B: 2\r\nx-A: 3\r\nconnection: Cookie\r\ncookie: k\r\nHTTP2-Settings: q\r\nX_Forwarded_For: 1\r\nX-Forwarded_Proto: 1\r\n' +
        'x-forwarded_host: a\r\nContent_Length: 1\r\ntransfer_encoding: chunked\r\nProxy-Authorization: x\r\nX_Y: 1\r\n\r\n',
    );
    assert.deepEqual(droppedOf(buf, head), [
      'X-A',
      'Keep-Alive',
      'Proxy-Connection',
      'TE',
      'x-A',
      'cookie',
      'HTTP2-Settings',
      'X_Forwarded_For',
      'X-Forwarded_Proto',
      'x-forwarded_host',
      'Content_Length',
      'transfer_encoding',
    ]);
    assert.equal(head.acceptsTrailers, true);
    assert.equal(head.chunked, false);
  });

  it('lets Connection name X-Forwarded-For away, so that the proxy writes its own only', () => {
    const { head } = request(
      `GET / HTTP/1.1\r\n${H}X-Forwarded-For: 1\r\nConnection: X-Forwarded-For\r\n\r\n`,
    );
    assert.equal(head.fields[FIELD_STRIDE], FIELD_DROP);
    const kept = request(`GET / HTTP/1.1\r\n${H}X-Forwarded-For: 1\r\n\r\n`).head;
    assert.equal(kept.fields[FIELD_STRIDE], FIELD_X_FORWARDED_FOR);
  });

  for (const [text, expected] of [
    ['Connection: Upgrade\r\nUpgrade: websocket\r\n', true],
    ['Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n', true],
    ['Upgrade: a\r\nConnection: , Upgrade\r\nUpgrade: , b/1\r\n', true],
    ['Connection: upgrade\r\nUpgrade: ,\r\n', false],
    ['Connection: upgrade\r\nUpgrade: xh2c, h2cx\r\n', true],
    ['Upgrade: websocket\r\n', false],
    ['Connection: upgrade\r\n', false],
    ['Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n', false],
    ['Connection: upgrade\r\nUpgrade: websocket, H2C\r\n', false],
  ] as const) {
    it(`says upgrade ${expected} for ${JSON.stringify(text)}`, () => {
      const { end, head } = request(`GET / HTTP/1.1\r\n${H}${text}\r\n`);
      assert.equal(verdict(end, head), 'ok');
      assert.equal(head.upgrade, expected);
      assert.equal(request(`GET / HTTP/1.0\r\n${H}${text}\r\n`).head.upgrade, false);
    });
  }

  it('notes Expect: 100-continue in HTTP/1.1 with a body, and ignores any Expect of HTTP/1.0', () => {
    const expecting = (fields: string): boolean =>
      request(`PUT / HTTP/1.1\r\n${H}Expect: 100-continue\r\n${fields}\r\n`).head.expectContinue;
    assert.equal(expecting('Content-Length: 1\r\n'), true);
    assert.equal(expecting('Transfer-Encoding: chunked\r\n'), true);
    assert.equal(expecting('Content-Length: 0\r\n'), false);
    assert.equal(expecting(''), false);
    assert.equal(expecting('Content-Length: 1\r\nConnection: expect\r\n'), false);
    const old = request(`PUT / HTTP/1.0\r\n${H}Expect: x\r\n\r\n`);
    assert.equal(verdict(old.end, old.head), 'ok');
    assert.equal(old.head.expectContinue, false);
  });

  it('holds head_bytes exactly', () => {
    const text = `GET / HTTP/1.1\r\n${H}\r\n`;
    const limits = { headBytesMax: text.length, headFieldsMax: 1 };
    const exact = request(text, limits);
    assert.equal(verdict(exact.end, exact.head), 'ok');
    const over = request(text, { ...limits, headBytesMax: text.length - 1 });
    assert.equal(verdict(over.end, over.head), 'head_too_large head_bytes');
  });

  it('makes room for fields, up to the limit', () => {
    const head = new Head(1);
    for (const [count, isTooMany] of [
      [3, false],
      [4, true],
    ] as const) {
      const buf = Buffer.from(`GET / HTTP/1.1\r\n${H}${'a:\r\n'.repeat(count - 1)}\r\n`);
      const limits = { headBytesMax: 99, headFieldsMax: 3 };
      assert.equal(
        parseRequestHead(buf, 0, buf.length, head, limits),
        isTooMany ? BAD : buf.length,
      );
      assert.equal(head.rule, isTooMany ? 'head_fields' : '');
    }
  });

  it('forgets the request before', () => {
    const head = new Head(128);
    const first = Buffer.from(
      'POST http://x/ HTTP/1.0\r\nContent-Length: 5\r\nConnection: a, keep-alive\r\n\r\n',
    );
    assert.ok(parseRequestHead(first, 0, first.length, head, LIMITS) > 0);
    const second = Buffer.from(`GET /b HTTP/1.1\r\n${H}\r\n`);
    assert.ok(parseRequestHead(second, 0, second.length, head, LIMITS) > 0);
    const { head: fresh } = request(second.toString());
    head.fields.fill(0, head.count * FIELD_STRIDE);
    assert.deepEqual(head, fresh);
  });
});

const tokenCharacter = fc.constantFrom(
  ..."!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".split(''),
);
const token = fc.string({ unit: tokenCharacter, minLength: 1, maxLength: 20 });
const valueByte = fc
  .integer({ min: 0x21, max: 0xff })
  .filter((byte) => byte !== 0x7f)
  .map((byte) => String.fromCharCode(byte));
const value = fc
  .array(fc.string({ unit: valueByte, minLength: 1, maxLength: 12 }), { maxLength: 4 })
  .map((words) => words.join(' '));
const path = fc
  .string({ unit: fc.constantFrom(..."abcXYZ019-._~!$&'()*+,;=:@/%|[]^".split('')), maxLength: 30 })
  .map((text) => `/${text}`);
const query = fc.option(
  fc.string({ unit: fc.constantFrom(...'abc=&?/{}`\\%20'.split('')), maxLength: 20 }),
  {
    nil: undefined,
  },
);
const space = fc.constantFrom('', ' ', '\t', ' \t ');
const SPECIAL = /^(host|content-length|transfer-encoding|connection|upgrade|expect)$/i;
const field = fc.tuple(
  token.filter((name) => !SPECIAL.test(name)),
  value,
  space,
  space,
);

describe('parseRequestHead() on generated input', () => {
  it('gives back what a request was made of', () => {
    const made = fc.record({
      method: token,
      path,
      query,
      fields: fc.array(field, { maxLength: 12 }),
      at: fc.nat(12),
      minor: fc.constantFrom(0, 1),
    });
    fc.assert(
      fc.property(made, ({ method, path, query, fields, at, minor }) => {
        fc.pre(method !== 'CONNECT');
        const target = query === undefined ? path : `${path}?${query}`;
        const list: [string, string, string, string][] = [...fields];
        list.splice(Math.min(at, list.length), 0, ['Host', 'web.shop:80', ' ', '']);
        const lines = list.map(
          ([name, value, before, after]) => `${name}:${before}${value}${after}\r\n`,
        );
        const { end, head, buf } = request(
          `${method} ${target} HTTP/1.${minor}\r\n${lines.join('')}\r\nrest`,
        );
        assert.equal(verdict(end, head), 'ok');
        assert.equal(end, buf.length - 4);
        assert.equal(slice(buf, head.methodStart, head.methodEnd), method);
        assert.equal(slice(buf, head.targetStart, head.targetEnd), target);
        assert.equal(slice(buf, head.targetStart, head.queryStart), path);
        assert.equal(head.minor, minor);
        assert.deepEqual(
          fieldsOf(buf, head),
          list.map(([name, value]) => [name, value]),
        );
      }),
    );
  });

  it('reads nothing outside its range and never changes its mind when more bytes come', () => {
    const seeds = [
      ...ACCEPTED,
      ...REFUSED.map(([input]) => input).filter((input) => input.length < 300),
    ];
    const mutated = fc.record({
      seed: fc.constantFrom(...seeds),
      edits: fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(2), fc.nat(255)),
        { maxLength: 4 },
      ),
    });
    const limits = { headBytesMax: 400, headFieldsMax: 20 };
    fc.assert(
      fc.property(mutated, ({ seed, edits }) => {
        const bytes = [...Buffer.from(seed, 'latin1')];
        for (const [where, deleted, inserted] of edits)
          bytes.splice(Math.floor(where * bytes.length), deleted, inserted);
        const outcomes = ['\r\n', 'a', ': 0'].map((filler) => {
          const margin = Buffer.from(filler.repeat(20));
          const buf = Buffer.concat([margin, Buffer.from(bytes), margin]);
          const head = new Head(32);
          const end = parseRequestHead(
            buf,
            margin.length,
            buf.length - margin.length,
            head,
            limits,
          );
          return end < 0 ? verdict(end, head) : `ok ${end - margin.length}`;
        });
        assert.equal(new Set(outcomes).size, 1, outcomes.join(' / '));
        const buf = Buffer.from(bytes);
        const head = new Head(32);
        let before = 'incomplete';
        for (let end = 0; end <= buf.length; end++) {
          const result = parseRequestHead(buf, 0, end, head, limits);
          const now = result < 0 ? verdict(result, head) : `ok ${result}`;
          if (before !== 'incomplete') assert.equal(now, before);
          before = now;
        }
      }),
      { numRuns: 300 },
    );
  });
});
