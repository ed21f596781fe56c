import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_HEALTH_CHECK, DEFAULT_POLICIES } from '../../model/defaults.ts';
import { CHECK_RESULTS, type CheckOutcome, checkReason } from '../../model/health-check.ts';
import { type Cells, looseCells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import {
  CHECK_FAILING,
  CHECK_PASSING,
  forgetChecks,
  isInDoubt,
  noteCheck,
  packCheck,
  unpackCheck,
} from './check-standing.ts';
import { claimProbe, eject, ejectedMax, healthOf, IN_ROTATION } from './ejection.ts';

const GOOD: CheckOutcome = { result: 'passed', detail: 200 };
const BAD: CheckOutcome = { result: 'bad_status', detail: 500 };
const NOT_MADE: CheckOutcome = { result: 'not_made', detail: 0 };
const { ejection } = DEFAULT_POLICIES;

const cells = (slot: number): Cells => looseCells('endpoint', slot);

const word = (each: Cells, cell: number): number => each.words[cell] ?? 0;

test('packCheck() keeps what was found', () => {
  for (const result of CHECK_RESULTS) {
    for (const detail of [0, 12, 599, 0xff_ff]) {
      const outcome = { result, detail };
      assert.deepEqual(unpackCheck(packCheck(outcome)), outcome);
      assert.ok(checkReason(outcome).length > 3);
    }
  }
  assert.equal(unpackCheck(packCheck({ result: 'grpc_failed', detail: 1e9 })).detail, 0xff_ff);
});

test('an endpoint that is not to be ejected is failing, and gets requests', () => {
  const it = cells(0);
  const healthCheck = { ...DEFAULT_HEALTH_CHECK, failures: 2, successes: 2, ejects: false };
  const at = { cells: it, peers: [it, cells(1)] };
  const note = (outcome: CheckOutcome) => noteCheck(at, { healthCheck, ejection }, outcome, 1);
  assert.deepEqual([BAD, BAD, BAD, GOOD, BAD, GOOD, GOOD, GOOD].map(note), [
    null,
    'failing',
    null,
    null,
    null,
    null,
    'passing',
    null,
  ]);
  assert.equal(healthOf(it), IN_ROTATION);
});

test('checks from before an ejection do not end it', () => {
  const it = cells(0);
  const peers = [it, cells(1)];
  const healthCheck = { ...DEFAULT_HEALTH_CHECK, successes: 2 };
  const note = (nowMs: number) =>
    noteCheck({ cells: it, peers }, { healthCheck, ejection }, GOOD, nowMs);
  for (let i = 0; i < 10; i++) note(1);
  assert.ok(eject(it, peers, { ...ejection, baseMs: 100 }, 1));
  assert.equal(note(200), null, 'one since then');
  assert.ok(isInDoubt(it));
  assert.equal(note(201), 'readmitted');
  assert.equal(word(it, ENDPOINT_WORD.ejectionsInRow), 1);
});

test('what checks ejected gets a probe once there are no checks', () => {
  const it = cells(0);
  const at = { cells: it, peers: [it, cells(1)] };
  const healthCheck = { ...DEFAULT_HEALTH_CHECK, failures: 1 };
  assert.equal(noteCheck(at, { healthCheck, ejection }, BAD, 5), 'ejected');
  forgetChecks(it);
  assert.equal(word(it, ENDPOINT_WORD.checkState), 0);
  assert.equal(it.floats[ENDPOINT_FLOAT.checkedAtMs], 0);
  assert.equal(claimProbe(it, 5), true);
});

interface Step {
  readonly who: number;
  readonly what: CheckOutcome | 'requests eject it' | 'time';
}

/** The rules in a few words, over whole histories: slow, and nothing like the code. */
class Model {
  readonly history: CheckOutcome[] = [];
  failing = false;
  untilMs = 0;
  out = false;

  /** Results in a row at the end of the history that are as good, or bad, as the last. */
  row(): number {
    const made = this.history.filter(({ result }) => result !== 'not_made');
    const last = made.at(-1)?.result === 'passed';
    let row = 0;
    for (const { result } of made.toReversed()) {
      if ((result === 'passed') !== last) break;
      row++;
    }
    return row;
  }
}

test('any order of results, requests and time ends where the rules say', () => {
  const step: fc.Arbitrary<Step> = fc.record({
    who: fc.nat(2),
    what: fc.constantFrom<Step['what'][]>(
      GOOD,
      GOOD,
      BAD,
      BAD,
      NOT_MADE,
      'requests eject it',
      'time',
    ),
  });
  const rules = fc.record({
    failures: fc.integer({ min: 1, max: 4 }),
    successes: fc.integer({ min: 1, max: 4 }),
    ejects: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), rules, (steps, chosen) => {
      const healthCheck = { ...DEFAULT_HEALTH_CHECK, ...chosen };
      const all = [cells(0), cells(1), cells(2)];
      const models = all.map(() => new Model());
      const max = ejectedMax(ejection, all.length);
      let nowMs = 1_000;
      for (const { who, what } of steps) {
        const it = all[who]!;
        const model = models[who]!;
        const room = models.filter(({ out }) => out).length < max;
        if (what === 'time') nowMs += 4_000;
        else if (what === 'requests eject it') {
          eject(it, all, { ...ejection, baseMs: 5_000, maxMs: 5_000 }, nowMs);
          if (room && !model.out) {
            model.out = true;
            model.untilMs = nowMs + 5_000;
            model.history.length = 0;
          }
        } else {
          noteCheck({ cells: it, peers: all }, { healthCheck, ejection }, what, nowMs);
          model.history.push(what);
          if (what === NOT_MADE) continue;
          const row = model.row();
          if (what === BAD) {
            if (row >= chosen.failures) model.failing = true;
            if (model.failing && chosen.ejects && !model.out && room) {
              model.out = true;
              model.untilMs = nowMs;
              model.history.length = 0;
            }
          } else {
            if (!model.failing || row >= chosen.successes) model.failing = false;
            if (model.out && row >= chosen.successes && nowMs >= model.untilMs) model.out = false;
          }
        }
        assert.equal(healthOf(it) !== IN_ROTATION, model.out);
        assert.equal(word(it, ENDPOINT_WORD.checkState) === CHECK_FAILING, model.failing);
      }
      assert.ok(models.filter(({ out }) => out).length <= max, 'never more than may be');
    }),
    { numRuns: 1_000 },
  );
});

test('the first success makes an endpoint passing', () => {
  const it = cells(0);
  const healthCheck = { ...DEFAULT_HEALTH_CHECK, successes: 3 };
  noteCheck({ cells: it, peers: [it] }, { healthCheck, ejection }, GOOD, 1);
  assert.equal(word(it, ENDPOINT_WORD.checkState), CHECK_PASSING);
});
