import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { DEFAULT_RETRY } from '../../model/defaults.ts';
import { retryDelayMs } from './backoff.ts';

test('retryDelayMs() draws from all of a range that doubles up to the limit', () => {
  const policy = { ...DEFAULT_RETRY, backoffMs: 25, backoffMaxMs: 150 };
  const random = seededRandom(1);
  for (const [retry, ceilingMs] of [
    [1, 25],
    [2, 50],
    [3, 100],
    [4, 150],
    [2_000, 150],
  ] as const) {
    const delays = Array.from({ length: 2_000 }, () => retryDelayMs(policy, retry, random));
    assert.ok(Math.min(...delays) >= 0 && Math.min(...delays) < ceilingMs * 0.02);
    assert.ok(Math.max(...delays) < ceilingMs && Math.max(...delays) > ceilingMs * 0.98);
  }
  assert.equal(retryDelayMs({ ...policy, backoffMs: 0 }, 3, random), 0);
});
