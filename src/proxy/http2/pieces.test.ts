import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Pieces } from './pieces.ts';

const step = fc.oneof(
  fc.record({ add: fc.oneof(fc.nat(40), fc.nat(40_000)) }),
  fc.record({ take: fc.integer({ min: 1, max: 20_000 }) }),
);

test('what comes out is what went in, in order, and stays as it was', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pieces = new Pieces();
      const taken: { readonly piece: Buffer; readonly copy: Buffer }[] = [];
      let added = 0;
      const take = (bytesMax: number): void => {
        const piece = pieces.take(bytesMax);
        assert.ok(piece.length > 0 && piece.length <= bytesMax);
        taken.push({ piece, copy: Buffer.from(piece) });
      };
      for (const each of steps) {
        if ('add' in each) {
          // The first and the last byte are those of somebody else.
          const data = Buffer.alloc(each.add + 2, 0xee);
          for (let i = 1; i <= each.add; i++) data[i] = (added + i) & 0xff;
          pieces.add(data, 1, 1 + each.add);
          added += each.add;
        } else if (pieces.bytes > 0) take(each.take);
        assert.equal(pieces.bytes, added - taken.reduce((sum, { piece }) => sum + piece.length, 0));
      }
      while (pieces.bytes > 0) take(20_000);
      const all = Buffer.concat(taken.map(({ piece }) => piece));
      assert.equal(all.length, added);
      assert.ok(all.every((byte, i) => byte === ((i + 1) & 0xff)));
      for (const { piece, copy } of taken) assert.ok(piece.equals(copy));
    }),
  );
});

test('bytes that come one by one are few pieces', () => {
  const pieces = new Pieces();
  const byte = Buffer.of(7);
  for (let i = 0; i < 100_000; i++) pieces.add(byte, 0, 1);
  let count = 0;
  for (; pieces.bytes > 0; count++) pieces.take(16_384);
  assert.ok(count < 20, `${count} pieces`);
});
