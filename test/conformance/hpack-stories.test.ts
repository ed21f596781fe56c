/** What other encoders send, read by our decoder; and the same fields from our encoder, read by it and by the model. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_ERROR } from '../../src/proxy/http2/codec/error-code.ts';
import { FieldList } from '../../src/proxy/http2/codec/field-list.ts';
import { HpackDecoder } from '../../src/proxy/http2/codec/hpack-decoder.ts';
import { HpackEncoder } from '../../src/proxy/http2/codec/hpack-encoder.ts';
import { readCorpus } from '../support/hpack-corpus.ts';
import { HpackModel } from '../support/hpack-model.ts';
import { type Pair, pairsOf } from '../support/http2.ts';

const { stories, sizes, wires } = readCorpus();
const list = new FieldList({ bytesMax: 65_536, fieldsMax: 1000 });
const out = Buffer.alloc(65_536);

function decode(decoder: HpackDecoder, block: Buffer): Pair[] {
  assert.equal(decoder.decode(block, 0, block.length, list), NO_ERROR);
  assert.equal(list.tooLarge, '');
  return pairsOf(list);
}

/** All fields as literals or by index, whatever their names. */
function encode(encoder: HpackEncoder, pairs: readonly Pair[]): Buffer {
  encoder.begin(out, 0);
  for (const [name, value] of pairs) {
    const data = Buffer.from(name + value);
    const nameEnd = Buffer.byteLength(name);
    encoder.field(data, 0, nameEnd, nameEnd, data.length);
  }
  return Buffer.from(out.subarray(0, encoder.end()));
}

/** Texts of the stories are UTF-8; those of a list are bytes. */
function asBytes(pairs: readonly Pair[]): Pair[] {
  const bytes = (text: string): string => Buffer.from(text).toString('latin1');
  return pairs.map(([name, value]) => [bytes(name), bytes(value)]);
}

describe('the stories of hpack-test-case', () => {
  const encoders = Object.groupBy(Object.keys(wires), (key) => key.slice(0, -3));
  for (const [encoder, keys = []] of Object.entries(encoders)) {
    it(`as ${encoder} sends them`, () => {
      for (const key of keys) {
        const limits = sizes[key] ?? {};
        const decoder = new HpackDecoder(limits['0'] ?? 4096);
        for (const [i, wire] of wires[key]!.entries()) {
          if (i > 0 && limits[i] !== undefined) decoder.setLimit(limits[i]);
          const pairs = decode(decoder, Buffer.from(wire, 'hex'));
          assert.deepEqual(pairs, asBytes(stories[key.slice(-2)]![i]!), `${key}, ${i}`);
        }
      }
    });
  }

  it('as we send them', () => {
    for (const [story, messages] of Object.entries(stories)) {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      const model = new HpackModel(4096);
      for (const pairs of messages) {
        const block = encode(encoder, pairs);
        assert.deepEqual(decode(decoder, block), asBytes(pairs), story);
        const seen = model.decode(block);
        assert.deepEqual(
          seen?.map(({ name, value }) => [name, value]),
          asBytes(pairs),
          story,
        );
      }
    }
  });
});
