import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  droppedOf,
  fieldsOf,
  LIMITS,
  response,
  slice,
  verdict,
} from '../../../../test/support/http1.ts';
import {
  FIELD_DATE,
  FIELD_OTHER,
  FIELD_RETRY_AFTER,
  FIELD_SET_COOKIE,
  FIELD_STRIDE,
  FIELD_TRAILER,
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  INCOMPLETE,
  METHOD_GET,
  METHOD_HEAD,
} from '../../head/head.ts';
import { parseResponseHead } from './response-head.ts';

const OK = 'HTTP/1.1 200 OK\r\n';

const REFUSED: readonly (readonly [input: string, verdict: string])[] = [
  ['HTTP/2.0 200 OK\r\n\r\n', 'bad_response version_malformed'],
  ['HTTP/1.x 200 OK\r\n\r\n', 'bad_response version_malformed'],
  ['http/1.1 200 OK\r\n\r\n', 'bad_response version_malformed'],
  ['HTTP/1.1  200 OK\r\n\r\n', 'bad_response status_malformed'],
  ['\r\nHTTP/1.1 200 OK\r\n\r\n', 'bad_response version_malformed'],
  ['SSH-2.0-OpenSSH_9.2\r\n', 'bad_response version_malformed'],
  ['220 smtp\r\n', 'bad_response version_malformed'],
  ['-ERR\r\n', 'bad_response version_malformed'],
  ['HTTP/1.1 099 OK\r\n\r\n', 'bad_response status_malformed'],
  ['HTTP/1.1 20 OK\r\n\r\n', 'bad_response status_malformed'],
  ['HTTP/1.1 2000 OK\r\n\r\n', 'bad_response status_malformed'],
  ['HTTP/1.1 200\tOK\r\n\r\n', 'bad_response status_malformed'],
  ['HTTP/1.1 200\n\r\n', 'bad_response line_bare_lf'],
  ['HTTP/1.1 200 OK\n\r\n', 'bad_response line_bare_lf'],
  ['HTTP/1.1 200 O\rK\r\n\r\n', 'bad_response line_bare_cr'],
  ['HTTP/1.1 200 O\x00K\r\n\r\n', 'bad_response reason_character'],
  [`${OK}a: b\r\n c\r\n\r\n`, 'bad_response field_folded'],
  [`${OK}a b: c\r\n\r\n`, 'bad_response field_name_space'],
  [`${OK} a: c\r\n\r\n`, 'bad_response field_folded'],
  [`${OK} : c\r\n\r\n`, 'bad_response field_folded'],
  [`${OK}a\r\n\r\n`, 'bad_response field_name_character'],
  [`${OK}a: \x01\r\n\r\n`, 'bad_response field_value_character'],
  [`${OK}a: b\n\r\n`, 'bad_response line_bare_lf'],
  [`${OK}a: b\n\n`, 'bad_response line_bare_lf'],
  [`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\n`, 'bad_response content_length_repeated'],
  [`${OK}Content-Length: 1, 2\r\n\r\n`, 'bad_response content_length_repeated'],
  [`${OK}Content-Length: 1 1\r\n\r\n`, 'bad_response content_length_malformed'],
  [`${OK}Content-Length: 1,\r\n\r\n`, 'bad_response content_length_malformed'],
  [`${OK}Content-Length: , 1\r\n\r\n`, 'bad_response content_length_malformed'],
  [
    `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'bad_response content_length_with_transfer_encoding',
  ],
  [`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`, 'bad_response transfer_encoding_unsupported'],
  [
    `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'bad_response transfer_encoding_repeated',
  ],
  [
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'bad_response transfer_encoding_http10',
  ],
  ['HTTP/1.1 101 Up\r\nContent-Length: 7\r\n\r\n', 'bad_response bodiless_length'],
  [`${OK}Transfer-Encoding: ,\r\n\r\n`, 'bad_response transfer_encoding_malformed'],
  [`${OK}Transfer-Encoding: chunked;a\r\n\r\n`, 'bad_response transfer_encoding_malformed'],
  [`${OK}Transfer-Encoding: chunked, chunked\r\n\r\n`, 'bad_response transfer_encoding_repeated'],
  [`${OK}a: ${'a'.repeat(20_000)}`, 'response_head_too_large head_bytes'],
  [`${OK}${'a:\r\n'.repeat(4_097)}\r\n`, 'response_head_too_large head_bytes'],
];

/** Head, method of the request, framing, keepAlive. */
const BODIES: readonly (readonly [
  input: string,
  method: number,
  framing: number,
  keepAlive: boolean,
])[] = [
  [`${OK}Content-Length: 5\r\n\r\n`, METHOD_GET, FRAMING_LENGTH, true],
  [
    `${OK}Content-Length: 5\r\nX: 1\r\ncontent-length: 05\r\n\r\n`,
    METHOD_GET,
    FRAMING_LENGTH,
    true,
  ],
  [`${OK}Content-Length: 5 ,5\r\nContent-Length: 5\r\n\r\n`, METHOD_GET, FRAMING_LENGTH, true],
  [`${OK}Content-Length: 0\r\n\r\n`, METHOD_GET, FRAMING_NONE, true],
  [`${OK}Content-Length: 5\r\n\r\n`, METHOD_HEAD, FRAMING_NONE, true],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n`, METHOD_GET, FRAMING_CHUNKED, true],
  [`${OK}Transfer-Encoding: chunked\r\n\r\n`, METHOD_HEAD, FRAMING_NONE, true],
  [`${OK}\r\n`, METHOD_GET, FRAMING_CLOSE, false],
  [`${OK}\r\n`, METHOD_HEAD, FRAMING_NONE, true],
  [`${OK}Connection: close\r\nContent-Length: 5\r\n\r\n`, METHOD_GET, FRAMING_LENGTH, false],
  ['HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n', METHOD_GET, FRAMING_LENGTH, false],
  [
    'HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n',
    METHOD_GET,
    FRAMING_LENGTH,
    true,
  ],
  ['HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n', METHOD_GET, FRAMING_CLOSE, false],
  [`${OK}Content-Length \t: 5\r\nX :y\r\n\r\n`, METHOD_GET, FRAMING_LENGTH, true],
  [`${OK}Transfer-Encoding:, chunked ,,\r\n\r\n`, METHOD_GET, FRAMING_CHUNKED, true],
  [
    `${OK}Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n`,
    METHOD_GET,
    FRAMING_CHUNKED,
    true,
  ],
  [
    `${OK}Connection: content-length\r\nContent-Length: 5\r\n\r\n`,
    METHOD_GET,
    FRAMING_LENGTH,
    true,
  ],
  [
    `${OK}Connection: "keep", keep-alive\r\nContent-Length: 5\r\n\r\n`,
    METHOD_GET,
    FRAMING_LENGTH,
    false,
  ],
  [`${OK}Upgrade: (odd)\r\nContent-Length: 5\r\n\r\n`, METHOD_GET, FRAMING_LENGTH, true],
  [`${OK}${'a:\r\n'.repeat(3_000)}Content-Length: 5\r\n\r\n`, METHOD_GET, FRAMING_LENGTH, true],
  ['HTTP/1.1 777 What\r\nContent-Length: 5\r\n\r\n', METHOD_GET, FRAMING_LENGTH, true],
  ['HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\n', METHOD_GET, FRAMING_NONE, false],
  ['HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n', METHOD_GET, FRAMING_NONE, false],
  ['HTTP/1.1 204 No Content\r\n\r\n', METHOD_GET, FRAMING_NONE, true],
  ['HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', METHOD_GET, FRAMING_NONE, true],
  ['HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', METHOD_GET, FRAMING_NONE, true],
  ['HTTP/1.1 100 Continue\r\n\r\n', METHOD_GET, FRAMING_NONE, true],
  ['HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n', METHOD_GET, FRAMING_NONE, true],
  ['HTTP/1.1 200\r\n\r\n', METHOD_GET, FRAMING_CLOSE, false],
  ['HTTP/1.1 200 \r\n\r\n', METHOD_GET, FRAMING_CLOSE, false],
  ['HTTP/1.1 599 \xe9\t!\r\nContent-Length: 1\r\n\r\n', METHOD_GET, FRAMING_LENGTH, true],
];

describe('parseResponseHead()', () => {
  for (const [input, expected] of REFUSED) {
    it(`refuses ${JSON.stringify(input.slice(0, 90))} as ${expected}`, () => {
      const { end, head } = response(input);
      assert.equal(verdict(end, head), expected);
    });
  }

  for (const [input, method, framing, keepAlive] of BODIES) {
    it(`frames ${JSON.stringify(input)} for method ${method}`, () => {
      const { end, head, buf } = response(input, method);
      assert.equal(verdict(end, head), 'ok');
      assert.equal(end, buf.length);
      assert.deepEqual([head.framing, head.keepAlive], [framing, keepAlive]);
      for (let cut = 0; cut < buf.length; cut++) {
        assert.equal(
          parseResponseHead(buf, 0, cut, head, LIMITS, method),
          INCOMPLETE,
          `prefix of ${cut} bytes`,
        );
      }
    });
  }

  it('gives every part of a response', () => {
    const { head, buf } = response(
      `HTTP/1.1 503 Not Now\r\nSet-Cookie: a\r\nDate: b\r\nRetry-After: 1\r\nTrailer: c\r\nX-Forwarded-For: d\r\nContent-Length: 3\r\n\r\n`,
    );
    assert.equal(head.status, 503);
    assert.equal(slice(buf, head.reasonStart, head.reasonEnd), 'Not Now');
    assert.equal(head.contentLength, 3);
    const kinds = [0, 1, 2, 3, 4].map((i) => head.fields[i * FIELD_STRIDE]);
    assert.deepEqual(kinds, [
      FIELD_SET_COOKIE,
      FIELD_DATE,
      FIELD_RETRY_AFTER,
      FIELD_TRAILER,
      FIELD_OTHER,
    ]);
  });

  it('drops hop-by-hop fields, those named by Connection, and the length of a 204', () => {
    const { head, buf } = response(
      'HTTP/1.1 204 x\r\nConnection: x-a\r\nX-A: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: x\r\nContent-Length: 0\r\nX-B: 1\r\n\r\n',
    );
    assert.deepEqual(droppedOf(buf, head), [
      'X-A',
      'Keep-Alive',
      'Proxy-Connection',
      'TE',
      'Content-Length',
    ]);
  });

  it('knows an upgrade', () => {
    const { head } = response(
      'HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    assert.equal(head.upgrade, true);
  });

  it('takes the offer of h2c that some servers make for no upgrade', () => {
    const { end, head } = response(
      `${OK}Connection: Upgrade\r\nUpgrade: h2,h2c\r\nContent-Length: 1\r\n\r\n`,
    );
    assert.equal(verdict(end, head), 'ok');
    assert.equal(head.upgrade, false);
  });

  it('gives back what a response was made of', () => {
    const name = fc.constantFrom('Server', 'ETag', 'x-1', 'Set-Cookie', 'Vary').map((text) => text);
    const text = fc
      .string({ unit: fc.constantFrom(...'ab"= ;,\xe9'.split('')), maxLength: 10 })
      .map((value) => value.trim());
    const made = fc.record({
      status: fc.integer({ min: 200, max: 999 }),
      reason: text,
      fields: fc.array(fc.tuple(name, text)),
    });
    fc.assert(
      fc.property(made, ({ status, reason, fields }) => {
        const lines = fields.map(([key, value]) => `${key}: ${value}\r\n`).join('');
        const { end, head, buf } = response(`HTTP/1.1 ${status} ${reason}\r\n${lines}\r\nbody`);
        assert.equal(end, buf.length - 4);
        assert.equal(head.status, status);
        assert.equal(slice(buf, head.reasonStart, head.reasonEnd), reason);
        assert.deepEqual(fieldsOf(buf, head), fields);
      }),
    );
  });

  it('reads nothing outside its range and never changes its mind when more bytes come', () => {
    const seeds = [...BODIES, ...REFUSED]
      .map(([input]) => input)
      .filter((input) => input.length < 300);
    const mutated = fc.record({
      seed: fc.constantFrom(...seeds),
      edits: fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(2), fc.nat(255)),
        { maxLength: 3 },
      ),
    });
    fc.assert(
      fc.property(mutated, ({ seed, edits }) => {
        const bytes = [...Buffer.from(seed, 'latin1')];
        for (const [where, deleted, inserted] of edits)
          bytes.splice(Math.floor(where * bytes.length), deleted, inserted);
        const padded = Buffer.concat([Buffer.from(bytes), Buffer.from('\r\n\r\n')]);
        const head = new Head(32);
        let before = 'incomplete';
        for (let end = 0; end <= bytes.length; end++) {
          const result = parseResponseHead(padded, 0, end, head, LIMITS, METHOD_GET);
          const now = result < 0 ? verdict(result, head) : `ok ${result}`;
          assert.ok(result <= end);
          if (before !== 'incomplete') assert.equal(now, before);
          before = now;
        }
      }),
      { numRuns: 300 },
    );
  });
});
