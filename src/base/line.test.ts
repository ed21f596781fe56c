import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Line, Stand } from './line.ts';

test('a line is in the order in which its members came, whoever leaves, and knows how many they are', () => {
  const moves = fc.array(fc.record({ who: fc.nat(9), leaves: fc.boolean() }));
  fc.assert(
    fc.property(moves, (list) => {
      const line = new Line<number>();
      const model = new Set<number>();
      const stands = Array.from({ length: 10 }, (_, who) => new Stand(who));
      for (const { who, leaves } of list) {
        const stand = stands[who]!;
        if (leaves) {
          stand.leave();
          model.delete(who);
        } else if (!model.has(who)) {
          line.add(stand);
          model.add(who);
        }
        assert.deepEqual([...line], [...model]);
        assert.equal(line.size, model.size);
      }
    }),
  );
});

test('who leaves before it is its turn is left out, and who comes meanwhile', () => {
  const line = new Line<string>();
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((who) => new Stand(who)) as [
    Stand<string>,
    Stand<string>,
    Stand<string>,
    Stand<string>,
  ];
  for (const stand of [a, b, c]) line.add(stand);
  const seen: string[] = [];
  for (const who of line) {
    seen.push(who);
    if (who !== 'a') continue;
    a.leave();
    b.leave();
    line.add(d);
  }
  assert.deepEqual(seen, ['a', 'c']);
  assert.deepEqual([...line], ['c', 'd']);
});

test('who has left, or stands elsewhere, is not put at the end, nor taken out', () => {
  const [line, other] = [new Line<string>(), new Line<string>()];
  const [a, b, c] = ['a', 'b', 'c'].map((who) => new Stand(who));
  for (const stand of [a!, b!]) line.add(stand);
  other.add(c!);
  a!.leave();
  for (const stand of [a!, c!]) {
    line.touch(stand);
    line.remove(stand);
  }
  assert.deepEqual([[...line], line.size], [['b'], 1]);
  assert.deepEqual([[...other], other.size], [['c'], 1]);
});

test('who has left holds on to nobody', () => {
  const line = new Line<string>();
  const stands = ['a', 'b', 'c'].map((who) => new Stand(who));
  for (const stand of stands) line.add(stand);
  stands[1]!.leave();
  assert.deepEqual([stands[1]!.before, stands[1]!.behind, stands[1]!.line], [null, null, null]);
});
