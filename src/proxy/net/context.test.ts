import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../base/clock.ts';
import { StrictGuard } from '../../../test/support/strict-guard.ts';
import { systemRandom } from '../../base/random.ts';
import { DEFAULT_PROXY_SETTINGS } from '../../model/settings.ts';
import { NetContext } from './context.ts';
import type { Sockets } from './socket.ts';

function newContext(clock = new ManualClock(1_000), sockets?: Sockets): NetContext {
  const guard = new StrictGuard(clock);
  const settings = DEFAULT_PROXY_SETTINGS;
  const given = sockets === undefined ? {} : { sockets };
  return new NetContext({ clock, random: systemRandom, guard, settings, ...given }, 0);
}

test('in a read for many messages time stands still, and goes on afterwards', () => {
  const clock = new ManualClock(1_000);
  const context = newContext(clock);
  assert.equal(context.nowMs(), 1_000);
  clock.advance(5);
  assert.equal(context.nowMs(), 1_005);
  context.beginRead();
  clock.advance(5);
  assert.equal(context.nowMs(), 1_005);
  context.endRead();
  assert.equal(context.nowMs(), 1_010);
});

test('every part of a buffer that is read into is shared, whatever object stands for it', () => {
  const context = newContext();
  for (const { readBuffer } of [context.sockets, context.callerTls]) {
    const last = readBuffer.length - 1;
    assert.ok(context.isShared(readBuffer));
    assert.ok(context.isShared(readBuffer.subarray(28, 200)));
    assert.ok(context.isShared(readBuffer.subarray(last)));
    assert.ok(context.isShared(Buffer.from(readBuffer.buffer, readBuffer.byteOffset + last, 1)));
    assert.ok(!context.isShared(Buffer.from(readBuffer.subarray(28, 200))));
  }
});

test('what lies beside the buffer in the same memory is not shared', () => {
  const memory = Buffer.alloc(30);
  const sockets = {
    readBuffer: memory.subarray(10, 20),
    allocate: (bytes: number) => Buffer.alloc(bytes),
  };
  const context = newContext(undefined, sockets as unknown as Sockets);
  assert.ok(!context.isShared(memory.subarray(0, 10)));
  assert.ok(!context.isShared(memory.subarray(20)));
  assert.ok(context.isShared(memory.subarray(0, 11)));
  assert.ok(context.isShared(memory.subarray(19)));
  assert.ok(context.isShared(memory));
});
