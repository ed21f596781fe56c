import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { leftToOthers } from './admit.ts';

test('each thread finds a place, whatever the others have, and the limit is never passed', () => {
  for (const threads of [1, 2, 3, 8, 32])
    for (const places of [threads, threads + 1, 4 * threads, 14, 875]) {
      if (places < threads) continue;
      const random = seededRandom(places * 64 + threads);
      const own = Array.from({ length: threads }, () => 0);
      let all = 0;
      for (let i = 0; i < 5_000; i++) {
        // The first ones have most callers.
        const thread = Math.floor(random.next() ** 4 * threads);
        const has = own[thread] ?? 0;
        const isLeaving = random.next() < 0.2 && has > 0;
        const isFull = all >= places - leftToOthers(places, has, threads);
        if (isFull && !isLeaving) assert.ok(has > 0, 'one of its own can make room');
        const change = isLeaving ? -1 : isFull ? 0 : 1;
        own[thread] = has + change;
        all += change;
        assert.ok(all <= places);
      }
      for (let thread = 0; thread < threads; thread++) {
        if (own[thread] === 0) assert.ok(all < places, `${places} places, thread ${thread}`);
        own[thread] ||= 1;
        all = own.reduce((sum, each) => sum + each, 0);
      }
    }
  assert.equal(leftToOthers(100, 50, 1), 0, 'alone');
  assert.equal(leftToOthers(100, 50, 2), 12, 'at most a quarter is left');
});
