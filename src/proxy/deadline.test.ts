import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../base/clock.ts';
import { DEADLINE_TICK_MS, DeadlineWheel, type Expiring } from './deadline.ts';

class Item implements Expiring {
  deadlineMs = Infinity;
  wheelTick = 0;
  fired: number[] = [];
  onDeadline(nowMs: number): void {
    this.fired.push(nowMs);
    this.deadlineMs = Infinity;
  }
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
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  const [early, late] = [new Item(), new Item()];
  early.deadlineMs = clock.nowMs() + 50;
  late.deadlineMs = clock.nowMs() + 600_000;
  wheel.arm(early);
  wheel.arm(late);
  clock.advance(300_000);
  wheel.advance();
  assert.equal(early.fired.length, 1);
  assert.equal(late.fired.length, 0);
  clock.advance(300_100);
  wheel.advance();
  assert.equal(late.fired.length, 1);
});
