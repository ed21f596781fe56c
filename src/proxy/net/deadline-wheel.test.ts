import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { DEADLINE_TICK_MS, DeadlineWheel, type Expiring } from './deadline-wheel.ts';

class Item implements Expiring {
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  fired: number[] = [];
  onDeadline(nowMs: number): void {
    this.fired.push(nowMs);
    this.deadlineMs = Infinity;
  }
  onDefect(error: unknown): void {
    throw error;
  }
}

/** A wheel whose thread runs when the test lets it. */
function still(hasReadAll?: () => boolean): { clock: ManualClock; wheel: DeadlineWheel } {
  const clock = new ManualClock();
  return { clock, wheel: new DeadlineWheel(clock, hasReadAll) };
}

/** One that is due in a second. */
function dueSoon(clock: ManualClock, wheel: DeadlineWheel): Item {
  const item = new Item();
  item.deadlineMs = clock.nowMs() + 1_000;
  wheel.arm(item);
  return item;
}

test('arm() fires once, never early, at most one tick late', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 120_000, noNaN: true }), { maxLength: 50 }),
      (delays) => {
        const clock = new ManualClock();
        const wheel = new DeadlineWheel(clock);
        wheel.start();
        const items = delays.map((delay) => {
          const item = new Item();
          item.deadlineMs = clock.nowMs() + delay;
          wheel.arm(item);
          return { item, due: item.deadlineMs };
        });
        clock.advance(130_000);
        for (const { item, due } of items) {
          assert.equal(item.fired.length, 1);
          const late = (item.fired[0] as number) - due;
          assert.ok(late >= 0 && late <= 2 * DEADLINE_TICK_MS, `late by ${late}`);
        }
        wheel.stop();
      },
    ),
    { numRuns: 50 },
  );
});

test('arm() follows a deadline that moves in either direction', () => {
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  wheel.start();
  const item = new Item();
  item.deadlineMs = clock.nowMs() + 1_000;
  wheel.arm(item);
  item.deadlineMs = clock.nowMs() + 5_000;
  wheel.arm(item);
  clock.advance(2_000);
  assert.deepEqual(item.fired, []);
  item.deadlineMs = clock.nowMs() + 100;
  wheel.arm(item);
  clock.advance(200);
  assert.equal(item.fired.length, 1);
  clock.advance(10_000);
  assert.equal(item.fired.length, 1);
  wheel.stop();
});

test('advance() after a long stall fires what is due and keeps the rest', () => {
  const { clock, wheel } = still();
  const [early, late] = [new Item(), new Item()];
  early.deadlineMs = clock.nowMs() + 50;
  late.deadlineMs = clock.nowMs() + 600_000;
  wheel.arm(early);
  wheel.arm(late);
  const advance = (ms: number): void => {
    clock.advance(ms);
    wheel.advance();
    clock.advance(DEADLINE_TICK_MS);
    wheel.advance();
  };
  advance(300_000);
  assert.equal(early.fired.length, 1);
  assert.equal(late.fired.length, 0);
  advance(300_100);
  assert.equal(late.fired.length, 1);
});

test('what came while the thread stood still is read before anything counts as late', () => {
  const { clock, wheel } = still();
  const [answered, silent] = [dueSoon(clock, wheel), dueSoon(clock, wheel)];
  clock.advance(1_500);
  wheel.advance();
  assert.deepEqual([answered.fired, silent.fired], [[], []]);
  assert.equal(wheel.nowMs, clock.nowMs(), 'what is read meanwhile knows what time it is');
  // Its answer is read.
  wheel.disarm(answered);
  clock.advance(DEADLINE_TICK_MS);
  wheel.advance();
  assert.deepEqual([answered.fired, silent.fired], [[], [clock.nowMs()]]);
});

test('a tick that comes a little late fires at once', () => {
  const { clock, wheel } = still();
  const item = dueSoon(clock, wheel);
  for (let i = 0; i < 17; i++) {
    clock.advance(3 * DEADLINE_TICK_MS);
    wheel.advance();
  }
  assert.deepEqual(item.fired, [clock.nowMs()]);
});

test('while there is more to read a stall holds up what is due for some ticks, and no longer', () => {
  let hasReadAll = false;
  const { clock, wheel } = still(() => hasReadAll);
  const fired: number[] = [];
  for (const readsAfter of [Infinity, 2]) {
    hasReadAll = false;
    const item = dueSoon(clock, wheel);
    clock.advance(1_500);
    let ticks = 0;
    for (wheel.advance(); item.fired.length === 0; wheel.advance()) {
      if (++ticks >= readsAfter) hasReadAll = true;
      clock.advance(DEADLINE_TICK_MS);
    }
    fired.push(ticks);
  }
  assert.deepEqual(fired, [3, 2]);
});

test('a thread that stands still before every tick keeps to its time limits, if late', () => {
  const { clock, wheel } = still();
  for (let round = 0; round < 5; round++) {
    const item = dueSoon(clock, wheel);
    let stalls = 0;
    for (; item.fired.length === 0; stalls++) {
      clock.advance(1_500);
      wheel.advance();
    }
    assert.ok(stalls <= 4, `after ${stalls}`);
  }
});

/** Moments in whole ticks from now; `to` Infinity disarms. */
const move = fc.record({
  item: fc.nat(9),
  to: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant(Infinity)),
  wait: fc.nat(200),
});

test('arm() and disarm() in any order: every item fires at its last deadline and never after disarm()', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 100 }), (moves) => {
      const clock = new ManualClock();
      const wheel = new DeadlineWheel(clock);
      wheel.start();
      const items = Array.from({ length: 10 }, () => new Item());
      const due = items.map(() => Infinity);
      const expected = items.map(() => 0);
      const pass = (ms: number): void => {
        clock.advance(ms * DEADLINE_TICK_MS);
        due.forEach((at, i) => {
          if (at > clock.nowMs()) return;
          expected[i] = (expected[i] as number) + 1;
          due[i] = Infinity;
        });
      };
      for (const { item: i, to, wait } of moves) {
        const item = items[i] as Item;
        due[i] = clock.nowMs() + to * DEADLINE_TICK_MS;
        item.deadlineMs = due[i];
        if (to === Infinity) wheel.disarm(item);
        else wheel.arm(item);
        pass(wait);
      }
      pass(4_000);
      assert.deepEqual(
        items.map((item) => item.fired.length),
        expected,
      );
      wheel.stop();
    }),
    { numRuns: 200 },
  );
});

test('an item that fires may disarm others that are due with it', () => {
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  wheel.start();
  const items = Array.from({ length: 5 }, () => new Item());
  for (const item of items) {
    item.deadlineMs = clock.nowMs() + 100;
    item.onDeadline = (nowMs) => {
      item.fired.push(nowMs);
      for (const other of items) wheel.disarm(other);
    };
    wheel.arm(item);
  }
  clock.advance(1_000);
  assert.equal(
    items.reduce((sum, item) => sum + item.fired.length, 0),
    1,
  );
  wheel.stop();
});

test('disarm() leaves nothing behind that keeps an item alive', () => {
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  const items = Array.from({ length: 1_000 }, (_, i) => {
    const item = new Item();
    item.deadlineMs = clock.nowMs() + 10 + (i % 7) * 1_000;
    wheel.arm(item);
    return item;
  });
  assert.equal(wheel.size, 1_000);
  for (const item of items) wheel.disarm(item);
  assert.equal(wheel.size, 0);
});

test('an item that throws hears of it, and the others fire', () => {
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  wheel.start();
  const failing = new Item();
  const heard: unknown[] = [];
  failing.onDeadline = () => {
    throw new Error('broken');
  };
  failing.onDefect = (error) => heard.push(error);
  const items = [new Item(), failing, new Item()];
  for (const item of items) {
    item.deadlineMs = clock.nowMs() + 100;
    wheel.arm(item);
  }
  clock.advance(200);
  assert.match(String(heard), /^Error: broken$/);
  assert.deepEqual(
    items.map((item) => item.fired.length),
    [1, 0, 1],
  );
  wheel.stop();
});
