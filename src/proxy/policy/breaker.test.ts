import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { type Cells, LedgerView } from '../ledger/cells.ts';
import { SERVICE_FLOAT, SERVICE_WORD } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_RECOVERING, breakerAdmits } from './breaker.ts';

function cellsIn(state: number, sinceMs: number, untilMs: number): Cells {
  const ledger = new Ledger(1);
  const slot = ledger.allocate('service', 'shop/web');
  ledger.setWord('service', slot, SERVICE_WORD.breakerState, state);
  ledger.setFloat('service', slot, SERVICE_FLOAT.breakerSinceMs, sinceMs);
  ledger.setFloat('service', slot, SERVICE_FLOAT.breakerUntilMs, untilMs);
  const view = new LedgerView();
  view.add(ledger.chunk('service', 0, 0));
  return view.cells('service', slot);
}

const random = seededRandom(1);

test('breakerAdmits() lets everything pass while closed', () => {
  assert.equal(breakerAdmits(cellsIn(BREAKER_CLOSED, 0, 0), 5, random), 0);
});

test('breakerAdmits() refuses everything while open and says how long', () => {
  const cells = cellsIn(BREAKER_OPEN, 1_000, 11_000);
  assert.equal(breakerAdmits(cells, 1_000, random), 10_000);
  assert.equal(breakerAdmits(cells, 10_900, random), 100);
  assert.equal(breakerAdmits(cells, 11_050, random), 1, 'the governor is late: still open');
});

test('breakerAdmits() lets a share pass that grows in a straight line while recovering', () => {
  const cells = cellsIn(BREAKER_RECOVERING, 1_000, 11_000);
  for (const [nowMs, share] of [
    [1_000, 0],
    [3_500, 0.25],
    [6_000, 0.5],
    [10_000, 0.9],
    [11_000, 1],
    [12_000, 1],
  ] as const) {
    let passed = 0;
    for (let i = 0; i < 5_000; i++) {
      const waitMs = breakerAdmits(cells, nowMs, random);
      if (waitMs === 0) passed++;
      else assert.ok(waitMs > 0 && waitMs <= 1_000);
    }
    assert.ok(Math.abs(passed / 5_000 - share) < 0.03, `${passed} of 5000 at ${nowMs}`);
  }
  assert.equal(breakerAdmits(cellsIn(BREAKER_RECOVERING, 1_000, 1_000), 1_000, random), 0);
});
