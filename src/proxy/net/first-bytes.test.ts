import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FirstBytes } from './first-bytes.ts';

test('bytes that come one by one are kept in order, and copied to new room a few times only', () => {
  const came = new FirstBytes();
  const read = Buffer.alloc(65_536);
  const rooms = new Set<number>();
  const all = Buffer.from(Array.from({ length: 32_768 }, (_, i) => (i * 7 + (i >> 8)) & 255));
  for (const byte of all) {
    read[9] = byte;
    came.push(read, 9, 10);
    rooms.add(came.heldBytes);
  }
  assert.deepEqual(came.bytes, all);
  assert.deepEqual([...rooms], [2_048, 4_096, 8_192, 16_384, 32_768]);
});

test('what was handed out stays as it is, whatever is read later', () => {
  const came = new FirstBytes();
  const read = Buffer.from('header and rest');
  came.push(read, 0, read.length);
  const rest = came.bytes.subarray(7);
  read.fill('x');
  came.push(Buffer.alloc(100_000, 'y'), 0, 100_000);
  assert.equal(rest.toString(), 'and rest');
  assert.equal(came.length, 100_015);
  came.drop();
  assert.deepEqual([came.length, came.heldBytes], [0, 0]);
  assert.equal(rest.toString(), 'and rest');
});
