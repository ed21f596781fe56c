import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import { tryMany } from './many.ts';

/** A clock that each input moves on. */
function clock(stepMs: number) {
  let nowMs = 0;
  return { now: () => nowMs, step: () => void (nowMs += stepMs) };
}

test('time that is over before the first further input is no failure', async () => {
  const over = { ordinary: 0, more: 10, ms: 0 };
  const sync = fc.property(fc.nat(), () => {});
  const async = fc.asyncProperty(fc.nat(), async () => {});
  assert.equal(tryMany(sync, {}, over), 0);
  assert.equal(await tryMany(async, {}, over), 0);
});

test('time that is over during the first further input is no failure, and the input ends before anything else begins', async () => {
  let begun = 0;
  let ended = 0;
  const { now, step } = clock(5);
  const property = fc.asyncProperty(fc.nat(), async () => {
    begun++;
    step();
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    ended++;
  });
  assert.equal(await tryMany(property, {}, { ordinary: 0, more: 10, ms: 1 }, now), 1);
  assert.deepEqual([begun, ended], [1, 1]);
});

test('ordinary inputs take what they take; further ones end with their time', () => {
  const { now, step } = clock(1_000);
  const property = fc.property(fc.nat(), step);
  assert.equal(tryMany(property, {}, { ordinary: 20, more: 100, ms: 3_000 }, now), 23);
});

test('a counterexample is told, among ordinary inputs and among further ones', async () => {
  const sync = fc.property(fc.nat(), (n) => n < 1_000);
  const async = fc.asyncProperty(fc.nat(), async (n) => n < 1_000);
  for (const rounds of [
    { ordinary: 1_000, more: 0, ms: 0 },
    { ordinary: 0, more: 1_000, ms: 60_000 },
  ]) {
    assert.throws(() => tryMany(sync, {}, rounds), /Counterexample: \[1000\]/);
    await assert.rejects(async () => tryMany(async, {}, rounds), /Counterexample: \[1000\]/);
  }
});

test('a counterexample of the last moment is made small, for half a minute', () => {
  const lastMoment = { ordinary: 0, more: 10, ms: 1 };
  const runs = (stepMs: number, message: RegExp): number => {
    const { now, step } = clock(stepMs);
    let count = 0;
    const property = fc.property(fc.noBias(fc.integer({ min: 0, max: 2 ** 30 })), (n) => {
      count++;
      step();
      return n < 5_000;
    });
    assert.throws(() => tryMany(property, { seed: 1 }, lastMoment, now), message);
    return count;
  };
  assert.ok(runs(10, /Counterexample: \[5000\]/) > 10);
  assert.ok(runs(10_000, /Counterexample: /) <= 4);
});
