import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  decodeHuffman,
  encodeHuffman,
  HUFFMAN_BAD,
  HUFFMAN_NO_ROOM,
  huffmanLength,
} from './huffman.ts';

const out = Buffer.alloc(4096);

function encode(bytes: Buffer): Buffer {
  return Buffer.from(out.subarray(0, encodeHuffman(bytes, 0, bytes.length, out, 0)));
}

function decode(code: Buffer, limit = out.length): Buffer | number {
  const end = decodeHuffman(code, 0, code.length, out, 0, limit);
  return end < 0 ? end : Buffer.from(out.subarray(0, end));
}

describe('Huffman code', () => {
  it('of every byte, alone and between others, is decoded to it', () => {
    for (let byte = 0; byte < 256; byte++) {
      for (const bytes of [Buffer.from([byte]), Buffer.from([97, byte, 0xff, byte, 48, byte])]) {
        const code = encode(bytes);
        assert.equal(code.length, huffmanLength(bytes, 0, bytes.length));
        assert.deepEqual(decode(code), bytes);
      }
    }
  });

  it('of any bytes is decoded to them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (array) => {
        const bytes = Buffer.from(array);
        assert.deepEqual(decode(encode(bytes)), bytes);
      }),
    );
  });

  it('of any code that is decoded is that code', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), (array) => {
        const code = Buffer.from(array);
        const bytes = decode(code);
        if (typeof bytes !== 'number') assert.deepEqual(encode(bytes), code);
        else assert.equal(bytes, HUFFMAN_BAD);
      }),
      { numRuns: 2000 },
    );
  });

  it('ends with less than a byte of ones', () => {
    // `a` is 00011.
    assert.deepEqual(decode(Buffer.from([0x1f])), Buffer.from('a'));
    assert.equal(decode(Buffer.from([0x1e])), HUFFMAN_BAD);
    assert.equal(decode(Buffer.from([0x1f, 0xff])), HUFFMAN_BAD);
    assert.equal(decode(Buffer.from([0xff])), HUFFMAN_BAD);
    assert.equal(decode(Buffer.from([0xff, 0xff, 0xff, 0xfc])), HUFFMAN_BAD);
    assert.deepEqual(decode(Buffer.alloc(0)), Buffer.alloc(0));
  });

  it('for which there is no room writes nothing behind the limit', () => {
    const code = encode(Buffer.from('0123456789'));
    for (let limit = 0; limit < 10; limit++) {
      out.fill(0);
      assert.equal(decode(code, limit), HUFFMAN_NO_ROOM);
      assert.equal(out[limit], 0);
    }
    assert.deepEqual(decode(code, 10), Buffer.from('0123456789'));
  });
});
