import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FailoverPolicy } from '../../model/policy.ts';
import { type Cells, looseCells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import { CHECK_FAILING } from './check-standing.ts';
import { EJECTED, IN_ROTATION, PROBING } from './ejection.ts';
import { isShort, isUsable, noteShort, ownShare } from './failover.ts';

const POLICY: FailoverPolicy = { service: 'shop/dr', below: 0, returnMs: 1_000 };

const cells = (): Cells => looseCells('endpoint', 0);

const set = (each: Cells, health: number): void => void (each.words[ENDPOINT_WORD.health] = health);

test('usable is what is in rotation and does not fail its checks', () => {
  const it = cells();
  assert.ok(isUsable(it));
  for (const health of [EJECTED, PROBING]) {
    set(it, health);
    assert.ok(!isUsable(it));
  }
  set(it, IN_ROTATION);
  it.words[ENDPOINT_WORD.checkState] = CHECK_FAILING;
  assert.ok(!isUsable(it));
});

test('they are short when none is usable, or fewer than are asked for', () => {
  const all = [cells(), cells(), cells(), cells()];
  assert.ok(isShort([], POLICY));
  const out = (count: number): void => all.forEach((each, i) => set(each, i < count ? EJECTED : 0));
  for (const [count, below, wanted] of [
    [3, 0, false],
    [4, 0, true],
    [2, 0.5, false],
    [3, 0.5, true],
    [0, 1, false],
    [1, 1, true],
  ] as const) {
    out(count);
    assert.equal(isShort(all, { ...POLICY, below }), wanted, `${count} out, below ${below}`);
  }
});

test('requests come back over a time, from when they were last short', () => {
  const all = [cells(), cells()];
  assert.equal(ownShare(all, POLICY, 5_000), 1, 'they never were');
  all.forEach((each) => set(each, EJECTED));
  noteShort(all, 5_000);
  assert.equal(ownShare(all, POLICY, 5_000), 0);
  set(all[0]!, IN_ROTATION);
  const shares = [5_000, 5_050, 5_250, 5_900, 6_000, 9_000].map((at) => ownShare(all, POLICY, at));
  assert.deepEqual(shares, [0.1, 0.1, 0.25, 0.9, 1, 1]);
  assert.equal(ownShare(all, { ...POLICY, returnMs: 0 }, 5_001), 1);
});

test('one that joined says nothing of the rest: what counts is when they were short', () => {
  const [first, second] = [cells(), cells()];
  first.floats[ENDPOINT_FLOAT.addedAtMs] = second.floats[ENDPOINT_FLOAT.addedAtMs] = 5_000;
  assert.equal(ownShare([first, second], POLICY, 5_100), 1);
  second.floats[ENDPOINT_FLOAT.shortAtMs] = 4_600;
  assert.equal(ownShare([first, second], POLICY, 5_100), 0.5);
});
