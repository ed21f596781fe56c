import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { decode } from '../../../../test/support/http1.ts';
import {
  CHUNK_BAD,
  CHUNK_END,
  CHUNK_EXTENSION_BYTES_MAX,
  CHUNK_MORE,
  ChunkedDecoder,
} from './chunked.ts';
import { TRAILER_BYTES_MAX, TRAILER_LINES_BYTES_MAX } from '../../head/head.ts';
import { TRAILER_FIELDS_DROPPED } from '../../head/trailer-field.ts';

/** A chunked body, what comes out of it, and the trailer lines that are passed on. */
const GOOD: readonly (readonly [input: string, body: string, trailers: string])[] = [
  ['0\r\n\r\n', '', ''],
  ['5\r\nhello\r\n0\r\n\r\n', 'hello', ''],
  ['A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n', '01234567890123456789', ''],
  ['0000000000000005\r\nhello\r\n000\r\n\r\n', 'hello', ''],
  ['5;a\r\nhello\r\n0;b=c\r\n\r\n', 'hello', ''],
  ['5 \t; a = b ;c="d;\\"\r \\\\" ; e\r\nhello\r\n0\r\n\r\n'.replace('\r ', ''), 'hello', ''],
  ['2\r\n\r\n\r\n0\r\n\r\n', '\r\n', ''],
  ['0\r\nX-Sum: 1\r\n\r\n', '', 'X-Sum: 1\r\n'],
  ['0\r\na:b\r\nc: \t d e \t\r\nf:\r\ng: \r\n\r\n', '', 'a: b\r\nc: d e\r\nf: \r\ng: \r\n'],
  [
    '0\r\nContent-Length: 5\r\na: b\r\nTRANSFER-ENCODING: chunked\r\nHost: x\r\n\r\n',
    '',
    'a: b\r\n',
  ],
  ['0\r\nHost: x\r\n\r\n', '', ''],
];

const BAD: readonly (readonly [input: string, rule: string])[] = [
  ['\r\n', 'chunk_size'],
  ['g\r\n', 'chunk_size'],
  ['-1\r\n', 'chunk_size'],
  ['+1\r\n', 'chunk_size'],
  ['0x1\r\n', 'chunk_size'],
  [' 1\r\n', 'chunk_size'],
  ['1_0\r\n', 'chunk_size'],
  ['1,\r\n', 'chunk_size'],
  ['20000000000000\r\n', 'chunk_size'],
  ['00000000000000001\r\n', 'chunk_size'],
  ['ffffffffffffffffffff\r\n', 'chunk_size'],
  ['1\n', 'line_bare_lf'],
  ['1;a\n', 'line_bare_lf'],
  ['1;a="\n', 'line_bare_lf'],
  ['1\rx', 'line_bare_cr'],
  ['1 \r\n', 'chunk_extension'],
  ['1 a\r\n', 'chunk_extension'],
  ['1;\r\n', 'chunk_extension'],
  ['1;;a\r\n', 'chunk_extension'],
  ['1;a=\r\n', 'chunk_extension'],
  ['1;a \r\n', 'chunk_extension'],
  ['1;a=b c\r\n', 'chunk_extension'],
  ['1;a="b\r\n', 'chunk_extension'],
  ['1;a="b\\\r\n', 'chunk_extension'],
  ['1;a="b"c\r\n', 'chunk_extension'],
  ['1;a=\x00\r\n', 'chunk_extension'],
  [`1;${'a'.repeat(CHUNK_EXTENSION_BYTES_MAX + 1)}`, 'chunk_extension_bytes'],
  ['1;abcdefgh\r\na\r\n'.repeat(2000), 'chunk_extension_bytes'],
  ['5\r\nhelloX', 'chunk_end'],
  ['5\r\nhello\n', 'chunk_end'],
  ['5\r\nhello\rX', 'chunk_end'],
  ['5\r\nhello0\r\n', 'chunk_end'],
  ['0\r\n\n', 'line_bare_lf'],
  ['0\r\n\rX', 'line_bare_cr'],
  ['0\r\nGET / HTTP/1.1\r\n', 'field_name_space'],
  ['0\r\n:a\r\n', 'field_name_empty'],
  ['0\r\na\r\n', 'field_name_character'],
  ['0\r\na: b\n', 'line_bare_lf'],
  ['0\r\na: b\rX', 'line_bare_cr'],
  ['0\r\na: \x00\r\n', 'field_value_character'],
  ['0\r\na: b\r\n c\r\n', 'field_folded'],
  [`0\r\na: ${'b'.repeat(TRAILER_BYTES_MAX)}`, 'trailer_bytes'],
  [`0\r\n${'host: b\r\n'.repeat(TRAILER_BYTES_MAX / 8)}`, 'trailer_bytes'],
];

describe('ChunkedDecoder', () => {
  for (const [input, body, trailers] of GOOD) {
    it(`decodes ${JSON.stringify(input)}, cut anywhere`, () => {
      const bytes = Buffer.from(`${input}GET /next`);
      const expected = { outcome: 'end', rule: '', body, trailers, consumed: input.length };
      assert.deepEqual(decode(bytes), expected);
      for (let cut = 1; cut < bytes.length; cut++)
        assert.deepEqual(decode(bytes, [cut]), expected, `cut at ${cut}`);
      assert.deepEqual(decode(bytes, [...bytes.keys()]), expected);
      for (let end = 0; end < input.length; end++)
        assert.equal(decode(bytes.subarray(0, end)).outcome, 'more');
    });
  }

  for (const [input, rule] of BAD) {
    it(`refuses ${JSON.stringify(input.slice(0, 60))} as ${rule}`, () => {
      const bytes = Buffer.from(input, 'latin1');
      assert.equal(decode(bytes).rule, rule);
      assert.equal(decode(bytes, [bytes.length >> 1]).rule, rule);
    });
  }

  it('stays broken until reset', () => {
    const decoder = new ChunkedDecoder(false);
    assert.equal(decoder.step(Buffer.from('x'), 0, 1), CHUNK_BAD);
    assert.equal(decoder.step(Buffer.from('0'), 0, 1), CHUNK_BAD);
    decoder.reset();
    assert.equal(decoder.rule, '');
    assert.equal(decoder.step(Buffer.from('0\r\n\r\n'), 0, 5), CHUNK_END);
    assert.equal(decoder.step(Buffer.from('x'), 0, 1), CHUNK_END);
    assert.equal(decoder.pos, 0);
  });

  it('asks for more when given nothing', () => {
    const decoder = new ChunkedDecoder(false);
    assert.equal(decoder.step(Buffer.from('0'), 1, 1), CHUNK_MORE);
    assert.equal(decoder.pos, 1);
  });

  it('keeps one body apart from the next', () => {
    const decoder = new ChunkedDecoder(false);
    const first = Buffer.from('0\r\na: b\r\n\r\n');
    assert.equal(decoder.step(first, 0, first.length), CHUNK_END);
    assert.equal(decoder.trailers?.toString(), 'a: b\r\n');
    decoder.reset();
    assert.equal(decoder.trailers, null);
    const second = Buffer.from('0\r\n\r\n');
    assert.equal(decoder.step(second, 0, second.length), CHUNK_END);
    assert.equal(decoder.trailers, null);
  });

  it('keeps trailer lines within their bound', () => {
    const { outcome, trailers } = decode(
      Buffer.from(`0\r\n${'a:\r\n'.repeat(TRAILER_BYTES_MAX / 4)}\r\n`),
    );
    assert.equal(outcome, 'end');
    assert.equal(trailers.length, (TRAILER_BYTES_MAX / 4) * 5);
    assert.ok(trailers.length <= TRAILER_LINES_BYTES_MAX);
  });

  it('drops each field that a trailer must not bring', () => {
    for (const name of TRAILER_FIELDS_DROPPED) {
      assert.equal(name, name.toLowerCase());
      const { trailers } = decode(Buffer.from(`0\r\n${name.toUpperCase()}: 1\r\nkept: 1\r\n\r\n`));
      assert.equal(trailers, 'kept: 1\r\n');
    }
  });

  const chunk = fc.string({
    unit: fc.constantFrom(...'ab\r\n0;'.split('')),
    minLength: 1,
    maxLength: 40,
  });
  const extension = fc.constantFrom('', ';a', ' ; a = "b;c" ;d=e');

  it('gives back the body, however it is chunked and cut', () => {
    const made = fc.record({
      chunks: fc.array(fc.tuple(chunk, extension, fc.boolean()), { maxLength: 8 }),
      trailers: fc.array(fc.constantFrom('x-a: 1\r\n', 'x-b: \r\n'), { maxLength: 3 }),
      cuts: fc.array(fc.nat(400), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(made, ({ chunks, trailers, cuts }) => {
        const lines = chunks.map(([text, extension, upper]) => {
          const size = text.length.toString(16);
          return `${upper ? size.toUpperCase() : size}${extension}\r\n${text}\r\n`;
        });
        const input = `${lines.join('')}0\r\n${trailers.join('')}\r\n`;
        const bytes = Buffer.from(`${input}rest`);
        const result = decode(
          bytes,
          cuts.map((cut) => cut % bytes.length),
        );
        assert.deepEqual(result, {
          outcome: 'end',
          rule: '',
          body: chunks.map(([text]) => text).join(''),
          trailers: trailers.join(''),
          consumed: input.length,
        });
      }),
    );
  });

  it('comes to the same end for mutated input, however it is cut', () => {
    const seeds = [
      ...GOOD.map(([input]) => input),
      ...BAD.map(([input]) => input).filter((input) => input.length < 200),
    ];
    const mutated = fc.record({
      seed: fc.constantFrom(...seeds),
      edits: fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(2), fc.nat(255)),
        { maxLength: 4 },
      ),
      cuts: fc.array(fc.nat(200), { maxLength: 6 }),
    });
    fc.assert(
      fc.property(mutated, ({ seed, edits, cuts }) => {
        const list = [...Buffer.from(seed, 'latin1')];
        for (const [where, deleted, inserted] of edits)
          list.splice(Math.floor(where * list.length), deleted, inserted);
        const bytes = Buffer.from(list);
        assert.deepEqual(
          decode(
            bytes,
            cuts.map((cut) => cut % (bytes.length + 1)),
          ),
          decode(bytes),
        );
      }),
      { numRuns: 1000 },
    );
  });
});
