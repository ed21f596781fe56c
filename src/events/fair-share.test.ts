import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fairShare } from './fair-share.ts';

test('who wants little gets it, the others the same each', () => {
  assert.equal(fairShare([], 10), Infinity);
  assert.equal(fairShare([4, 6], 10), Infinity);
  assert.equal(fairShare([100], 10), 10);
  assert.equal(fairShare([100, 1], 10), 9);
  assert.equal(fairShare([100, 1, 100], 10), 4);
  assert.equal(fairShare([1, 1, 1], 2), 0);
});

test('no more places are given than there are, and no place is left that each could have', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), fc.nat(200), (wanted, places) => {
      const given = (share: number): number =>
        wanted.reduce((sum, count) => sum + Math.min(count, share), 0);
      const share = fairShare(wanted, places);
      assert.ok(given(share) <= places);
      if (share !== Infinity) assert.ok(given(share + 1) > places);
    }),
  );
});
