import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StrictGuard } from '../../../../test/support/strict-guard.ts';
import { systemClock } from '../../../base/clock.ts';
import type { Turn } from '../socket.ts';
import { HandshakeGate, type Shaker, UNDER_WAY_MAX } from './handshake-gate.ts';

interface Setting {
  readonly gate: HandshakeGate;
  /** In the order in which they began or gave way. */
  readonly told: string[];
  /** Runs so many turns; how many were asked for. */
  readonly turns: (count: number) => number;
  readonly shaker: (address: string, name?: string) => Shaker;
}

function gated(): Setting {
  let due: Turn[] = [];
  const gate = new HandshakeGate((task) => due.push(task), new StrictGuard(systemClock));
  const told: string[] = [];
  return {
    gate,
    told,
    turns(count) {
      let ran = 0;
      for (let i = 0; i < count && due.length > 0; i++) {
        const now = due;
        due = [];
        for (const task of now) task.onTurn();
        ran += now.length;
      }
      return ran;
    },
    shaker(address, name = address) {
      const shaker: Shaker = {
        address,
        shake: () => void told.push(name),
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
  assert.equal(turns(1), 0);
  gate.leave(all[0]!);
  turns(1_000);
  assert.deepEqual([gate.underWay, gate.waiting], [UNDER_WAY_MAX, 2]);
  assert.equal(told.at(-1), `a${UNDER_WAY_MAX}`);
});

test('a source that keeps them all gives way to others, its oldest first, until they have as many', () => {
  const { gate, told, turns, shaker } = gated();
  for (let i = 0; i < UNDER_WAY_MAX + 10; i++) gate.enter(shaker('slow', `s${i}`));
  turns(1_000);
  told.length = 0;
  for (let i = 0; i < UNDER_WAY_MAX; i++) {
    gate.enter(shaker('b', `b${i}`));
    turns(1_000);
  }
  assert.deepEqual(told.slice(0, 1), ['-s0']);
  assert.ok(told.includes('b0') && told.includes('b10'));
  const gone = told.filter((each) => each.startsWith('-')).length;
  assert.ok(gone <= UNDER_WAY_MAX, `${gone} gave way`);
  assert.equal(gate.underWay, UNDER_WAY_MAX);
});
