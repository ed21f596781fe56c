import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { printDuration, printSize, readDuration, readRatio, readSize } from './quantity.ts';

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
