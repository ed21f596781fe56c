import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  block,
  hex,
  integer,
  LIST_LIMITS,
  type Pair,
  pairsOf,
  times,
} from '../../../../test/support/http2.ts';
import { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, NO_ERROR } from './error-code.ts';
import { FIELD_STRIDE } from '../../head/head.ts';
import { FieldList } from './field-list.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { encodeHuffman } from './huffman.ts';
import { STATIC_ENTRIES } from './static-table.ts';

const list = new FieldList(LIST_LIMITS);

function decode(decoder: HpackDecoder, bytes: Buffer): number {
  return decoder.decode(bytes, 0, bytes.length, list);
}

/** A list of pairs as `name: value` lines. */
function pairs(text: string): Pair[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const at = line.indexOf(':', line.trim().startsWith(':') ? line.indexOf(':') + 1 : 0);
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    });
}

const REQUEST_1 = `
  :method: GET
  :scheme: http
  :path: /
  :authority: www.example.com`;
const REQUEST_2 = `${REQUEST_1}
  cache-control: no-cache`;
const REQUEST_3 = `
  :method: GET
  :scheme: https
  :path: /index.html
  :authority: www.example.com
  custom-key: custom-value`;
const RESPONSE_1 = `
  :status: 302
  cache-control: private
  date: Mon, 21 Oct 2013 20:13:21 GMT
  location: https://www.example.com`;
const RESPONSE_2 = RESPONSE_1.replace('302', '307');
const RESPONSE_3 = `
  :status: 200
  cache-control: private
  date: Mon, 21 Oct 2013 20:13:22 GMT
  location: https://www.example.com
  content-encoding: gzip
  set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1`;

type Step = readonly [wire: string, fields: string, tableBytes: number];

/** RFC 7541 appendix C: what is sent one after the other over one connection. */
const EXAMPLES: Readonly<Record<string, { tableBytes: number; steps: readonly Step[] }>> = {
  'C.2.1: literal with indexing': {
    tableBytes: 4096,
    steps: [
      [
        '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
        'custom-key: custom-header',
        55,
      ],
    ],
  },
  'C.2.2: literal without indexing': {
    tableBytes: 4096,
    steps: [['040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', 0]],
  },
  'C.2.3: literal never indexed': {
    tableBytes: 4096,
    steps: [['1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', 0]],
  },
  'C.2.4: indexed': { tableBytes: 4096, steps: [['82', ':method: GET', 0]] },
  'C.3: requests without Huffman code': {
    tableBytes: 4096,
    steps: [
      ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', REQUEST_1, 57],
      ['8286 84be 5808 6e6f 2d63 6163 6865', REQUEST_2, 110],
      ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', REQUEST_3, 164],
    ],
  },
  'C.4: requests with Huffman code': {
    tableBytes: 4096,
    steps: [
      ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', REQUEST_1, 57],
      ['8286 84be 5886 a8eb 1064 9cbf', REQUEST_2, 110],
      ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', REQUEST_3, 164],
    ],
  },
  'C.5: responses without Huffman code, in a table that is too small for them': {
    tableBytes: 256,
    steps: [
      [
        `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d`,
        RESPONSE_1,
        222,
      ],
      ['4803 3330 37c1 c0bf', RESPONSE_2, 222],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31`,
        RESPONSE_3,
        215,
      ],
    ],
  },
  'C.6: responses with Huffman code, in such a table': {
    tableBytes: 256,
    steps: [
      [
        `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        RESPONSE_1,
        222,
      ],
      ['4883 640e ffc1 c0bf', RESPONSE_2, 222],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        RESPONSE_3,
        215,
      ],
    ],
  },
};

describe('RFC 7541 appendix C', () => {
  for (const [name, { tableBytes, steps }] of Object.entries(EXAMPLES)) {
    it(name, () => {
      const decoder = new HpackDecoder(tableBytes);
      for (const [wire, fields, size] of steps) {
        assert.equal(decode(decoder, hex(wire)), NO_ERROR);
        assert.deepEqual(pairsOf(list), pairs(fields));
        assert.equal(decoder.table.size, size);
      }
    });
  }

  it('C.1: integers', () => {
    // As sizes of a table, in five bits: 10 and 1337; as an index, in seven bits: 42.
    assert.equal(decode(new HpackDecoder(), hex('2a')), NO_ERROR);
    const decoder = new HpackDecoder();
    assert.equal(decode(decoder, hex('3f9a0a')), NO_ERROR);
    assert.equal(decoder.table.maxBytes, 1337);
    assert.equal(decode(decoder, hex('aa')), NO_ERROR);
    assert.deepEqual(pairsOf(list), [['if-range', '']]);
  });

  it('C.2.3: a field that must not be indexed has a mark in its line', () => {
    decode(new HpackDecoder(), hex('1008 7061 7373 776f 7264 0673 6563 7265 74'));
    assert.equal(list.data.toString('latin1', 0, list.end), 'password:\tsecret\r\n');
  });
});

const WRONG: Readonly<Record<string, string>> = {
  'index 0': '80',
  'index 0 before strings': '8001610162',
  'an index above both tables': 'be',
  'an index far above them': 'ffffffff0f',
  'a name by an index above both tables': '7f0000',
  'an integer that does not end': 'ff',
  'an integer that never ends': 'ff8080808080808000',
  'an integer above 32 bits': 'ffffffffff7f',
  'a string without length': '00',
  'a string that is cut': '000461',
  'a value that is missing': '000161',
  'a value that is cut': '0001610461',
  'a length above 32 bits': '007fffffffffff7f',
  'padding of eight bits': '00016182ffff',
  'padding of zeros': '00016181f0',
  'padding that is no beginning of the end': '0001618118',
  'the end of the string in a string': '00016184ffffffff',
  'a size update above the limit': '3fe21f',
  'a size update above 32 bits': '3fffffffff7f',
  'a size update behind a field': '8220',
  'three size updates': '202020',
};

describe('what is no block', () => {
  for (const [name, wire] of Object.entries(WRONG)) {
    it(`${name}: ${wire}`, () => {
      assert.equal(decode(new HpackDecoder(), hex(wire)), COMPRESSION_ERROR);
    });
  }

  it('every cut of a good block is one or ends between fields', () => {
    const whole = hex(EXAMPLES['C.6: responses with Huffman code, in such a table']!.steps[0]![0]);
    for (let end = 0; end < whole.length; end++) {
      const code = new HpackDecoder().decode(whole, 0, end, list);
      const count = [0, 4, 11, 35].indexOf(end);
      if (count < 0) assert.equal(code, COMPRESSION_ERROR, `${end}`);
      else assert.equal(pairsOf(list).length, count);
    }
  });

  it('nothing behind the end is read', () => {
    assert.equal(new HpackDecoder().decode(hex('ff00'), 0, 1, list), COMPRESSION_ERROR);
    assert.equal(new HpackDecoder().decode(hex('3f00'), 0, 1, list), COMPRESSION_ERROR);
    assert.equal(new HpackDecoder().decode(hex('00016101'), 0, 3, list), COMPRESSION_ERROR);
  });
});

describe('the size of the table', () => {
  it('32 bits of size, with zeros before them, are read', () => {
    assert.equal(decode(new HpackDecoder(), hex('3f8080808000')), NO_ERROR);
  });

  it('an entry larger than the table empties it', () => {
    const decoder = new HpackDecoder(100);
    assert.equal(decode(decoder, block([['a', 'b']], 0x40)), NO_ERROR);
    assert.equal(decoder.table.count, 1);
    assert.equal(decode(decoder, block([['a', 'b'.repeat(70)]], 0x40)), NO_ERROR);
    assert.equal(decoder.table.count, 0);
    assert.equal(decoder.table.size, 0);
  });

  it('a size update takes out what has no room, the oldest first', () => {
    const decoder = new HpackDecoder();
    decode(
      decoder,
      block(
        [
          ['a', '1'],
          ['b', '2'],
          ['c', '3'],
        ],
        0x40,
      ),
    );
    assert.equal(decode(decoder, Buffer.concat([integer(0x20, 0x1f, 68), hex('bebf')])), NO_ERROR);
    assert.deepEqual(pairsOf(list), [
      ['c', '3'],
      ['b', '2'],
    ]);
    assert.equal(decode(decoder, hex('c0')), COMPRESSION_ERROR);
  });

  it('after we allow less, the next block must begin with a size update', () => {
    for (const [wire, code] of [
      ['82', COMPRESSION_ERROR],
      ['', COMPRESSION_ERROR],
      ['3f4582', COMPRESSION_ERROR],
      ['3f4482', COMPRESSION_ERROR],
      ['2082', NO_ERROR],
      ['3f4182', NO_ERROR],
      ['203f4182', NO_ERROR],
    ] as const) {
      const decoder = new HpackDecoder();
      decoder.setLimit(96);
      assert.equal(decode(decoder, hex(wire)), code, wire);
    }
  });

  it('a name by the index of an entry that goes for the new one is read before', () => {
    const decoder = new HpackDecoder(64);
    decode(decoder, block([['name', 'a']], 0x40));
    assert.equal(decode(decoder, hex('7e0162')), NO_ERROR);
    assert.deepEqual(pairsOf(list), [['name', 'b']]);
    assert.equal(decode(decoder, hex('be')), NO_ERROR);
    assert.deepEqual(pairsOf(list), [['name', 'b']]);
  });
});

describe('fields by index', () => {
  it('are those of the static table', () => {
    for (const [i, entry] of STATIC_ENTRIES.entries()) {
      assert.equal(decode(new HpackDecoder(), Buffer.from([0x80 | (i + 1)])), NO_ERROR);
      const at = entry.indexOf(': ');
      const pair = at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 2)];
      assert.deepEqual(pairsOf(list), [pair]);
    }
  });

  it('of any length leave those before and behind as they are', () => {
    const lengths = [0, 1, 2, 3, 4, 60, 61, 62, 63, 64, 118, 119, 120, 121, 122, 123, 300];
    const decoder = new HpackDecoder();
    const all = lengths.map((length): Pair => ['x', 'y'.repeat(length)]);
    decode(decoder, block(all, 0x40));
    const indexes = all.map((_, i) => 0x80 | (61 + all.length - i));
    assert.equal(decode(decoder, Buffer.from([...indexes, ...indexes.toReversed()])), NO_ERROR);
    assert.deepEqual(pairsOf(list), [...all, ...all.toReversed()]);
  });
});

describe('lists that are too large', () => {
  const small = { bytesMax: 1000, fieldsMax: 3 };

  it('are refused for their bytes, and keep the table in step', () => {
    const refused = new FieldList(small);
    const decoder = new HpackDecoder();
    const bytes = block(
      [
        ['a', 'x'.repeat(950)],
        ['b', '1'],
        ['c', '2'],
      ],
      0x40,
    );
    assert.equal(decoder.decode(bytes, 0, bytes.length, refused), NO_ERROR);
    assert.equal(refused.tooLarge, 'head_bytes');
    assert.equal(decode(decoder, hex('bebfc0')), NO_ERROR);
    assert.deepEqual(pairsOf(list), [
      ['c', '2'],
      ['b', '1'],
      ['a', 'x'.repeat(950)],
    ]);
  });

  it('are refused for their fields; cookies are one', () => {
    const refused = new FieldList(small);
    const four = block([
      ['a', ''],
      ['b', ''],
      ['c', ''],
      ['d', ''],
    ]);
    new HpackDecoder().decode(four, 0, four.length, refused);
    assert.equal(refused.tooLarge, 'head_fields');
    const cookies = block([['a', ''], ['b', ''], ...times(20, ['cookie', 'a'])]);
    new HpackDecoder().decode(cookies, 0, cookies.length, refused);
    assert.equal(refused.tooLarge, '');
    assert.equal(refused.count, 22);
  });

  it('strings for which there is no room at all are skipped, plain and in code', () => {
    for (const coded of [false, true]) {
      const text = Buffer.alloc(40_000, '0');
      const out = Buffer.alloc(text.length);
      const packed = out.subarray(0, encodeHuffman(text, 0, text.length, out, 0));
      const string = coded
        ? Buffer.concat([integer(0x80, 0x7f, packed.length), packed])
        : Buffer.concat([integer(0, 0x7f, text.length), text]);
      for (const [first, second] of [
        [string, hex('0161')],
        [hex('0161'), string],
        [string, string],
      ]) {
        const refused = new FieldList(small);
        const decoder = new HpackDecoder();
        decode(decoder, block([['x', 'y']], 0x40));
        const bytes = Buffer.concat([hex('40'), first!, second!]);
        assert.equal(decoder.decode(bytes, 0, bytes.length, refused), NO_ERROR);
        assert.equal(refused.tooLarge, 'head_bytes');
        assert.ok(refused.size > 20_000);
        assert.equal(decoder.table.count, 0);
      }
    }
  });

  it('a block that means thousands of times what it has ends the connection', () => {
    const refused = new FieldList({ bytesMax: 65_536, fieldsMax: 100 });
    const decoder = new HpackDecoder();
    const entry = block([['a', 'x'.repeat(4000)]], 0x40);
    decoder.decode(entry, 0, entry.length, refused);
    const some = Buffer.alloc(20, 0xbe);
    assert.equal(decoder.decode(some, 0, some.length, refused), NO_ERROR);
    assert.equal(refused.tooLarge, 'head_bytes');
    const bomb = Buffer.alloc(16_384, 0xbe);
    assert.equal(decoder.decode(bomb, 0, bomb.length, refused), ENHANCE_YOUR_CALM);
    // The same with a new entry for every two bytes, its name taken from the last.
    const thrash = Buffer.concat([
      block([['n'.repeat(4000), '']], 0x40),
      Buffer.from('7e00'.repeat(8000), 'hex'),
    ]);
    assert.equal(decoder.decode(thrash, 0, thrash.length, refused), ENHANCE_YOUR_CALM);
    assert.ok(refused.size < 5 * 65_536);
  });
});

const TEXT = fc.string({ unit: fc.nat({ max: 255 }).map((code) => String.fromCharCode(code)) });
const NAME = fc.oneof(
  fc.constantFrom(':path', ':status', 'cookie', 'accept', 'x-a', 'A', ''),
  TEXT,
);

describe('random fields', () => {
  it('come out as they went in, through a table that is often too small', () => {
    const step = fc.record({
      pair: fc.tuple(NAME, TEXT),
      how: fc.constantFrom(0x00, 0x10, 0x40),
    });
    fc.assert(
      fc.property(fc.array(fc.array(step)), fc.integer({ min: 0, max: 300 }), (blocks, size) => {
        const decoder = new HpackDecoder(size);
        /** What the table must have, the newest first. */
        let model: Pair[] = [];
        for (const steps of blocks) {
          const bytes = Buffer.concat(steps.map(({ pair, how }) => block([pair], how)));
          assert.equal(decode(decoder, bytes), NO_ERROR);
          for (const { pair, how } of steps) if (how === 0x40) model = [pair, ...model];
          model = fitting(model, size);
          assert.equal(decoder.table.count, model.length);
          const all = Buffer.concat(model.map((_, i) => integer(0x80, 0x7f, 62 + i)));
          assert.equal(decode(decoder, all), NO_ERROR);
          assert.deepEqual(
            valuesOf(),
            model.filter(([name]) => !isPseudo(name)).map(([, v]) => v),
          );
        }
      }),
    );
  });
});

function isPseudo(name: string): boolean {
  return name.startsWith(':');
}

function valuesOf(): string[] {
  return Array.from({ length: list.count }, (_, i) =>
    list.data.toString(
      'latin1',
      list.fields[i * FIELD_STRIDE + 3],
      list.fields[i * FIELD_STRIDE + 4],
    ),
  );
}

/** The newest that fit; one that is larger than all empties the table. */
function fitting(entries: readonly Pair[], bytes: number): Pair[] {
  const kept: Pair[] = [];
  let size = 0;
  for (const [name, value] of entries) {
    size += name.length + value.length + 32;
    if (size > bytes) break;
    kept.push([name, value]);
  }
  return kept;
}
