import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { StrictGuard } from '../../../test/support/strict-guard.ts';
import { systemRandom } from '../../base/random.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { NetContext } from './context.ts';

test('in a read for many messages time stands still, and goes on afterwards', () => {
  const clock = new ManualClock(1_000);
  const context = new NetContext(
    {
      clock,
      random: systemRandom,
      guard: new StrictGuard(clock),
      settings: DEFAULT_PROXY_SETTINGS,
    },
    0,
  );
  assert.equal(context.nowMs(), 1_000);
  clock.advance(5);
  assert.equal(context.nowMs(), 1_005);
  context.beginRead();
  clock.advance(5);
  assert.equal(context.nowMs(), 1_005);
  context.endRead();
  assert.equal(context.nowMs(), 1_010);
});
