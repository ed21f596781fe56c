import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { HOLD_MS_MAX, Holds, SETTLE_MS } from './holds.ts';

test('mayApply() waits until a loss has looked the same for a while', () => {
  const clock = new ManualClock();
  const holds = new Holds(clock);
  assert.equal(holds.mayApply('a', '1'), false);
  clock.advance(SETTLE_MS - 1);
  assert.equal(holds.mayApply('a', '1'), false);
  assert.equal(holds.mayApply('a', '2'), false, 'it changed: the wait starts anew');
  clock.advance(SETTLE_MS);
  assert.deepEqual(holds.paths(), ['a']);
  assert.equal(holds.mayApply('a', '2'), true);
  assert.deepEqual(holds.paths(), []);
});

test('mayApply() does not wait for ever for a file that changes all the time', () => {
  const clock = new ManualClock();
  const holds = new Holds(clock);
  let waits = 0;
  while (!holds.mayApply('a', String(waits))) {
    waits++;
    clock.advance(10);
  }
  assert.equal(waits, HOLD_MS_MAX / 10);
});

test('mayApply() holds nothing while it is off, and forgets what is whole again', () => {
  const holds = new Holds(new ManualClock());
  holds.mayApply('a', '1');
  holds.clear('a');
  assert.deepEqual(holds.paths(), []);
  holds.mayApply('a', '1');
  holds.isOff = true;
  assert.equal(holds.mayApply('a', '1'), true);
  assert.deepEqual(holds.paths(), []);
});
