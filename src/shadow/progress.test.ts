import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock } from '../base/clock.ts';
import { AGENTS_RETURN_MS, includes, isBefore, Progress } from './progress.ts';

/** Of a process to which agents had their time to come. */
function longStarted(heldBack: () => string | null = () => null): Progress {
  const clock = new ManualClock();
  const progress = new Progress({ clock, heldBack });
  progress.opened();
  clock.advance(AGENTS_RETURN_MS);
  return progress;
}

test('current is what all agents serve', () => {
  const progress = longStarted();
  assert.equal(progress.current, '');
  progress.served(0);
  progress.observe('10', 1);
  progress.observe('12', 1);
  progress.observe('15', 2);
  assert.equal(progress.current, '');
  progress.served(1);
  assert.equal(progress.current, '12');
  progress.served(5);
  assert.equal(progress.current, '15');
  progress.served(0);
  assert.equal(progress.current, '15', 'it never goes back');
  progress.observe('20', 3);
  assert.equal(progress.current, '15');
  progress.served(null);
  assert.equal(progress.current, '20', 'nobody has to catch up');
});

test('current is nothing while agents may be on their way to a process that just started', () => {
  const clock = new ManualClock();
  let told = 0;
  const progress = new Progress({ clock, onReturned: () => told++ });
  progress.observe('10', 1);
  progress.served(null);
  clock.advance(AGENTS_RETURN_MS);
  assert.equal(progress.current, '', 'before it takes agents in, none can come');
  progress.opened();
  progress.served(1);
  clock.advance(AGENTS_RETURN_MS - 1);
  assert.deepEqual([progress.current, told], ['', 0], 'the first to come are not all');
  progress.opened();
  clock.advance(1);
  assert.deepEqual([progress.current, told], ['10', 1]);
});

test('current stays behind what agents cannot have been told of', () => {
  let held: string | null = '12';
  const progress = longStarted(() => held);
  progress.observe('15', 1);
  progress.served(1);
  assert.equal(progress.current, '11');
  held = null;
  assert.equal(progress.current, '15');
});

test('many steps cost precision, never truth', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5_000 }), (served) => {
      const progress = longStarted();
      progress.served(0);
      for (let step = 1; step <= 3_000; step++) progress.observe(String(step * 2), step);
      progress.served(served);
      const reached = progress.current === '' ? 0 : Number(progress.current) / 2;
      assert.ok(reached <= served);
      if (served >= 3_000) assert.equal(reached, 3_000);
    }),
    { numRuns: 30 },
  );
});

test('resource versions compare as numbers of any length, and others only as the same', () => {
  assert.ok(isBefore('9', '10'));
  assert.ok(isBefore('9007199254740993', '9007199254740994'));
  assert.ok(!isBefore('10', '10') && !isBefore('a', 'b') && !isBefore('', '1'));
  assert.ok(includes('10', '10') && includes('11', '10') && !includes('9', '10'));
  assert.ok(includes('a', 'a') && !includes('b', 'a') && !includes('', '1'));
});
