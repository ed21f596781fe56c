import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  block,
  fieldsOf,
  LIST_LIMITS,
  type Pair,
  pairsOf,
} from '../../../../test/support/http2.ts';
import { Head, METHOD_GET } from '../../head/head.ts';
import { NO_ERROR } from './error-code.ts';
import { FieldList } from './field-list.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { RecentBlocks } from './recent-blocks.ts';
import { readRequest } from './request-fields.ts';
import { readResponse } from './response-fields.ts';
import { readTrailers } from './trailer-fields.ts';

const INDEXING = 0x40;
const NEVER_INDEXED = 0x10;
const REQUEST: Pair[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'web'],
  [':path', '/a?b'],
];
const STATUS: Pair = [':status', '200'];
const GRPC: Pair = ['content-type', 'application/grpc'];
const SECRET: Pair = ['x-secret', '1'];

/** What they are depends on the table, or changes it. */
const TABLE_BLOCKS: readonly Buffer[] = [
  block([['x-kept', 'one']], INDEXING),
  block([['x-kept', 'two']], INDEXING),
  Buffer.concat([block(REQUEST), Buffer.from([0x80 | 62])]),
  Buffer.concat([Buffer.from([0x20]), block(REQUEST)]),
  Buffer.concat([Buffer.from([0x3f, 0xe1, 0x1f]), block(REQUEST)]),
];
/** Each reader makes something else of them. */
const OTHER_BLOCKS: readonly Buffer[] = [
  block(REQUEST),
  block([...REQUEST, ['x-plain', 'a']]),
  block([...REQUEST, ['x-plain', 'b']]),
  block([...REQUEST, ['cookie', 'a=1'], ['x-between', 'b'], ['cookie', 'c=2'], ['te', 'trailers']]),
  Buffer.concat([block(REQUEST), block([SECRET], NEVER_INDEXED), block([['age', '1']])]),
  block([...REQUEST, ['te', 'trailers'], GRPC]),
  block([...REQUEST, GRPC, ['te', 'trailers'], ['x-size', 'y'.repeat(LIST_LIMITS.bytesMax)]]),
  block([STATUS, ['content-length', '3'], ['date', 'now']]),
  block([STATUS, ['x-size', 'y'.repeat(LIST_LIMITS.bytesMax)]]),
  block([
    ['host', 'web'],
    ['x-sum', '7'],
    ['content-length', '3'],
    ['x-more', '8'],
  ]),
  block([['grpc-status', '0']]),
  block([['X-Upper', 'a']]),
  Buffer.from([0x80]),
];
const READERS = ['request', 'response', 'trailers', 'nobody'] as const;
type Reader = (typeof READERS)[number];

interface Step {
  readonly which: number;
  readonly bytes: Buffer;
  readonly reader: Reader;
  /** Another read begins. */
  readonly isNew: boolean;
}

const SOME = { minLength: 1, maxLength: 3 };
/** Few blocks, so that the same ones come again. */
const STEPS: fc.Arbitrary<Step[]> = fc
  .oneof(fc.constant(TABLE_BLOCKS), fc.shuffledSubarray([...OTHER_BLOCKS], SOME))
  .chain((blocks) =>
    fc.array(
      fc.record({
        which: fc.nat(1),
        bytes: fc.constantFrom(...blocks),
        reader: fc.constantFrom(...READERS),
        isNew: fc.nat(9).map((n) => n === 0),
      }),
      { maxLength: 30 },
    ),
  );

function tableOf({ table: { count, size, maxBytes } }: HpackDecoder): unknown {
  return { count, size, maxBytes };
}

/** All that can be seen of a list, and of the head that is made of it. */
function outcome(list: FieldList, reader: Reader, head: Head): unknown {
  const { tooLarge, broken, size } = list;
  const came = { tooLarge, broken, size, pairs: tooLarge === '' ? pairsOf(list) : [] };
  let end = 0;
  if (reader === 'request') end = readRequest(list, head, true, true);
  else if (reader === 'response') end = readResponse(list, head, METHOD_GET, false);
  else if (reader === 'trailers') end = readTrailers(list);
  const text = list.data.toString('latin1', 0, Math.max(end, 0));
  const hasHead = end >= 0 && (reader === 'request' || reader === 'response');
  const fields = hasHead ? fieldsOf(list.data, head) : [];
  const { rule, failure, contentLength, grpc } = head;
  return { came, end, text, fields, rule, failure, contentLength, grpc };
}

test('whatever came before it and was made of it, a block becomes the list that it would become alone', () => {
  const blocks = new RecentBlocks(LIST_LIMITS);
  fc.assert(
    fc.property(STEPS, (steps) => {
      const decoders = [new HpackDecoder(), new HpackDecoder()];
      const models = [new HpackDecoder(), new HpackDecoder()];
      blocks.forget();
      for (const { which, bytes, reader, isNew } of steps) {
        if (isNew) blocks.forget();
        const alone = new FieldList(LIST_LIMITS);
        const code = blocks.decode(decoders[which]!, bytes, 0, bytes.length);
        assert.equal(code, models[which]!.decode(bytes, 0, bytes.length, alone));
        assert.deepEqual(tableOf(decoders[which]!), tableOf(models[which]!));
        // The connection ends.
        if (code !== NO_ERROR) return;
        const expected = outcome(alone, reader, new Head(10));
        assert.deepEqual(outcome(blocks.list, reader, new Head(10)), expected);
      }
    }),
    { numRuns: 1_000 },
  );
});

class CountingDecoder extends HpackDecoder {
  decoded = 0;

  override decode(data: Buffer, start: number, end: number, list: FieldList): number {
    this.decoded++;
    return super.decode(data, start, end, list);
  }
}

test('a block is decoded once for all that are equal, also with another one between each two', () => {
  const blocks = new RecentBlocks(LIST_LIMITS);
  const decoder = new CountingDecoder();
  const [head, trailers] = [block([STATUS]), block([['grpc-status', '0']])];
  const lists = new Set<FieldList>();
  for (let i = 0; i < 10; i++)
    for (const bytes of [head, trailers]) {
      const copy = Buffer.concat([Buffer.alloc(i), bytes]);
      assert.equal(blocks.decode(decoder, copy, i, copy.length), NO_ERROR);
      lists.add(blocks.list);
    }
  assert.equal(decoder.decoded, 2);
  assert.equal(lists.size, 2);
  blocks.forget();
  assert.equal(blocks.decode(decoder, head, 0, head.length), NO_ERROR);
  assert.equal(decoder.decoded, 3);
});

test('the same index on another connection is another field', () => {
  const blocks = new RecentBlocks(LIST_LIMITS);
  const decoders = ['one', 'two'].map((value) => {
    const decoder = new HpackDecoder();
    const bytes = block([['x-kept', value]], INDEXING);
    assert.equal(blocks.decode(decoder, bytes, 0, bytes.length), NO_ERROR);
    return decoder;
  });
  const index = Buffer.from([0x80 | 62]);
  const values = [...decoders, ...decoders].map((decoder) => {
    assert.equal(blocks.decode(decoder, index, 0, 1), NO_ERROR);
    return pairsOf(blocks.list)[0]?.[1];
  });
  assert.deepEqual(values, ['one', 'two', 'one', 'two']);
});
