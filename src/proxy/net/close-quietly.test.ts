import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '../../base/clock.ts';
import { closeQuietly } from './close-quietly.ts';

interface Fake {
  accepted: number;
  acceptedAtMs: number;
  readonly stop: () => void;
}

function listener(acceptedAtMs: number, stop: () => void): Fake {
  return { accepted: 0, acceptedAtMs, stop };
}

test('closeQuietly() closes at once what nobody has used of late', async () => {
  const clock = new ManualClock();
  const names = Array.from({ length: 200 }, (_, i) => `port ${i}`);
  const closed: string[] = [];
  const listeners = new Map(
    names.map((name) => [name, listener(-Infinity, () => closed.push(name))]),
  );
  await closeQuietly(listeners, clock);
  assert.deepEqual(closed, names);
});

test('closeQuietly() looks for callers once more before it closes what is used', async () => {
  const clock = new ManualClock();
  let isClosed = false;
  const used = listener(clock.nowMs(), () => (isClosed = true));
  const done = closeQuietly(new Map([['used', used]]), clock);
  assert.equal(isClosed, false);
  await done;
  assert.equal(isClosed, true);
});

test('closeQuietly() goes on while callers are led to it, and no longer than it is told', async () => {
  for (const [comeMs, endMs] of [
    [0, 100],
    [1_200, 1_600],
    [9_000, 5_000],
  ] as const) {
    const clock = new ManualClock();
    const closed: string[] = [];
    const used = listener(-Infinity, () => closed.push('used'));
    const listeners = new Map([
      ['used', used],
      ['unused', listener(-Infinity, () => closed.push('unused'))],
    ]);
    const done = closeQuietly(listeners, clock, 5_000);
    for (let nowMs = 0; nowMs <= endMs + 200; nowMs += 100) {
      if (nowMs < comeMs) used.acceptedAtMs = clock.nowMs();
      else if (nowMs > endMs) assert.notEqual(closed.length, 0, `${nowMs} ms`);
      if (nowMs < endMs) assert.deepEqual(closed, [], `${nowMs} ms`);
      clock.advance(100);
      for (let i = 0; i < 10; i++) await nextTurn();
    }
    await done;
    assert.deepEqual(closed.sort(), ['unused', 'used']);
  }
});

test('closeQuietly() closes a listener after a turn in which it accepted nobody', async () => {
  const clock = new ManualClock();
  let turns = 0;
  const busy = listener(clock.nowMs(), () => assert.equal(turns, 20));
  const accept = (): void => {
    busy.accepted++;
    if (++turns < 20) setImmediate(accept);
  };
  const done = closeQuietly(new Map([['busy', busy]]), clock);
  accept();
  await done;
  assert.equal(turns, 20);
});

test('closeQuietly() gives up waiting for a quiet turn in the end', async () => {
  const clock = new ManualClock();
  let isClosed = false;
  const busy = listener(clock.nowMs(), () => (isClosed = true));
  const accept = (): void => {
    busy.accepted++;
    if (!isClosed) setImmediate(accept);
  };
  const done = closeQuietly(new Map([['busy', busy]]), clock);
  accept();
  await done;
  assert.ok(isClosed);
});
