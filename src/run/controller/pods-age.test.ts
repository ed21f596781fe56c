import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { PodsAge } from './pods-age.ts';

test('the age of what is known of Pods counts from when their watch failed, and ends when it is back', () => {
  const clock = new ManualClock();
  let pods: { synced: boolean; lastError: string | null } | null = null;
  const age = new PodsAge(clock, () => [
    { kind: 'Node', synced: true, lastError: null },
    ...(pods === null ? [] : [{ kind: 'Pod' as const, ...pods }]),
  ]);
  age.update();
  clock.advance(1_000);
  assert.equal(age.ms, 1_000, 'they were never heard of');
  pods = { synced: true, lastError: null };
  age.update();
  clock.advance(1_000);
  assert.equal(age.ms, 0);
  pods = { synced: true, lastError: 'the API server is away' };
  age.update();
  clock.advance(1_000);
  pods = { synced: true, lastError: 'another reason' };
  age.update();
  clock.advance(1_000);
  assert.equal(age.ms, 2_000);
  pods = { synced: true, lastError: null };
  age.update();
  assert.equal(age.ms, 0);
});
