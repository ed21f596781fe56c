import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cheapFirst, shareOf } from './share.ts';

/** What each uses with one worker, in the order of `needs`. */
function shared(needs: readonly number[], leftMs: number): number[] {
  const got = needs.map(() => 0);
  const order = cheapFirst(needs.map((needMs, i) => ({ needMs, i })));
  let left = leftMs;
  order.forEach((each, turn) => {
    const used = Math.min(each.needMs, shareOf(left, 1, order.length - turn));
    got[each.i] = used;
    left -= used;
  });
  return got;
}

test('with time for all, each gets what it needs', () => {
  assert.deepEqual(shared([30, 10, 20], 60), [30, 10, 20]);
});

test('cheap properties get all they need, and the others share the rest evenly', () => {
  assert.deepEqual(shared([1_000, 10, 2_000, 20], 230), [100, 10, 100, 20]);
});

test('nobody gets time when none is left', () => {
  assert.deepEqual(shared([10, 20], -5), [0, 0]);
});

test('two workers share for as long as two wait', () => {
  assert.equal(shareOf(100, 2, 4), 50);
  assert.equal(shareOf(100, 2, 2), 100);
  assert.equal(shareOf(100, 2, 1), 100);
});
