import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { median, medianInterval, middle, ratio, ratios } from './figures.ts';
import { sampleOf, stageOf } from './figures.fixture.ts';

test('middle() takes the mean of the two middle values', () => {
  assert.equal(middle([]), null);
  assert.equal(middle([3, 1, 2]), 2);
  assert.equal(middle([4, 1, 2, 3]), 2.5);
});

test('ratio() compares within a round, so that a slow round disturbs nothing', () => {
  const stage = stageOf('small', [
    sampleOf('maesh', 1, { cpuMicros: 11 }),
    sampleOf('haproxy', 1, { cpuMicros: 10 }),
    sampleOf('maesh', 2, { cpuMicros: 110 }),
    sampleOf('haproxy', 2, { cpuMicros: 100 }),
    sampleOf('maesh', 3, { cpuMicros: 12 }),
    sampleOf('haproxy', 3, { cpuMicros: 10 }),
  ]);
  const pair = { subject: 'maesh', base: 'haproxy' };
  assert.deepEqual(ratios(stage, pair, 'cpuMicros'), [1.1, 1.1, 1.2]);
  assert.equal(ratio(stage, pair, 'cpuMicros'), 1.1);
  assert.equal(median(stage, 'maesh', 'cpuMicros'), 12);
});

test('ratio() is null when no round has both', () => {
  const stage = stageOf('small', [
    sampleOf('maesh', 1, { cpuMicros: 11 }),
    sampleOf('haproxy', 2, { cpuMicros: 10 }),
  ]);
  assert.equal(ratio(stage, { subject: 'maesh', base: 'haproxy' }, 'cpuMicros'), null);
  assert.equal(ratio(undefined, { subject: 'maesh', base: 'haproxy' }, 'cpuMicros'), null);
});

test('medianInterval() takes the ranks of the tables of the sign test', () => {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
  assert.equal(medianInterval([]), null);
  assert.deepEqual(medianInterval([7]), { low: 7, high: 7 });
  assert.deepEqual(medianInterval(upTo(5)), { low: 1, high: 5 });
  assert.deepEqual(medianInterval(upTo(6)), { low: 1, high: 6 });
  assert.deepEqual(medianInterval(upTo(9)), { low: 2, high: 8 });
  assert.deepEqual(medianInterval(upTo(20)), { low: 6, high: 15 });
  assert.deepEqual(medianInterval(upTo(40)), { low: 14, high: 27 });
});

test('medianInterval() holds the median and needs no order', () => {
  const values = fc.array(fc.integer(), { minLength: 1 });
  fc.assert(
    fc.property(values, (list) => {
      const { low, high } = medianInterval(list) ?? { low: Number.NaN, high: Number.NaN };
      const center = middle(list) ?? Number.NaN;
      assert.ok(low <= center && center <= high, `${low} ${center} ${high}`);
      assert.deepEqual(medianInterval(list.toReversed()), { low, high });
    }),
  );
});
