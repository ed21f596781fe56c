import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Gatherer, NetContext } from '../net/context.ts';
import { Defect } from '../net/copy-whole.ts';
import { SLAB_BYTES, type Socket } from '../net/socket.ts';
import { Output } from './output.ts';

test('after a frame that was begun and never finished nothing is sent any more', () => {
  const sent: string[] = [];
  const context = {
    takeSlab: () => Buffer.alloc(SLAB_BYTES),
    giveSlab: () => undefined,
    claimOut: () => Buffer.alloc(2 * SLAB_BYTES),
    writeOut: () => sent.push('write'),
  } as unknown as NetContext;
  const output = new Output(context, () => sent.push('ask'));
  output.attach({ reset: () => sent.push('reset') } as unknown as Socket);
  output.reserve(100);
  assert.throws(() => output.reserve(100), Defect);
  assert.throws(() => output.end(1), Defect);
  assert.deepEqual(sent, ['ask', 'reset', 'reset']);
});

test('the end of a stream whose connection is gone is put into no frame of another connection', () => {
  let holder: Gatherer | null = null;
  const out = Buffer.alloc(2 * SLAB_BYTES);
  const context = {
    takeSlab: () => Buffer.alloc(SLAB_BYTES),
    giveSlab: () => undefined,
    claimOut: (by: Gatherer) => {
      if (holder !== by) holder?.yieldOut();
      holder = by;
      return out;
    },
    writeOut: () => true,
  } as unknown as NetContext;
  const content = Buffer.alloc(SLAB_BYTES);
  const gone = new Output(context, () => undefined);
  const other = new Output(context, () => undefined);
  other.attach({ destroyed: false } as unknown as Socket);
  gone.attach({ destroyed: true } as unknown as Socket);
  gone.data(7, content, 0, content.length, SLAB_BYTES);
  other.data(9, content, 0, content.length, SLAB_BYTES);
  const before = Buffer.from(out);
  // It has no place to say so any more but in a frame of its own, and that is dropped.
  gone.end(7);
  gone.drop();
  assert.ok(before.equals(out.subarray(0, before.length)));
});
