import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetContext } from '../net/context.ts';
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
