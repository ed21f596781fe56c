import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { writeDecimal } from './decimal.ts';

function written(value: number): string {
  const out = Buffer.alloc(20, 'x');
  const end = writeDecimal(value, out, 2);
  assert.equal(out.toString('latin1', 0, 2), 'xx');
  assert.match(out.toString('latin1', end), /^x*$/);
  return out.toString('latin1', 2, end);
}

test('writeDecimal() writes what String() says of whole numbers', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (value) => written(value) === String(value)));
  for (const value of [0, 9, 10, 99, 100, 1e15, Number.MAX_SAFE_INTEGER])
    assert.equal(written(value), String(value));
});

test('writeDecimal() ends with any number', () => {
  const most = String(Number.MAX_SAFE_INTEGER);
  for (const [value, text] of [
    [-1, '0'],
    [NaN, '0'],
    [1.9, '1'],
    [1e300, most],
    [Infinity, most],
  ] as const)
    assert.equal(written(value), text);
});
