import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { keepMemoryLow, letMemoryGrow } from './memory.ts';

test('keepMemoryLow() ends the growth for a large start, gives memory back every second, and collects once', () => {
  const clock = new ManualClock();
  const done: string[] = [];
  const tools = {
    grow: (percent: number) => void done.push(`grow ${percent}`),
    trim: () => void done.push('trim'),
    collect: () => void done.push('collect'),
  };
  letMemoryGrow(1_000, tools);
  assert.deepEqual(done, []);
  letMemoryGrow(10_000, tools);
  assert.deepEqual(done.splice(0), ['grow 100']);
  const timer = keepMemoryLow(clock, tools);
  assert.deepEqual(done.splice(0), ['grow 0', 'trim']);
  clock.advance(1_000);
  assert.deepEqual(done.splice(0), ['collect', 'trim']);
  clock.advance(2_000);
  assert.deepEqual(done.splice(0), ['trim', 'trim']);
  timer.cancel();
  clock.advance(2_000);
  assert.deepEqual(done, []);
});
