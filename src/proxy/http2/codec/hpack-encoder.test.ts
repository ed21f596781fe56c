import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import * as fc from 'fast-check';
import { LIST_LIMITS, type Pair, pairsOf } from '../../../../test/support/http2.ts';
import { FIELD_STRIDE } from '../../head/head.ts';
import { Defect } from '../../net/copy-whole.ts';
import { FieldList } from './field-list.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { blockBound, HpackEncoder } from './hpack-encoder.ts';
import { RepeatedHead } from './repeated-head.ts';
import { knownName, NAME_AUTHORITY, NAME_PATH, NAME_STATUS } from './name.ts';
import { STATIC_BYTES, STATIC_ENTRIES, STATIC_INDEX } from './static-table.ts';

const list = new FieldList(LIST_LIMITS);
const out = Buffer.alloc(65_536);

/** Encodes with whatever method fits the name. */
function encode(encoder: HpackEncoder, pairs: readonly Pair[], isSensitive = false): Buffer {
  encoder.begin(out, 3);
  let bytes = 0;
  for (const [name, value] of pairs) {
    bytes += name.length + value.length;
    const data = Buffer.from(`<${name}${isSensitive ? '\t' : '|'}${value}>`, 'latin1');
    const valueStart = name.length + 2;
    const valueEnd = data.length - 1;
    if (name === ':status') encoder.status(Number(value));
    else if (name.startsWith(':'))
      encoder.named(knownName(data, 1, name.length, 0), data, valueStart, valueEnd);
    else encoder.field(data, 1, name.length + 1, valueStart, valueEnd);
  }
  const end = encoder.end();
  assert.ok(end - 3 <= blockBound(bytes, pairs.length));
  return Buffer.from(out.subarray(3, end));
}

function decode(decoder: HpackDecoder, bytes: Buffer): Pair[] {
  assert.equal(decoder.decode(bytes, 0, bytes.length, list), 0);
  return pairsOf(list);
}

describe('an encoder', () => {
  it('puts a field into the table when it comes again, and then sends its index', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const pairs: Pair[] = [
      [':authority', 'web.shop'],
      ['User-Agent', 'x/1'],
      ['x-a', 'b'],
    ];
    const lower = pairs.map(([name, value]) => [name.toLowerCase(), value]);
    const sizes: number[] = [];
    for (let i = 0; i < 4; i++) {
      const bytes = encode(encoder, pairs);
      sizes.push(bytes.length);
      assert.deepEqual(decode(decoder, bytes), lower);
      assert.equal(decoder.table.count, i === 0 ? 0 : 3);
    }
    // The name of the second has an index of more than four bits.
    assert.deepEqual(sizes, [23, 22, 3, 3]);
  });

  it('never indexes what is secret', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    const pairs: Pair[] = [
      ['Authorization', 'Bearer x'],
      ['proxy-authorization', 'x'],
      ['cookie', 'a=b'],
      ['set-cookie', 'a=b'],
    ];
    for (let i = 0; i < 3; i++) {
      decode(decoder, encode(encoder, pairs));
      decode(decoder, encode(encoder, [['x-key', 'y']], true));
      assert.equal(list.data.toString('latin1', 0, list.end), 'x-key:\ty\r\n');
      decode(
        decoder,
        encode(encoder, [
          ['cookie', 'a'.repeat(20)],
          ['date', 'x'],
        ]),
      );
      assert.equal(list.data.toString('latin1', 0, 8), 'cookie: ');
    }
    assert.equal(decoder.table.count, 0);
    const bytes = encode(encoder, pairs);
    assert.equal(bytes[0], 0x1f);
  });

  it('sends each status in its shortest form', () => {
    const decoder = new HpackDecoder();
    for (let status = 100; status < 1000; status++) {
      const bytes = encode(new HpackEncoder(), [[':status', `${status}`]]);
      assert.deepEqual(decode(decoder, bytes), [[':status', `${status}`]]);
      assert.equal(
        bytes.length,
        (STATIC_ENTRIES as readonly string[]).includes(`:status: ${status}`) ? 1 : 5,
      );
    }
  });

  it('sends the lines of a trailer section', () => {
    const encoder = new HpackEncoder();
    const lines = Buffer.from('grpc-status: 0\r\nx: \r\nY: a: b\r\n');
    encoder.begin(out, 0);
    encoder.lines(lines, 0, lines.length);
    assert.deepEqual(decode(new HpackDecoder(), Buffer.from(out.subarray(0, encoder.end()))), [
      ['grpc-status', '0'],
      ['x', ''],
      ['y', 'a: b'],
    ]);
  });

  it('writes lengths of any number of bytes', () => {
    for (const length of [0, 1, 126, 127, 128, 254, 255, 256, 382, 383, 16_510, 16_511, 40_000]) {
      const wide = new FieldList({ bytesMax: 65_536, fieldsMax: 1 });
      const bytes = encode(new HpackEncoder(), [['x', 'y'.repeat(length)]]);
      assert.equal(new HpackDecoder().decode(bytes, 0, bytes.length, wide), 0);
      assert.deepEqual(pairsOf(wide), [['x', 'y'.repeat(length)]]);
    }
  });

  it('tells of sizes before the next block: the least, then the last', () => {
    const pairs: Pair[] = [['x-a', 'b']];
    for (const [sizes, expected] of [
      [[], ''],
      [[4096], ''],
      [[100_000], ''],
      [[0], '20'],
      [[31], '3f00'],
      [[0, 4096], '203fe11f'],
      [[100, 0, 200], '203fa901'],
      [[100, 4096, 200], '3f453fa901'],
      [[4096, 100], '3f45'],
    ] as const) {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      for (let i = 0; i < 3; i++) decode(decoder, encode(encoder, pairs));
      for (const size of sizes) encoder.setMax(size);
      const bytes = encode(encoder, [[':status', '200']]);
      assert.equal(bytes.toString('hex'), `${expected}88`);
      decode(decoder, bytes);
      assert.equal(encode(encoder, [[':status', '200']]).length, 1);
      for (let i = 0; i < 3; i++) assert.deepEqual(decode(decoder, encode(encoder, pairs)), pairs);
    }
  });

  it('does not go on when there is no room', () => {
    const encoder = new HpackEncoder();
    const small = Buffer.alloc(20);
    for (const value of ['x'.repeat(10), 'x'.repeat(40)]) {
      const data = Buffer.from(`name${value}`);
      encoder.begin(small, 10);
      encoder.field(data, 0, 4, 4, data.length);
      assert.throws(() => encoder.end(), Defect);
    }
  });

  it('is understood, whatever is sent, in tables of any size', () => {
    const name = fc.oneof(
      fc.constantFrom(
        'accept',
        'X-A',
        'x-b',
        'cookie',
        'authorization',
        'date',
        ':path',
        ':authority',
      ),
      fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$/),
    );
    const value = fc.oneof(
      fc.constantFrom('', 'a', 'b', 'c'.repeat(30), 'd'.repeat(200), 'e'.repeat(1000)),
      fc.stringMatching(/^[!-~\x80-\xff]{0,200}$/),
    );
    const blocks = fc.array(
      fc.record({
        pairs: fc.array(fc.tuple(name, value), { maxLength: 12 }),
        sizes: fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 2 }),
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(blocks, (steps) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder();
        for (const { pairs, sizes } of steps) {
          for (const size of sizes) encoder.setMax(size);
          const first = pairs.filter(([one]) => one.startsWith(':'));
          const ordered = [...first, ...pairs.filter(([one]) => !one.startsWith(':'))];
          const seen = decode(decoder, encode(encoder, ordered));
          assert.deepEqual(
            seen.map(([one, other]) => [one, other.trim()]),
            ordered.map(([one, other]) => [one.toLowerCase(), other.trim()]),
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});

test('a block that tells of another size of the table is not sent once more', () => {
  const encoder = new HpackEncoder();
  const again = new RepeatedHead();
  const send = (): boolean => {
    again.begin(encoder);
    encoder.begin(out, 0);
    encoder.entry(2);
    again.keep(7, encoder, out, 0, encoder.end());
    return again.isReady(7, encoder);
  };
  assert.equal(send(), true);
  encoder.setMax(0);
  encoder.setMax(4_096);
  assert.equal(again.isReady(7, encoder), false);
  assert.equal(send(), false);
  assert.equal(send(), true);
  assert.equal(again.length, 1);
});

describe('fields that came from a table', () => {
  /** Passes on what `list` has, as the proxy does. */
  function passOn(encoder: HpackEncoder): Buffer {
    encoder.begin(out, 0);
    for (let i = 0; i < list.count; i++) {
      const at = i * FIELD_STRIDE;
      const [nameStart, nameEnd, start, end] = list.fields.subarray(at + 1, at + FIELD_STRIDE);
      if (encoder.known(list.stamps[i]!)) continue;
      encoder.field(list.data, nameStart!, nameEnd!, start!, end!);
    }
    return Buffer.from(out.subarray(0, encoder.end()));
  }

  /** A block whose fields all get into the table of its reader, or come from there. */
  function indexed(table: Pair[], pairs: readonly Pair[]): Buffer {
    const parts = pairs.map(([name, value]) => {
      const known = table.findIndex(([one, other]) => one === name && other === value);
      if (known >= 0) return Buffer.from([0x80 | (62 + known)]);
      table.unshift([name, value]);
      if (table.length > 30) table.pop();
      return Buffer.concat([
        Buffer.from([0x40, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value),
      ]);
    });
    return Buffer.concat(parts);
  }

  it('are passed on by their index, also those that differ from message to message', () => {
    const decoder = new HpackDecoder();
    const encoder = new HpackEncoder();
    const endpoint = new HpackDecoder();
    const table: Pair[] = [];
    const pairs: Pair[] = [
      ['date', 'Mon, 30 Nov 2026 04:08:45 GMT'],
      ['server', 'x'],
    ];
    const sizes = Array.from({ length: 4 }, () => {
      decode(decoder, indexed(table, pairs));
      const bytes = passOn(encoder);
      assert.deepEqual(decode(endpoint, bytes), pairs);
      return bytes.length;
    });
    assert.deepEqual(sizes.slice(2), [2, 2]);
    decode(decoder, Buffer.from([0x80 | 16]));
    assert.deepEqual([...passOn(encoder)], [0x80 | 16]);
  });

  it('never index what is secret', () => {
    const decoder = new HpackDecoder();
    const encoder = new HpackEncoder();
    const table: Pair[] = [];
    for (let i = 0; i < 3; i++) {
      decode(decoder, indexed(table, [['authorization', 'Bearer x']]));
      assert.equal(passOn(encoder)[0], 0x1f);
    }
  });

  it('are what they were, from any number of tables to another one that forgets', () => {
    const pair = fc.tuple(
      fc.constantFrom('accept', 'date', 'x-a', 'x-b', 'cookie', 'user-agent'),
      fc.constantFrom('', 'a', 'b', 'c'.repeat(30), 'd'.repeat(120)),
    );
    const blocks = fc.array(
      fc.record({
        from: fc.nat({ max: 3 }),
        pairs: fc.array(pair, { maxLength: 8 }),
        size: fc.option(fc.constantFrom(0, 64, 200, 400, 4096)),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(blocks, (steps) => {
        const callers = Array.from({ length: 4 }, () => new HpackDecoder());
        const tables = callers.map((): Pair[] => []);
        const encoder = new HpackEncoder();
        const endpoint = new HpackDecoder();
        for (const { from, pairs, size } of steps) {
          if (size !== null) encoder.setMax(size);
          assert.deepEqual(decode(callers[from]!, indexed(tables[from]!, pairs)), pairs);
          assert.deepEqual(decode(endpoint, passOn(encoder)), pairs);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the names', () => {
  it('of the static table are all known', () => {
    let at = 0;
    for (const entry of STATIC_ENTRIES) {
      const name = entry.slice(0, entry.indexOf(':', 1) < 0 ? undefined : entry.indexOf(':', 1));
      assert.notEqual(knownName(STATIC_BYTES, at, name.length, 0), 0, name);
      at = STATIC_BYTES.indexOf('\r\n', at) + 2;
    }
    assert.equal(STATIC_INDEX[NAME_AUTHORITY], 1);
    assert.equal(STATIC_INDEX[NAME_PATH], 4);
    assert.equal(STATIC_INDEX[NAME_STATUS], 8);
  });
});
