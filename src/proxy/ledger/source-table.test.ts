import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { SOURCE_TABLE_BYTES, sourceKey, SourceTable, SOURCES_MAX } from './source-table.ts';

const TIMEOUT_MS = 60_000;
const at = (nowMs: number) => ({ timeoutMs: TIMEOUT_MS, nowMs });

test('SourceTable behaves as a map of sources with a time limit, seen by two threads', () => {
  const step = fc.record({
    source: fc.integer({ min: 1, max: 6 }),
    token: fc.integer({ min: 1, max: 4 }),
    waitMs: fc.constantFrom(0, 1_000, 30_000, 59_000, 62_000),
    thread: fc.constantFrom(0, 1),
    isClaim: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = new SharedArrayBuffer(SOURCE_TABLE_BYTES);
      const threads = [new SourceTable(memory), new SourceTable(memory)];
      const model = new Map<number, { token: number; second: number }>();
      let nowMs = 5_000_000;
      for (const { source, token, waitMs, thread, isClaim } of steps) {
        nowMs += waitMs;
        const second = Math.floor(nowMs / 1_000);
        const key = sourceKey(source, 7);
        const table = threads[thread] as SourceTable;
        const known = model.get(source);
        const isKnown = known !== undefined && second - known.second <= TIMEOUT_MS / 1_000;
        const expected = isKnown ? known.token : 0;
        assert.equal(table.peek(key, TIMEOUT_MS, nowMs), expected);
        assert.equal(table.find(key, TIMEOUT_MS, nowMs), expected);
        if (isKnown) known.second = second;
        if (!isClaim) continue;
        assert.equal(table.claim(key, expected, token, at(nowMs)), token);
        model.set(source, { token, second });
      }
    }),
  );
});

test('of two threads that give one source an endpoint, the first wins', () => {
  const memory = new SharedArrayBuffer(SOURCE_TABLE_BYTES);
  const [one, two] = [new SourceTable(memory), new SourceTable(memory)];
  const key = sourceKey(1, 2);
  const before = one.find(key, TIMEOUT_MS, 0);
  assert.equal(two.find(key, TIMEOUT_MS, 0), before);
  assert.equal(one.claim(key, before, 11, at(0)), 11);
  assert.equal(two.claim(key, before, 22, at(0)), 11);
  assert.equal(two.claim(key, 11, 22, at(0)), 22, 'who knows the endpoint may move the source');
});

test('with more sources than entries the quietest are forgotten, and the memory stays', () => {
  const table = new SourceTable(new SharedArrayBuffer(SOURCE_TABLE_BYTES));
  const busy = sourceKey(123_456_789, 0);
  table.claim(busy, 0, 5, at(0));
  for (let i = 0; i < 4 * SOURCES_MAX; i++) {
    const nowMs = i * 2;
    table.claim(sourceKey(i, 0), 0, 9, at(nowMs));
    assert.equal(table.find(busy, TIMEOUT_MS, nowMs), 5);
  }
});

test('keys of one source differ between backends and are never 0', () => {
  assert.notEqual(sourceKey(1, 2), sourceKey(1, 3));
  fc.assert(fc.property(fc.integer(), fc.integer(), (a, b) => sourceKey(a, b) !== 0));
});
