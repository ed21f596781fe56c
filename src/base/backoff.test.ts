import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from './backoff.ts';

test('waits double up to the last, each between half of its ceiling and all of it', () => {
  for (const [share, factor] of [
    [0, 0.5],
    [0.5, 0.75],
  ] as const) {
    const backoff = new Backoff({ next: () => share }, { firstMs: 200, lastMs: 1_000 });
    const waits = Array.from({ length: 40 }, () => backoff.fail());
    assert.deepEqual(
      waits.slice(0, 5),
      [200, 400, 800, 1_000, 1_000].map((ceiling) => ceiling * factor),
    );
    assert.equal(waits.at(-1), 1_000 * factor);
    assert.equal(backoff.failures, 40);
    backoff.reset();
    assert.equal(backoff.fail(), 200 * factor);
  }
});
