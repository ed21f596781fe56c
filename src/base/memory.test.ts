import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { keepMemoryLow } from './memory.ts';

test('keepMemoryLow() gives memory back at once and every second, and collects once, after the start', () => {
  const clock = new ManualClock();
  const done: string[] = [];
  const timer = keepMemoryLow(clock, {
    trim: () => void done.push('trim'),
    collect: () => void done.push('collect'),
  });
  assert.deepEqual(done, ['trim']);
  clock.advance(1_000);
  assert.deepEqual(done, ['trim', 'collect', 'trim']);
  clock.advance(2_000);
  assert.deepEqual(done.slice(3), ['trim', 'trim']);
  timer.cancel();
  clock.advance(2_000);
  assert.equal(done.length, 5);
});
