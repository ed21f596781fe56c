import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Histogram } from './histogram.ts';

test('an empty histogram answers 0', () => {
  assert.equal(new Histogram().quantile(0.99), 0);
});

test('quantile() is within 1 % above the exact rank', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 3_600_000_000 }), { minLength: 1, maxLength: 300 }),
      fc.constantFrom(0, 0.5, 0.9, 0.99, 0.999, 1),
      (values, q) => {
        const histogram = new Histogram();
        for (const value of values) histogram.record(value);
        const sorted = [...values].sort((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1]!;
        const got = histogram.quantile(q);
        assert.ok(got >= exact && got <= exact * 1.01 + 1, `${got} for ${exact}`);
      },
    ),
  );
});

test('record() bounds what is out of range', () => {
  const histogram = new Histogram();
  histogram.record(-5);
  histogram.record(1e15);
  assert.equal(histogram.count, 2);
  assert.equal(histogram.quantile(0.5), 0);
  assert.equal(histogram.quantile(1), 0xffff_ffff);
});
