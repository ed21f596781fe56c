import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { TokenBucket } from './token-bucket.ts';

test('take() gives the burst, then one as often as the rate says, and never saves more than the burst', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(clock, { perSecond: 10, burst: 2 });
  const takes = (): number[] => Array.from({ length: 3 }, () => bucket.take());
  assert.deepEqual(takes(), [0, 0, 100]);
  clock.advance(60);
  assert.equal(bucket.take(), 40);
  clock.advance(40);
  assert.deepEqual(takes(), [0, 100, 100]);
  clock.advance(10_000);
  assert.deepEqual(takes(), [0, 0, 100]);
});
