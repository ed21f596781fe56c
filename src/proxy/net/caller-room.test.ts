import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '../../base/clock.ts';
import { Guard } from '../../base/guard.ts';
import { silentLog } from '../../base/log.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import {
  BUSY,
  CallerRoom,
  CONNECTION_BYTES,
  DESCRIPTORS_KEPT,
  type Guest,
  IDLE,
  PARTIAL_HEAD,
  type RoomLimits,
  pinnedBytes,
} from './caller-room.ts';

class TestGuest implements Guest {
  readonly address: string;
  readonly service: string;
  standing: Guest['standing'] = IDLE;
  gone = false;
  asleep = false;
  place: Guest['place'] = null;
  /** How often the room asked. */
  asked = 0;
  #waiting = 0;

  get heldBytes(): number {
    this.asked++;
    return this.#waiting;
  }

  /** As a connection does that gets bytes. */
  set heldBytes(bytes: number) {
    this.#waiting = bytes;
    if (this.asleep) this.room?.wake(this);
  }

  room: CallerRoom | null = null;

  constructor(address: string, service = 's/a') {
    this.address = address;
    this.service = service;
  }

  shed(): void {
    this.gone = true;
  }
}

function roomWith(limits: Partial<RoomLimits>): { room: CallerRoom; clock: ManualClock } {
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  wheel.start();
  const all = {
    connections: 1_000,
    bytes: 1e9,
    descriptors: Infinity,
    threads: 1,
    ports: Infinity,
    ...limits,
  };
  return { room: new CallerRoom(all, wheel, new Guard(clock, silentLog)), clock };
}

/** A connection that was let in; null when it was refused. */
function come(
  room: CallerRoom,
  address: string,
  service = 's/a',
  descriptor = 0,
): TestGuest | null {
  if (!room.admits(address, service, descriptor)) return null;
  const guest = new TestGuest(address, service);
  guest.room = room;
  room.enter(guest);
  return guest;
}

function fill(room: CallerRoom, address: string, count: number, service = 's/a'): TestGuest[] {
  return Array.from({ length: count }, () => {
    const guest = come(room, address, service);
    assert(guest !== null);
    return guest;
  });
}

test('one source may have everything, and makes room for the next one', () => {
  const { room } = roomWith({ connections: 100 });
  const first = fill(room, 'a', 100);
  assert.equal(come(room, 'a'), null, 'it gets no more than there is');
  const others = fill(room, 'b', 50);
  assert.equal(come(room, 'b'), null, 'half of it is the share of each');
  assert.equal(first.filter(({ gone }) => gone).length, 50);
  assert.equal(others.filter(({ gone }) => gone).length, 0);
  assert.equal(room.count('connections', 'refused'), 2);
  assert.equal(room.count('connections', 'idle'), 50);
});

test('heads that are not whole go first, then what is idle, and what works only when there is nothing else', () => {
  const { room } = roomWith({ connections: 4 });
  const [busy, idle, partial, another] = fill(room, 'a', 4);
  assert(
    busy !== undefined && idle !== undefined && partial !== undefined && another !== undefined,
  );
  busy.standing = BUSY;
  another.standing = BUSY;
  partial.standing = PARTIAL_HEAD;
  fill(room, 'b', 1);
  assert.deepEqual([busy.gone, idle.gone, partial.gone, another.gone], [false, false, true, false]);
  fill(room, 'b', 1);
  assert.deepEqual([busy.gone, idle.gone, another.gone], [false, true, false]);
  fill(room, 'c', 1);
  assert.equal(room.count('connections', 'partial_head'), 1);
});

test('a source that holds less than its share is let in though all others are busy', () => {
  const { room } = roomWith({ connections: 10 });
  const held = fill(room, 'a', 10);
  for (const guest of held) guest.standing = BUSY;
  assert.notEqual(come(room, 'b'), null);
  assert.equal(held.filter(({ gone }) => gone).length, 1);
});

test('a Service below its share gets a connection of a source that has its share, at the cost of that source', () => {
  const { room } = roomWith({ connections: 10 });
  const held = fill(room, 'gateway', 10, 's/a');
  assert.equal(come(room, 'gateway', 's/a'), null);
  assert.notEqual(come(room, 'gateway', 's/b'), null);
  assert.equal(held.filter(({ gone }) => gone).length, 1);
});

test('memory that waits is added up, and who has more than its share gives up what is over', () => {
  const bytes = 100 * CONNECTION_BYTES;
  const { room, clock } = roomWith({ bytes });
  const greedy = fill(room, 'a', 20);
  const fair = fill(room, 'b', 20);
  for (const guest of [...greedy, ...fair]) guest.standing = BUSY;
  for (const guest of greedy) guest.heldBytes = 10 * CONNECTION_BYTES;
  clock.advance(200);
  assert(room.bytes <= bytes, `${room.bytes} of ${bytes}`);
  assert.equal(fair.filter(({ gone }) => gone).length, 0);
  assert(greedy.some(({ gone }) => gone));
  const left = greedy.filter(({ gone }) => !gone).length * 11 * CONNECTION_BYTES;
  assert(left >= bytes / 2 - 11 * CONNECTION_BYTES, 'no more than is needed');
});

test('a full memory refuses new connections of those that have their share', () => {
  const { room } = roomWith({ bytes: 10 * CONNECTION_BYTES });
  fill(room, 'a', 10);
  assert.equal(come(room, 'a'), null);
  assert.equal(room.count('memory', 'refused'), 1);
  assert.notEqual(come(room, 'b'), null);
});

test('callers are refused while there are descriptors for their dials', () => {
  const { room } = roomWith({ descriptors: DESCRIPTORS_KEPT + 30 });
  assert.notEqual(come(room, 'a', 's/a', 10), null);
  // One is taken, it may dial, so may the new one: 28 and these two reach the limit.
  assert.equal(come(room, 'a', 's/a', 28), null);
  assert.equal(room.count('descriptors', 'refused'), 1);
  room.endpointConnections = 1;
  assert.notEqual(come(room, 'a', 's/a', 28), null, 'the first one has dialled');
});

test('whatever comes and goes, no limit is passed and nobody below its share is refused', () => {
  const act = fc.record({
    source: fc.constantFrom('a', 'b', 'c', 'd'),
    service: fc.constantFrom('s/a', 's/b'),
    standing: fc.constantFrom<Guest['standing']>(PARTIAL_HEAD, IDLE, BUSY),
    waiting: fc.integer({ min: 0, max: 4 * CONNECTION_BYTES }),
    kind: fc.constantFrom('come', 'come', 'come', 'leave', 'sweep'),
    which: fc.nat(),
  });
  const property = fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
    const limits = { connections: 12, bytes: 40 * CONNECTION_BYTES };
    const { room } = roomWith(limits);
    let guests: TestGuest[] = [];
    for (const { source, service, standing, waiting, kind, which } of acts) {
      if (kind === 'leave' && guests.length > 0)
        room.leave(guests[which % guests.length] as TestGuest);
      if (kind === 'leave') guests.splice(which % Math.max(guests.length, 1), 1);
      if (kind === 'sweep') {
        room.sweep();
        assert(room.bytes <= limits.bytes);
      }
      if (kind === 'come') {
        const before = guests.filter(({ address }) => address === source).length;
        const sources = new Set([...guests.map(({ address }) => address), source]).size;
        const isFull = guests.length >= limits.connections;
        const guest = come(room, source, service);
        if (isFull && before + 1 <= limits.connections / sources) assert.notEqual(guest, null);
        if (guest !== null) guests.push(Object.assign(guest, { standing, heldBytes: waiting }));
      }
      guests = guests.filter(({ gone }) => !gone);
      assert.equal(room.size, guests.length);
      assert(room.size <= limits.connections);
    }
  });
  fc.assert(property);
});

test('what waits is asked of those alone that may have something, each time anew', () => {
  const { room, clock } = roomWith({});
  const idle = fill(room, '10.0.0.1', 100);
  const [busy, woken] = fill(room, '10.0.0.2', 2);
  assert(busy !== undefined && woken !== undefined);
  busy.standing = BUSY;
  clock.advance(1_000);
  assert.deepEqual(new Set(idle.map(({ asked }) => asked)), new Set([1]));
  assert(busy.asked >= 5, 'what a busy connection holds may grow by itself');
  woken.heldBytes = 5_000;
  busy.heldBytes = 300;
  clock.advance(1_000);
  assert.equal(room.bytes, 102 * CONNECTION_BYTES + 5_300);
  woken.heldBytes = 0;
  busy.heldBytes = 0;
  clock.advance(1_000);
  assert.equal(room.bytes, 102 * CONNECTION_BYTES);
  assert(woken.asleep && !busy.asleep);
});

test('what callers leave behind counts until it was taken, and makes room before callers do', () => {
  const { room, clock } = roomWith({ bytes: 4 * CONNECTION_BYTES });
  const left = [1, 2, 3].map(() => ({
    waitingBytes: CONNECTION_BYTES,
    dropped: false,
    dropRest(): void {
      this.dropped = true;
    },
  }));
  for (const remainder of left) room.keep(remainder);
  clock.advance(200);
  assert.equal(room.bytes, 3 * CONNECTION_BYTES, 'without any caller');
  const [first, second] = left;
  assert(first !== undefined && second !== undefined);
  first.waitingBytes = 0;
  clock.advance(200);
  assert.equal(room.bytes, 2 * CONNECTION_BYTES);
  const guests = fill(room, '10.0.0.1', 2);
  clock.advance(200);
  assert.deepEqual(
    left.map(({ dropped }) => dropped),
    [false, false, false],
  );
  const [guest] = guests;
  assert(guest !== undefined);
  guest.standing = BUSY;
  guest.heldBytes = 100;
  clock.advance(200);
  assert.deepEqual(
    left.map(({ dropped }) => dropped),
    [false, true, false],
    'the first one was taken before',
  );
  assert.equal(room.count('memory', 'leaving'), 1);
  assert(guests.every(({ gone }) => !gone));
});

test('copies leave the last quarter of the descriptors to callers, and stand for no caller', () => {
  const { room } = roomWith({ descriptors: 1_000 });
  assert.ok(room.admitsCopy());
  const callers = fill(room, 'a', 100);
  // Their connections stand: nothing is owed to them.
  room.endpointConnections = 100;
  assert.ok(come(room, 'a', 's/a', 600));
  assert.ok(room.admitsCopy());
  // 100 connections to endpoints are enough for 101 callers, and 50 are not; the others carry copies.
  room.endpointConnections = 200;
  room.copies = 100;
  assert.ok(room.admits('a', 's/a', 1_000 - DESCRIPTORS_KEPT - 3));
  room.copies = 150;
  assert.ok(!room.admits('a', 's/a', 1_000 - DESCRIPTORS_KEPT - 3));
  assert.ok(!room.admitsCopy());
  room.copies = 0;
  assert.ok(come(room, 'a', 's/a', 760));
  assert.ok(!room.admitsCopy(), 'too many are in use');
  assert.ok(come(room, 'a', 's/a', 100));
  assert.ok(room.admitsCopy());
  assert.ok(callers.every(({ gone }) => !gone));
});

test('a buffer keeps all that it is a part of, but for a pool that many share', () => {
  assert.equal(pinnedBytes(null), 0);
  assert.equal(pinnedBytes(Buffer.from('abc')), 3);
  assert.equal(pinnedBytes(Buffer.from(Buffer.alloc(70))), 70);
  for (const whole of [100, 16_384, 40_000, Buffer.poolSize, 100_000]) {
    const part = Buffer.allocUnsafeSlow(whole).subarray(0, 10);
    assert.equal(pinnedBytes(part), whole);
  }
});
