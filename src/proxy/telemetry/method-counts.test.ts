import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METHOD_CELLS } from '../ledger/layout.ts';
import { METHODS_MAX } from '../ledger/method-table.ts';
import { MethodCounts } from './method-counts.ts';

function shared(count: number): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(8 * METHOD_CELLS);
  new Float64Array(buffer)[0] = count;
  return buffer;
}

function read(counts: MethodCounts, service: string): Record<string, number> {
  const found: Record<string, number> = {};
  // The cells of one are valid until the next one.
  for (const { method, cells } of counts.of(service)) found[method] = cells[0] ?? 0;
  return found;
}

test('what the threads count is summed, and read anew each time', () => {
  const counts = new MethodCounts(10);
  const buffer = shared(2);
  counts.add(0, 's/a', 'a.B/Get', buffer);
  counts.add(1, 's/a', 'a.B/Get', shared(3));
  counts.add(1, 's/a', 'other', shared(7));
  counts.add(0, 's/b', 'a.B/Get', shared(1));
  assert.deepEqual(read(counts, 's/a'), { 'a.B/Get': 5, other: 7 });
  new Float64Array(buffer)[0] = 10;
  assert.deepEqual(read(counts, 's/a'), { 'a.B/Get': 13, other: 7 });
  assert.deepEqual(read(counts, 's/b'), { 'a.B/Get': 1 });
  assert.deepEqual(read(counts, 's/c'), {});
});

test('what a thread counted stays when it ends, and its successor adds to it', () => {
  const counts = new MethodCounts(10);
  counts.add(0, 's/a', 'a.B/Get', shared(2));
  counts.add(1, 's/a', 'a.B/Get', shared(3));
  counts.endThread(0);
  counts.add(0, 's/a', 'a.B/Get', shared(4));
  assert.deepEqual(read(counts, 's/a'), { 'a.B/Get': 9 });
  counts.endThread(0);
  counts.endThread(1);
  assert.deepEqual(read(counts, 's/a'), { 'a.B/Get': 9 });
});

test('threads that know different methods have no more than one may have', () => {
  const counts = new MethodCounts(2);
  counts.add(0, 's/a', 'other', shared(1));
  counts.add(0, 's/a', 'a.B/One', shared(10));
  counts.add(0, 's/a', 'a.B/Two', shared(20));
  counts.add(1, 's/a', 'other', shared(2));
  counts.add(1, 's/a', 'a.B/Three', shared(40));
  counts.add(1, 's/a', 'a.B/Two', shared(80));
  assert.deepEqual(read(counts, 's/a'), { other: 43, 'a.B/One': 10, 'a.B/Two': 100 });
});

test('all Services share a bound, and one that left counts no more', () => {
  const counts = new MethodCounts(METHODS_MAX);
  counts.add(0, 's/a', 'other', shared(1));
  for (let i = 0; i < METHODS_MAX; i++) counts.add(0, 's/a', `a.B/M${i}`, shared(1));
  counts.add(0, 's/b', 'a.B/Get', shared(5));
  assert.deepEqual(read(counts, 's/b'), { other: 5 });
  counts.forget('s/a');
  counts.forget('s/a');
  counts.add(0, 's/b', 'a.B/Put', shared(6));
  assert.deepEqual(read(counts, 's/a'), {});
  assert.deepEqual(read(counts, 's/b'), { other: 5, 'a.B/Put': 6 });
});
