import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from './clock.ts';

test('a timer never runs before its time is over, for whoever compares times', async () => {
  const early = await Promise.all(
    Array.from({ length: 500 }, (_, i) => {
      const dueMs = systemClock.nowMs() + (i % 50) / 7;
      return new Promise<boolean>((resolve) => {
        systemClock.after((i % 50) / 7, () => resolve(systemClock.nowMs() < dueMs));
      });
    }),
  );
  assert.equal(early.filter(Boolean).length, 0);
});

test('a timer further away than the runtime can count does not run at once', async () => {
  let hasRun = false;
  const far = systemClock.after(2 ** 40, () => (hasRun = true));
  await new Promise<void>((resolve) => {
    systemClock.after(20, resolve);
  });
  far.cancel();
  assert.equal(hasRun, false);
});
