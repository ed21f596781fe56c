import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyWhole, Defect, wholeUpTo } from './copy-whole.ts';

test('copyWhole() copies what has room, to the last byte, and refuses one more', () => {
  const data = Buffer.from('0123456789');
  const out = Buffer.alloc(8);
  assert.equal(copyWhole(data, 2, 7, out, 3), 8);
  assert.equal(out.toString('latin1'), '\0\0\x0023456');
  assert.equal(copyWhole(data, 4, 4, out, 8), 8);
  assert.throws(() => copyWhole(data, 2, 8, out, 3), Defect);
  assert.throws(() => copyWhole(data, 8, 11, out, 0), Defect);
});

test('wholeUpTo() refuses an end behind the buffer', () => {
  assert.equal(wholeUpTo(4, Buffer.alloc(4)), 4);
  assert.throws(() => wholeUpTo(5, Buffer.alloc(4)), /of 5 bytes does not fit into a buffer of 4/);
});
