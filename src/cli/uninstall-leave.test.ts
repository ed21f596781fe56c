import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from '../base/clock.ts';
import { until } from '../kube/api/api-server.fixture.ts';
import { leaveFor, leaveSeen } from './uninstall-leave.ts';

/** Runs `leave` while time goes on; milliseconds until it ended. */
async function timed(clock: ManualClock, leave: () => Promise<void>): Promise<number> {
  const start = clock.nowMs();
  let isOver = false;
  const done = leave().finally(() => (isOver = true));
  await until(() => {
    if (!isOver) clock.advance(500);
    return isOver;
  });
  await done;
  return clock.nowMs() - start;
}

function setUp(isKnown: (ask: number, domain: string) => boolean) {
  const clock = new ManualClock();
  const told: string[] = [];
  let asks = 0;
  const resolver = () => ({
    resolveSoa: async (domain: string) => {
      if (isKnown(asks++, domain)) return { nsname: `ns.dns.${domain}` };
      throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    },
  });
  const tell = (line: string): void => void told.push(line);
  return { clock, told, options: { clock, tell, resolver, domains: ['maesh', 'x.y'] } };
}

test('leaveSeen() waits until nobody has known the names for some rounds, then the TTL', async () => {
  // The last of the replicas reads its configuration late: one ask of round five still finds the names.
  const { clock, told, options } = setUp(
    (ask, domain) => ask < 8 || (ask === 38 && domain === 'x.y'),
  );
  const ms = await timed(clock, () => leaveSeen(options));
  assert.deepEqual(told, ['Waiting for the cluster DNS to forget maesh, x.y']);
  assert.ok(ms >= 17_000 && ms < 30_000, String(ms));
});

test('leaveSeen() goes on when the names stay', async () => {
  const { clock, told, options } = setUp(() => true);
  const ms = await timed(clock, () => leaveSeen(options));
  assert.ok(ms >= 155_000 && ms < 170_000, String(ms));
  assert.equal(told.at(-1), 'It has not after 150 s: continuing');
});

test('leaveFor() waits as long as it is told', async () => {
  const { clock, told, options } = setUp(() => true);
  assert.ok((await timed(clock, () => leaveFor(options, 30_000))) >= 30_000);
  await leaveFor(options, 0);
  assert.deepEqual(told, ['Callers have 30 s to leave']);
});
