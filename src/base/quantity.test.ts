import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  groupDigits,
  printDuration,
  printSize,
  readDuration,
  readRatio,
  readSize,
} from './quantity.ts';

test('what printDuration() and printSize() write is read as the same value', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000_000), (value) => {
      assert.equal(readDuration(printDuration(value)), value);
      assert.equal(readSize(printSize(value)), value);
      assert.equal(readSize(printSize(value * 1_024).replace(/i$/, 'iB')), value * 1_024);
    }),
  );
});

test('each notation of a size, a time and a share is read, and nothing else', () => {
  for (const text of ['64Ki', '64KiB', '64kib', '64 KiB', '65536']) {
    assert.equal(readSize(text), 65_536, text);
  }
  for (const text of ['', '64K', '64KB', '64b', '-1', '1e3', '64  Ki', 'Ki']) {
    assert.equal(readSize(text), null, text);
  }
  for (const text of ['90s', '1m30s', '1.5m', '90000ms']) assert.equal(readDuration(text), 90_000);
  for (const text of ['', '5', '1d', '1 s', '-1s', 's', '1s'.repeat(40)]) {
    assert.equal(readDuration(text), null, text);
  }
  for (const text of ['0.2', '.2', '20%']) assert.equal(readRatio(text), 0.2);
  for (const text of ['', '.', '%', '1e-3', '2.']) assert.equal(readRatio(text), null, text);
});

test('groupDigits() writes whole numbers as the runtime does', () => {
  for (const value of [0, 7, 999, 1_000, 65_535, 123_456, 1_000_000, 1_234_567_890]) {
    assert.equal(groupDigits(value), value.toLocaleString('en-US'));
    assert.equal(groupDigits(-value || 0), (-value || 0).toLocaleString('en-US'));
  }
});
