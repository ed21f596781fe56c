import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { block, fieldsOf, LIST_LIMITS, type Pair } from '../../../../test/support/http2.ts';
import {
  BAD,
  FIELD_CONTENT_LENGTH,
  FIELD_DATE,
  FIELD_DROP,
  FIELD_OTHER,
  FIELD_RETRY_AFTER,
  FIELD_SET_COOKIE,
  FIELD_TRAILER,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  METHOD_CONNECT,
  METHOD_GET,
  METHOD_HEAD,
} from '../../head/head.ts';
import { TRAILER_FIELDS_DROPPED } from '../../head/trailer-field.ts';
import { FieldList } from './field-list.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { NAMES } from './name.ts';
import { readResponse } from './response-fields.ts';
import { readTrailers } from './trailer-fields.ts';

const list = new FieldList(LIST_LIMITS);
const head = new Head(10);

function decode(pairs: readonly Pair[], first = 0): void {
  const bytes = block(pairs, first);
  assert.equal(new HpackDecoder().decode(bytes, 0, bytes.length, list), 0);
}

function read(pairs: readonly Pair[], endStream = true, method = METHOD_GET): string {
  decode(pairs);
  const end = readResponse(list, head, method, endStream);
  if (end === BAD) return `${head.failure} ${head.rule}`;
  assert.equal(end, list.end);
  return 'ok';
}

const OK: Pair = [':status', '200'];

const REFUSED: readonly (readonly [what: string, pairs: readonly Pair[], verdict: string])[] = [
  ['no fields', [], 'bad_response pseudo_missing'],
  ['no status', [['a', 'b']], 'bad_response pseudo_missing'],
  ['two of them', [OK, OK], 'bad_response pseudo_repeated'],
  ['a late one', [['a', 'b'], OK], 'bad_response pseudo_late'],
  ['an unknown one', [OK, [':x', '']], 'bad_response pseudo_unknown'],
  ...[':method', ':scheme', ':authority', ':path', ':protocol'].map(
    (name) => [name, [OK, [name, 'GET']], 'bad_response pseudo_unknown'] as const,
  ),
  ...['', '2', '20', '2000', '20x', ' 200', '099', '+20'].map(
    (status) => [status, [[':status', status]], 'bad_response status_malformed'] as const,
  ),
  ['101', [[':status', '101']], 'bad_response status_switch'],
  ['a connection', [OK, ['connection', 'close']], 'bad_response field_of_connection'],
  ['chunks', [OK, ['transfer-encoding', 'chunked']], 'bad_response field_of_connection'],
  ['a capital letter', [OK, ['A', '']], 'bad_response field_name_upper'],
  ['no name', [OK, ['', 'a']], 'bad_response field_name_empty'],
  ['a name that is no token', [OK, ['a b', '']], 'bad_response field_name_character'],
  ['a line end in a value', [OK, ['a', 'b\r\nc: d']], 'bad_response field_value_character'],
  ['a space behind a value', [OK, ['a', 'b ']], 'bad_response field_value_space'],
  [
    'lengths that differ',
    [OK, ['content-length', '1'], ['content-length', '2']],
    'bad_response content_length_repeated',
  ],
  [
    'a length that is none',
    [OK, ['content-length', '1x']],
    'bad_response content_length_malformed',
  ],
  [
    'a length and nothing else',
    [OK, ['content-length', '1']],
    'bad_response content_length_differs',
  ],
  ['too many bytes', [OK, ['a', 'b'.repeat(16_384)]], 'response_head_too_large head_bytes'],
];

describe('responses that are refused', () => {
  for (const [what, pairs, verdict] of REFUSED)
    it(`${what}: ${verdict}`, () => assert.equal(read(pairs), verdict));

  it('an interim one that ends the stream, or announces content', () => {
    assert.equal(read([[':status', '103']], true), 'bad_response interim_end');
    assert.equal(read([[':status', '103']], false), 'ok');
    assert.equal(
      read(
        [
          [':status', '103'],
          ['content-length', '1'],
        ],
        false,
      ),
      'bad_response bodiless_length',
    );
  });
});

describe('responses that are taken', () => {
  it('status and kinds', () => {
    const pairs: Pair[] = [
      [':status', '299'],
      ['server', 'x'],
      ['date', 'now'],
      ['retry-after', '1'],
      ['set-cookie', 'a'],
      ['trailer', 'b'],
      ['te', 'x'],
      ['x-forwarded-for', '1'],
      ['x-real-ip', '1'],
    ];
    assert.equal(read(pairs), 'ok');
    assert.equal(head.status, 299);
    assert.equal(head.dated, true);
    assert.deepEqual(
      fieldsOf(list.data, head).map(([kind]) => kind),
      [
        FIELD_OTHER,
        FIELD_DATE,
        FIELD_RETRY_AFTER,
        FIELD_SET_COOKIE,
        FIELD_TRAILER,
        FIELD_DROP,
        FIELD_OTHER,
        FIELD_OTHER,
      ],
    );
  });

  it('a field that must not be indexed keeps its mark', () => {
    decode([OK, ['x-key', 'a']], 0x10);
    readResponse(list, head, METHOD_GET, true);
    assert.ok(list.data.toString('latin1', 0, list.end).endsWith('x-key:\ta\r\n'));
  });

  it('the framing is what HTTP/1.1 would have', () => {
    const length: Pair = ['content-length', '5'];
    for (const [status, endStream, method, fields, framing, kept] of [
      ['200', true, METHOD_GET, [], FRAMING_NONE, false],
      ['200', false, METHOD_GET, [], FRAMING_CHUNKED, false],
      ['200', false, METHOD_GET, [length], FRAMING_LENGTH, true],
      ['200', false, METHOD_GET, [length, length], FRAMING_LENGTH, true],
      ['200', true, METHOD_HEAD, [length], FRAMING_NONE, true],
      ['200', false, METHOD_HEAD, [], FRAMING_NONE, false],
      ['200', false, METHOD_CONNECT, [length], FRAMING_NONE, false],
      ['400', false, METHOD_CONNECT, [length], FRAMING_LENGTH, true],
      ['304', true, METHOD_GET, [length], FRAMING_NONE, true],
      ['204', true, METHOD_GET, [length], FRAMING_NONE, false],
      ['204', true, METHOD_GET, [['content-length', '00']], FRAMING_NONE, false],
      ['100', false, METHOD_GET, [['content-length', '0']], FRAMING_NONE, false],
    ] as const) {
      assert.equal(read([[':status', status], ...fields], endStream, method), 'ok');
      assert.equal(head.framing, framing, status);
      assert.equal(head.chunked, framing === FRAMING_CHUNKED);
      assert.equal(head.lengthAnew, false);
      const kinds = fieldsOf(list.data, head).map(([kind]) => kind);
      assert.equal(kinds.includes(FIELD_CONTENT_LENGTH), kept);
    }
  });
});

describe('trailer sections', () => {
  function trailers(pairs: readonly Pair[], first = 0): string {
    decode(pairs, first);
    const end = readTrailers(list);
    return end === BAD ? list.broken : list.data.toString('latin1', 0, end);
  }

  it('are lines, whether they must not be indexed or not', () => {
    const pairs: Pair[] = [
      ['grpc-status', '0'],
      ['grpc-message', ''],
    ];
    assert.equal(trailers(pairs), 'grpc-status: 0\r\ngrpc-message: \r\n');
    assert.equal(trailers(pairs, 0x10), 'grpc-status:\t0\r\ngrpc-message:\t\r\n');
  });

  it('are without what must not come late', () => {
    for (const name of TRAILER_FIELDS_DROPPED) {
      const isOfConnection = trailers([[name, 'x']]) === 'field_of_connection';
      if (!isOfConnection)
        assert.equal(
          trailers([
            ['a', 'b'],
            [name, 'x'],
            ['c', 'd'],
          ]),
          'a: b\r\nc: d\r\n',
          name,
        );
    }
    for (const name of [
      'x-forwarded-for',
      'x-real-ip',
      'x_real.ip',
      'content_type',
      'x.forwarded.for',
    ])
      assert.equal(trailers([[name, 'x']]), '', name);
    assert.equal(trailers([['a_b', 'c']]), 'a_b: c\r\n');
  });

  it('every name that is dropped has a number', () => {
    const numbered = new Set<string>(NAMES);
    const without = [...TRAILER_FIELDS_DROPPED].filter((name) => !numbered.has(name));
    assert.deepEqual(without, []);
  });

  it('are refused like heads', () => {
    assert.equal(trailers([[':status', '200']]), 'pseudo_late');
    assert.equal(trailers([[':x', '200']]), 'pseudo_late');
    assert.equal(trailers([['A', 'b']]), 'field_name_upper');
    assert.equal(trailers([['a', 'b\n']]), 'field_value_character');
    assert.equal(trailers([['a', 'b'.repeat(8192)]]), 'trailer_bytes');
    assert.equal(trailers([['a', 'b'.repeat(16_384)]]), 'trailer_bytes');
  });
});
