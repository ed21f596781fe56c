import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_RETRY } from '../../model/defaults.ts';
import type { RetryPolicy } from '../../model/policy.ts';
import { type Cells, LedgerView } from '../ledger/cells.ts';
import { SERVICE_OWN } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { RetryBudget, takeRetry } from './retry-budget.ts';
import { WINDOW_SECONDS } from './rolling-window.ts';

const ledger = new Ledger(2);
const view = new LedgerView();
let services = 0;

function service(): { slot: number; cells: Cells } {
  const slot = ledger.allocate('service', `shop/${services++}`);
  if (slot === 0) view.add(ledger.chunk('service', 0, 0));
  return { slot, cells: view.cells('service', slot) };
}

function policy(budgetRatio: number, budgetMinPerSecond: number): RetryPolicy {
  return { ...DEFAULT_RETRY, budgetRatio, budgetMinPerSecond };
}

function finish(slot: number, requests: number): void {
  const cell = SERVICE_OWN.requests + 2;
  const before = ledger.ownCell('service', slot, cell, 1);
  ledger.setOwnCell('service', slot, cell, 1, before + requests);
}

function takeAll(cells: Cells, wanted: number): number {
  let taken = 0;
  while (taken < wanted && takeRetry(cells)) taken++;
  return taken;
}

test('a budget is full from the start', () => {
  const { slot, cells } = service();
  assert.equal(takeRetry(cells), false, 'without a policy there is none');
  const budget = new RetryBudget(ledger, slot, policy(0.2, 3), 0);
  assert.equal(takeAll(cells, 1_000), 30);
  budget.refill(100);
  budget.refill(9_900);
  assert.equal(takeAll(cells, 1_000), 0);
  budget.refill(10_000);
  assert.equal(takeAll(cells, 1_000), 30);
});

test('a share of the requests of the last 10 s may be retried', () => {
  const { slot, cells } = service();
  const budget = new RetryBudget(ledger, slot, policy(0.2, 1), 0);
  finish(slot, 1_000);
  budget.refill(100);
  assert.equal(takeAll(cells, 1_000), 200);
  finish(slot, 500);
  budget.refill(200);
  assert.equal(takeAll(cells, 1_000), 100);
  budget.refill(300);
  budget.refill(10_000);
  assert.equal(takeAll(cells, 1_000), 10);
});

test('a new policy takes effect at once and keeps what was spent', () => {
  const { slot, cells } = service();
  const budget = new RetryBudget(ledger, slot, policy(0, 10), 0);
  assert.equal(takeAll(cells, 40), 40);
  budget.setPolicy(policy(0, 5), 50);
  assert.equal(takeAll(cells, 1_000), 10);
  budget.setPolicy(policy(0, 2), 100);
  assert.equal(takeRetry(cells), false);
  budget.setPolicy(policy(0, 6), 150);
  assert.equal(takeAll(cells, 1_000), 10);
});

test('retries of a window never exceed the budget of its requests', () => {
  const step = fc.record({
    gapMs: fc.nat({ max: 1_500 }),
    requests: fc.nat({ max: 200 }),
    wanted: fc.nat({ max: 60 }),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat({ max: 3 }),
      (steps, ratio, perSecond) => {
        const { slot, cells } = service();
        const budget = new RetryBudget(ledger, slot, policy(ratio, perSecond), 0);
        const log: { second: number; requests: number; retries: number }[] = [];
        let nowMs = 0;
        for (const { gapMs, requests, wanted } of steps) {
          nowMs += gapMs;
          finish(slot, requests);
          budget.refill(nowMs);
          const second = Math.floor(nowMs / 1000);
          const inWindow = log.filter((one) => one.second > second - WINDOW_SECONDS);
          const seen = inWindow.reduce((sum, one) => sum + one.requests, requests);
          const spent = inWindow.reduce((sum, one) => sum + one.retries, 0);
          const allowed = Math.floor(Math.max(ratio * seen, perSecond * WINDOW_SECONDS));
          const retries = takeAll(cells, wanted);
          assert.equal(retries, Math.min(wanted, Math.max(allowed - spent, 0)));
          // The governor sees what was taken at its next look, which may be in a later second.
          budget.refill(nowMs);
          log.push({ second, requests, retries });
        }
        ledger.release('service', `shop/${services - 1}`);
      },
    ),
  );
});
