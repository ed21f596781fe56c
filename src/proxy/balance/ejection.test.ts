import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import { type Cells, LedgerView } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import {
  claimProbe,
  countEjected,
  eject,
  ejectAgain,
  EJECTED,
  ejectedMax,
  ejectionMs,
  healthOf,
  IN_ROTATION,
  isProbeDue,
  PROBE_LEASE_MS,
  PROBING,
  restore,
} from './ejection.ts';

const policy = { ...DEFAULT_POLICIES.ejection, baseMs: 1_000, maxMs: 5_000 };

/** Cells of so many endpoints in a memory of their own. */
function endpoints(count: number): Cells[] {
  const ledger = new Ledger(1);
  const slots = Array.from({ length: count }, (_, i) => ledger.allocate('endpoint', `e${i}`));
  const view = new LedgerView();
  view.add(ledger.chunk('endpoint', 0, 0));
  return slots.map((slot) => view.cells('endpoint', slot));
}

function word(cells: Cells, index: number): number {
  return Atomics.load(cells.words, cells.w + index);
}

function untilOf(cells: Cells): number {
  return cells.floats[cells.f + ENDPOINT_FLOAT.ejectedUntilMs] ?? 0;
}

type Step = 'eject' | 'probe, not due' | 'probe, due' | 'ejectAgain' | 'restore';

test('the transition table is total', () => {
  const steps: readonly Step[] = ['eject', 'probe, not due', 'probe, due', 'ejectAgain', 'restore'];
  const table = [IN_ROTATION, EJECTED, PROBING].flatMap((state) =>
    steps.map((step) => {
      const [cells, other] = endpoints(2);
      assert.ok(cells !== undefined && other !== undefined);
      if (state !== IN_ROTATION) assert.ok(eject(cells, [cells, other], policy, 0));
      if (state === PROBING) assert.ok(claimProbe(cells, 1_000));
      assert.equal(healthOf(cells), state);
      const dueMs = untilOf(cells);
      const changed = {
        eject: () => eject(cells, [cells, other], policy, 1_000),
        'probe, not due': () => claimProbe(cells, dueMs - 1),
        'probe, due': () => claimProbe(cells, dueMs),
        ejectAgain: () => ejectAgain(cells, policy, 1_000),
        restore: () => restore(cells),
      }[step]();
      return [state, step, changed, healthOf(cells)];
    }),
  );
  assert.deepEqual(table, [
    [IN_ROTATION, 'eject', true, EJECTED],
    [IN_ROTATION, 'probe, not due', false, IN_ROTATION],
    [IN_ROTATION, 'probe, due', false, IN_ROTATION],
    [IN_ROTATION, 'ejectAgain', false, IN_ROTATION],
    [IN_ROTATION, 'restore', false, IN_ROTATION],
    [EJECTED, 'eject', false, EJECTED],
    [EJECTED, 'probe, not due', false, EJECTED],
    [EJECTED, 'probe, due', true, PROBING],
    [EJECTED, 'ejectAgain', false, EJECTED],
    [EJECTED, 'restore', false, EJECTED],
    [PROBING, 'eject', false, PROBING],
    [PROBING, 'probe, not due', false, PROBING],
    [PROBING, 'probe, due', true, PROBING],
    [PROBING, 'ejectAgain', true, EJECTED],
    [PROBING, 'restore', true, IN_ROTATION],
  ]);
});

test('an ejection doubles each time in a row, up to the limit, and starts over after a success', () => {
  const [cells, ...others] = endpoints(4);
  assert.ok(cells !== undefined);
  let now = 0;
  assert.ok(eject(cells, [cells, ...others], policy, now));
  for (const ms of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    assert.equal(untilOf(cells), now + ms);
    now += ms;
    assert.ok(claimProbe(cells, now));
    assert.ok(ejectAgain(cells, policy, now));
  }
  now = untilOf(cells);
  assert.ok(claimProbe(cells, now));
  assert.ok(restore(cells));
  assert.ok(eject(cells, [cells, ...others], policy, now));
  assert.equal(untilOf(cells), now + 1_000);
  assert.equal(word(cells, ENDPOINT_WORD.ejections), 7);
  assert.equal(ejectionMs(policy, 5_000), 5_000);
});

test('ejectedMax() is the share of the policy and never all', () => {
  for (const [ratio, count, max] of [
    [0.5, 0, 0],
    [1, 1, 0],
    [0.5, 2, 1],
    [0.5, 3, 1],
    [0.1, 5, 0],
    [0.1, 10, 1],
    [1, 4, 3],
    [0, 4, 0],
  ] as const) {
    assert.equal(
      ejectedMax({ ...policy, maxEjectedRatio: ratio }, count),
      max,
      `${ratio} of ${count}`,
    );
  }
});

test('eject() stops at the limit', () => {
  const all = endpoints(5);
  const ejected = all.map((cells) => eject(cells, all, policy, 0));
  assert.deepEqual(ejected, [true, true, false, false, false]);
  const [alone] = endpoints(1);
  assert.ok(alone !== undefined);
  assert.equal(eject(alone, [alone], { ...policy, maxEjectedRatio: 1 }, 0), false);
});

test('any history keeps the invariants: one probe per ejection, never before its time', () => {
  const step = fc.record({
    op: fc.constantFrom<'eject' | 'probe' | 'fail' | 'succeed'>(
      'eject',
      'probe',
      'fail',
      'succeed',
    ),
    gapMs: fc.nat({ max: 6_000 }),
  });
  const all = endpoints(2);
  const [cells] = all;
  assert.ok(cells !== undefined);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      cells.words.fill(0, cells.w, cells.w + 8);
      let now = 0;
      let model = { health: IN_ROTATION, inRow: 0, untilMs: 0 };
      for (const { op, gapMs } of steps) {
        now += gapMs;
        if (op === 'eject') {
          const expected = model.health === IN_ROTATION;
          assert.equal(eject(cells, all, policy, now), expected);
          if (expected) model = out(model.inRow, now);
        } else if (op === 'probe') {
          const expected = model.health !== IN_ROTATION && now >= model.untilMs;
          assert.equal(isProbeDue(cells, now), expected);
          assert.equal(claimProbe(cells, now), expected);
          if (expected) model = { ...model, health: PROBING, untilMs: now + PROBE_LEASE_MS };
          assert.equal(claimProbe(cells, now), false, 'a second probe at the same time');
        } else if (op === 'fail') {
          const expected = model.health === PROBING;
          assert.equal(ejectAgain(cells, policy, now), expected);
          if (expected) model = out(model.inRow, now);
        } else {
          const expected = model.health === PROBING;
          assert.equal(restore(cells), expected);
          if (expected) model = { health: IN_ROTATION, inRow: 0, untilMs: 0 };
        }
        assert.equal(healthOf(cells), model.health);
        if (model.health !== IN_ROTATION) assert.equal(untilOf(cells), model.untilMs);
      }
    }),
  );
});

function out(inRow: number, now: number) {
  return { health: EJECTED, inRow: inRow + 1, untilMs: now + ejectionMs(policy, inRow) };
}

test('threads that eject and probe at the same time never take all, and send one probe per ejection', async () => {
  const count = 6;
  const ledger = new Ledger(1);
  const slots = Array.from({ length: count }, (_, i) => ledger.allocate('endpoint', `e${i}`));
  const view = new LedgerView();
  const chunk = ledger.chunk('endpoint', 0, 0);
  view.add(chunk);
  const cells = slots.map((slot) => view.cells('endpoint', slot));
  const source = `
    import { workerData, parentPort } from 'node:worker_threads';
    import { LedgerView } from ${JSON.stringify(new URL('../ledger/cells.ts', import.meta.url).href)};
    import * as e from ${JSON.stringify(new URL('./ejection.ts', import.meta.url).href)};
    const view = new LedgerView();
    view.add(workerData.chunk);
    const all = workerData.slots.map((slot) => view.cells('endpoint', slot));
    const policy = { ...workerData.policy, baseMs: 1, maxMs: 1, maxEjectedRatio: 1 };
    parentPort.postMessage('ready');
    Atomics.wait(workerData.gate, 0, 0);
    let probes = 0;
    let settled = 0;
    // Each thread has a time of its own here, so all of it is shorter than the lease of a probe.
    for (let turn = 0; turn < 40_000; turn++) {
      const now = 1 + turn * 0.2;
      const cells = all[(turn * 7 + workerData.seed) % all.length];
      e.eject(cells, all, policy, now);
      if (e.claimProbe(cells, now + 5)) {
        probes++;
        if (turn % 3 === 0 ? e.ejectAgain(cells, policy, now) : e.restore(cells)) settled++;
      }
    }
    parentPort.postMessage([probes, settled]);
  `;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const workers = [1, 2, 3].map(
    (seed) => new Worker(url, { workerData: { chunk, slots, gate, policy, seed } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const results = workers.map((worker) => once(worker, 'message'));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const counts = (await Promise.all(results)).map(([pair]) => pair as [number, number]);
  await Promise.all(workers.map((worker) => worker.terminate()));
  const probes = counts.reduce((sum, [sent]) => sum + sent, 0);
  const settled = counts.reduce((sum, [, done]) => sum + done, 0);
  assert.equal(settled, probes, 'whoever claimed a probe was the only one to end it');
  const ejections = cells.reduce((sum, one) => sum + word(one, ENDPOINT_WORD.ejections), 0);
  assert.ok(probes > 0 && probes <= ejections, `${probes} probes of ${ejections} ejections`);
  assert.ok(countEjected(cells) < count);
});
