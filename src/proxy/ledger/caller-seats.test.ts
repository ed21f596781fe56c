import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallerSeats, callerSeatsBytes, NO_SEAT } from './caller-seats.ts';

const memory = (threads: number) => new SharedArrayBuffer(callerSeatsBytes(threads));

test('a source has as many connections as it may, over all threads, to each Service', () => {
  const shared = memory(2);
  const [one, other] = [new CallerSeats(shared, 0, 2), new CallerSeats(shared, 1, 2)];
  const first = one.take(7, 3, 2);
  const second = other.take(7, 3, 2);
  assert.ok(first > 0 && second === first);
  assert.equal(one.take(7, 3, 2), NO_SEAT);
  assert.equal(other.take(7, 3, 2), NO_SEAT);
  assert.ok(one.take(7, 4, 2) > 0, 'another Service');
  assert.ok(one.take(8, 3, 2) > 0, 'another source');
  assert.ok(one.take(7, 3, 3) > 0, 'a higher limit');
  other.leave(second);
  assert.equal(other.take(7, 3, 2), NO_SEAT);
  one.leave(first);
  assert.equal(one.take(7, 3, 2), first);
});

test('a source that has none has no seat, and takes none from others', () => {
  const seats = new CallerSeats(memory(1), 0, 1);
  const taken: number[] = [];
  for (let source = 0; source < 30_000; source++) taken.push(seats.take(source, 0, 1));
  const isFull = taken.filter((seat) => seat === 0).length;
  assert.ok(isFull < 300, `${isFull} were not counted`);
  assert.ok(!taken.includes(NO_SEAT));
  for (const seat of taken) seats.leave(seat);
  for (let source = 100_000; source < 130_000; source++)
    assert.notEqual(seats.take(source, 0, 1), NO_SEAT);
});

test('who finds no room is let in, and leaves without a trace', () => {
  const seats = new CallerSeats(memory(1), 0, 1);
  const taken = Array.from({ length: 300_000 }, (_, source) => seats.take(source, 0, 1));
  assert.ok(taken.includes(0));
  for (const seat of taken) seats.leave(seat);
  assert.ok(seats.take(1, 0, 1) > 0);
  assert.equal(seats.take(1, 0, 1), NO_SEAT);
});

test('what a thread had that has died is over', () => {
  const shared = memory(2);
  const [one, other] = [new CallerSeats(shared, 0, 2), new CallerSeats(shared, 1, 2)];
  one.take(7, 3, 2);
  const seat = other.take(7, 3, 2);
  one.forget(0);
  assert.ok(other.take(7, 3, 2) > 0);
  assert.equal(other.take(7, 3, 2), NO_SEAT);
  other.leave(seat);
});
