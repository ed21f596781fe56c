import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../base/clock.ts';
import { type Random, seededRandom } from '../../../base/random.ts';
import { DeadlineWheel } from '../deadline-wheel.ts';
import type { Turn } from '../socket.ts';
import {
  HandshakeGate,
  PATIENCE_MS,
  type Shaker,
  SHORT_PATIENCE_MS,
  UNDER_WAY_MAX,
} from './handshake-gate.ts';

interface Setting {
  readonly gate: HandshakeGate;
  readonly wheel: DeadlineWheel;
  /** In the order in which they began or gave way. */
  readonly told: string[];
  /** Runs so many turns; how many were asked for. */
  readonly turns: (count: number) => number;
  /** Time goes by, with all turns that are asked for. */
  readonly pass: (ms: number) => void;
  readonly shaker: (source: string, name?: string, shake?: () => void) => Shaker;
  readonly clock: ManualClock;
  readonly caught: readonly unknown[];
}

function gated(): Setting {
  let due: Turn[] = [];
  const clock = new ManualClock();
  const wheel = new DeadlineWheel(clock);
  wheel.start();
  const caught: unknown[] = [];
  const guard = { caught: (_from: string, error: unknown) => void caught.push(error) };
  const gate = new HandshakeGate({ later: (task) => due.push(task), clock, wheel, guard });
  const told: string[] = [];
  const turns = (count: number): number => {
    let ran = 0;
    for (let i = 0; i < count && due.length > 0; i++) {
      const now = due;
      due = [];
      for (const task of now) task.onTurn();
      ran += now.length;
    }
    return ran;
  };
  return {
    gate,
    wheel,
    told,
    turns,
    clock,
    caught,
    pass(ms) {
      for (let i = 0; i < ms; i++) {
        clock.advance(1);
        // Half a millisecond each.
        turns(2);
      }
    },
    shaker(source, name = source, shake = () => undefined) {
      const shaker: Shaker = {
        source,
        shake() {
          told.push(name);
          shake();
        },
        giveWay() {
          told.push(`-${name}`);
          gate.leave(shaker);
        },
      };
      return shaker;
    },
  };
}

test('one begins per turn', () => {
  const { gate, told, turns, shaker } = gated();
  for (let i = 0; i < 5; i++) gate.enter(shaker('a', `a${i}`));
  assert.deepEqual(told, [], 'none within the call');
  for (let i = 1; i <= 5; i++) {
    assert.equal(turns(1), 1);
    assert.equal(told.length, i);
  }
  turns(1);
  assert.equal(turns(1), 0, 'no turn without anybody');
  assert.deepEqual([gate.waiting, gate.underWay], [0, 5]);
});

test('sources take turns, whatever one of them asks for', () => {
  const { gate, told, turns, shaker } = gated();
  for (let i = 0; i < 50; i++) gate.enter(shaker('storm', `s${i}`));
  turns(3);
  gate.enter(shaker('b'));
  gate.enter(shaker('c'));
  turns(5);
  assert.deepEqual(told, ['s0', 's1', 's2', 's3', 'b', 'c', 's4', 's5']);
});

test('who leaves while it waits never begins', () => {
  const { gate, told, turns, shaker } = gated();
  const gone = shaker('a', 'gone');
  gate.enter(gone);
  gate.enter(shaker('a', 'there'));
  gate.leave(gone);
  gate.leave(gone);
  turns(5);
  assert.deepEqual(told, ['there']);
});

test('no more than UNDER_WAY_MAX are under way; when one is over, the next begins', () => {
  const { gate, told, turns, shaker } = gated();
  const all = Array.from({ length: UNDER_WAY_MAX + 3 }, (_, i) => shaker('a', `a${i}`));
  for (const each of all) gate.enter(each);
  turns(1_000);
  assert.deepEqual([gate.underWay, gate.waiting], [UNDER_WAY_MAX, 3]);
  assert.equal(turns(1), 0, 'it does not look again and again');
  gate.leave(all[0]!);
  turns(1_000);
  assert.deepEqual([gate.underWay, gate.waiting], [UNDER_WAY_MAX, 2]);
  assert.equal(told.at(-1), `a${UNDER_WAY_MAX}`);
});

test('a source that keeps them all gives way to others soon, its oldest first, until they have as many', () => {
  const { gate, told, pass, shaker } = gated();
  for (let i = 0; i < UNDER_WAY_MAX + 6; i++) gate.enter(shaker('slow', `s${i}`));
  pass(UNDER_WAY_MAX);
  told.length = 0;
  for (let i = 0; i < 10; i++) gate.enter(shaker('b', `b${i}`));
  pass(SHORT_PATIENCE_MS - UNDER_WAY_MAX + 50);
  assert.deepEqual(
    told.slice(0, 4),
    ['-s0', 'b0', '-s1', 'b1'],
    'the place is for whom it was made',
  );
  pass(400);
  const gone = told.filter((each) => each.startsWith('-')).length;
  assert.equal(gone, 10);
  assert.equal(gate.underWay, UNDER_WAY_MAX);
});

for (const [what, sourceOf] of [
  ['one source', () => 'all'],
  ['a source each', (i: number) => `s${i}`],
] as const)
  test(`who stalls gives way to newcomers, with ${what}`, () => {
    const { gate, told, pass, turns, shaker } = gated();
    for (let i = 0; i < UNDER_WAY_MAX; i++) gate.enter(shaker(sourceOf(i), `s${i}`));
    turns(1_000);
    told.length = 0;
    for (let i = 0; i < 16; i++) gate.enter(shaker(sourceOf(1_000 + i), `v${i}`));
    pass(PATIENCE_MS - 20);
    assert.deepEqual(told, [], 'slow, and not stalled as yet');
    pass(60);
    assert.deepEqual(told.slice(0, 4), ['-s0', 'v0', '-s1', 'v1']);
    assert.equal(told.length, 32);
  });

test('a source alone among many of one that has most is not driven out', () => {
  const { gate, told, pass, shaker } = gated();
  gate.enter(shaker('alone'));
  for (let i = 0; i < 3 * UNDER_WAY_MAX; i++) gate.enter(shaker('storm', `s${i}`));
  pass(PATIENCE_MS - 100);
  assert.ok(told.length > 2 * UNDER_WAY_MAX, 'the storm gives way to itself');
  assert.ok(!told.includes('-alone'));
});

test('one that throws takes nothing from those behind it', () => {
  const { gate, told, turns, shaker, caught } = gated();
  const broken = shaker('a', 'broken', () => {
    throw new Error('broken');
  });
  gate.enter(broken);
  gate.enter(shaker('b'));
  turns(5);
  assert.deepEqual(told, ['broken', 'b']);
  assert.equal(caught.length, 1);
});

interface Honest {
  readonly cameMs: number;
  beganMs: number;
  gaveWay: boolean;
}

/** Stalling peers in any mix, and honest ones that need `rttMs` after they began. */
function storm(random: Random): readonly Honest[] {
  const { gate, clock, wheel, pass, shaker, caught } = gated();
  const below = (max: number): number => Math.floor(random.next() * max);
  const sources = 1 + below(200);
  const at = (): string => `source ${below(sources)}`;
  const stallsPerMs = random.next() * 0.25;
  const all: Honest[] = [];
  const stall = (): void => gate.enter(shaker(at()));
  for (let i = below(300); i > 0; i--) stall();
  for (let ms = 0; ms < 4_000; ms++) {
    if (random.next() < stallsPerMs) stall();
    if (ms < 1_500 && random.next() < 0.05) {
      const honest: Honest = { cameMs: clock.nowMs(), beganMs: Infinity, gaveWay: false };
      all.push(honest);
      const source = random.next() < 0.5 ? at() : `honest ${below(20)}`;
      const rttMs = 1 + below(150);
      const inner = shaker(source, '', () => {
        honest.beganMs = clock.nowMs();
        clock.after(rttMs, () => gate.leave(each));
      });
      const each: Shaker = {
        source,
        shake: () => inner.shake(),
        giveWay() {
          honest.gaveWay = true;
          gate.leave(each);
        },
      };
      gate.enter(each);
    }
    pass(1);
    assert.ok(gate.underWay <= UNDER_WAY_MAX);
    assert.ok(wheel.size <= 1);
    assert.deepEqual(caught, []);
  }
  return all;
}

test('whoever stalls beside them, honest callers begin soon and end in peace', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const all = storm(seededRandom(seed));
    for (const { cameMs, beganMs, gaveWay } of all) {
      assert.ok(
        beganMs - cameMs <= 2 * PATIENCE_MS,
        `seed ${seed}: began after ${beganMs - cameMs} ms`,
      );
      assert.equal(gaveWay, false, `seed ${seed}`);
    }
  }
});
