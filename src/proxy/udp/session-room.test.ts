import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { BUSY } from '../net/caller-room.ts';
import { Seat, SessionRoom, type Sitter } from './session-room.ts';

const WAIT_MS = 1_000;

class Guest implements Sitter {
  readonly address: string;
  readonly service = 'test/udp';
  readonly standing = BUSY;
  readonly heldBytes = 0;
  asleep = false;
  readonly place = null;
  readonly seat = new Seat(this);
  isAnswered = false;
  readonly sinceMs: number;

  constructor(address: string, nowMs = 0) {
    this.address = address;
    this.sinceMs = nowMs;
  }

  isQuiet(nowMs: number): boolean {
    return this.isAnswered || nowMs - this.sinceMs >= WAIT_MS;
  }

  shed(): void {
    assert.fail();
  }

  giveWay(): void {
    assert.fail();
  }
}

/** A room with so many places. */
class Trial {
  readonly room = new SessionRoom();
  readonly inside = new Set<Guest>();
  readonly places: number;
  nowMs = 0;
  refused = 0;

  constructor(places: number) {
    this.places = places;
  }

  /** The new one; null when it is refused. */
  come(address: string): Guest | null {
    if (this.inside.size >= this.places) {
      const giver = this.room.giver(address, this.nowMs);
      if (giver === null) {
        this.refused++;
        return null;
      }
      assert(giver instanceof Guest && this.inside.has(giver), 'whoever is there');
      this.go(giver);
    }
    const guest = new Guest(address, this.nowMs);
    this.inside.add(guest);
    this.room.enter(guest.seat);
    return guest;
  }

  answer(guest: Guest | null): void {
    assert(guest !== null && this.inside.has(guest), 'it waits for an answer yet');
    guest.isAnswered = true;
    this.room.answered(guest.seat);
    this.room.touch(guest.seat);
  }

  go(guest: Guest): void {
    this.inside.delete(guest);
    this.room.leave(guest.seat);
  }
}

test('a flood that nobody answers has half of the room, from however many sources, and refuses nobody else', () => {
  for (const sources of [1, 3, 16, 100_000]) {
    const trial = new Trial(100);
    const talking = Array.from({ length: 100 }, (_, i) => trial.come(`10.0.0.${i}`));
    for (const guest of talking) trial.answer(guest);
    for (let i = 0; i < 5_000; i++) trial.come(`10.1.0.${i % sources}`);
    const left = talking.filter((guest) => guest !== null && trial.inside.has(guest)).length;
    // The first one beyond a half finds that it is one.
    assert.ok(left >= 49, `${sources} sources leave ${left}`);
    // One that was never there, and has three questions at a time.
    const asked = Array.from({ length: 3 }, () => trial.come('10.2.0.1'));
    for (let i = 0; i < 10; i++) trial.come(`10.1.0.${i % sources}`);
    for (const guest of asked) trial.answer(guest);
    // One source alone has an eighth, which is less than what is kept: it is refused itself.
    if (sources > 1) assert.equal(trial.refused, 0, `${sources} sources`);
  }
});

test('a flood that nobody answers takes half of the room from few sources that talk much, too, and not more', () => {
  const trial = new Trial(100);
  const gateways = ['10.0.0.1', '10.0.0.2'];
  const all = gateways.flatMap((from) => Array.from({ length: 50 }, () => trial.come(from)));
  for (const guest of all) trial.answer(guest);
  for (let i = 0; i < 3_000; i++) {
    trial.come(`10.1.${i >> 8}.${i & 255}`);
    if (i % 10 > 0) continue;
    // They go on to ask, at the cost of what they have.
    for (const from of gateways) trial.answer(trial.come(from));
  }
  const left = [...trial.inside].filter(({ address }) => gateways.includes(address)).length;
  assert.ok(left >= 45, `${left} are left`);
  assert.equal(trial.refused, 0);
});

test('a source with less than an eighth keeps what is not silent, from however many sources others are answered', () => {
  const trial = new Trial(100);
  const talking = Array.from({ length: 10 }, () => trial.come('10.0.0.1'));
  for (const guest of talking) trial.answer(guest);
  for (let i = 0; i < 3_000; i++) {
    trial.answer(trial.come(`10.1.${i >> 8}.${i & 255}`));
    if (i % 20 > 0) continue;
    for (const guest of talking) {
      assert(guest !== null && trial.inside.has(guest), `one goes after ${i} others`);
      trial.room.touch(guest.seat);
    }
  }
  assert.equal(trial.refused, 0);
});

test('where answers only take long some are waited for, whoever comes meanwhile', () => {
  for (const sources of [1, 7, 5_000]) {
    const trial = new Trial(100);
    const all = Array.from({ length: 5_000 }, (_, i) => trial.come(`10.0.0.${i % sources}`));
    const first = all.slice(0, 100).filter((guest) => guest !== null && trial.inside.has(guest));
    assert.equal(first.length, 25, `${sources} sources`);
    for (const guest of first) trial.answer(guest ?? null);
    // Others take over the places that are kept.
    const before = [...trial.inside].filter(({ isAnswered }) => !isAnswered);
    for (let i = 0; i < 1_000; i++) trial.come(`10.0.0.${i % sources}`);
    const kept = before.filter((guest) => trial.inside.has(guest));
    assert.ok(kept.length >= 15, `${kept.length} of ${sources} sources`);
    trial.nowMs += WAIT_MS;
    for (let i = 0; i < 1_000; i++) trial.come(`10.5.0.${i}`);
    const late = kept.filter((guest) => trial.inside.has(guest));
    assert.ok(late.length < kept.length, 'for a second');
  }
});

test('a source with more than its share gives of its own, and who is last in line is never forgotten', () => {
  const random = seededRandom(7);
  const trial = new Trial(24);
  const shy = [1, 2, 3].map((i) => trial.come(`10.0.0.${i}`));
  for (let i = 0; i < 10_000; i++) {
    const guest = trial.come('10.9.9.9');
    if (guest !== null && random.next() < 0.5) trial.answer(guest);
    trial.nowMs += random.next() * 20;
    if (i % 1_000 === 0)
      for (const each of shy) {
        assert(each !== null && trial.inside.has(each), `${i}`);
        trial.room.touch(each.seat);
      }
  }
  assert.equal(trial.inside.size, 24);
  for (const guest of trial.inside) trial.go(guest);
  assert.equal(trial.room.size, 0);
  assert.equal(trial.room.giver('10.9.9.9', trial.nowMs), null);
});
