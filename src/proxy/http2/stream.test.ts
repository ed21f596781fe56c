import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stream, type StreamHost } from './stream.ts';

class TestStream extends Stream {
  readonly got: Buffer[] = [];
  /** With how many of them it has enough. */
  enough = Infinity;
  protected readonly host = { later: () => undefined } as unknown as StreamHost;

  override onContent(data: Buffer, start: number, end: number): void {
    this.got.push(Buffer.from(data.subarray(start, end)));
    if (this.got.length === this.enough) this.pause();
  }

  override onRead(): void {
    // Of no interest.
  }

  override onWhole(): void {
    // Of no interest.
  }

  override onReset(): void {
    // Of no interest.
  }

  override onSilenced(): void {
    // Of no interest.
  }

  override onForgotten(): void {
    // Of no interest.
  }

  override onDrain(): void {
    // Of no interest.
  }

  override pause(): void {
    this.hold();
  }

  override resume(): void {
    this.unhold();
  }
}

test('content that comes byte by byte while its receiver waits is told in few pieces, until that waits again', () => {
  const stream = new TestStream();
  const all = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i & 0xff));
  stream.begin(1, 0);
  stream.pause();
  for (let i = 0; i < all.length; i++) stream.receive(all, i, i + 1);
  assert.deepEqual([stream.heldBytes, stream.got.length], [all.length, 0]);
  stream.resume();
  stream.enough = 3;
  stream.deliver();
  const told = Buffer.concat(stream.got).length;
  assert.deepEqual([stream.got.length, stream.heldBytes], [3, all.length - told]);
  stream.receive(all, 0, 1);
  stream.resume();
  stream.deliver();
  assert.ok(stream.got.length < 20, `${stream.got.length} pieces`);
  assert.equal(stream.heldBytes, 0);
  assert.ok(Buffer.concat(stream.got).equals(Buffer.concat([all, all.subarray(0, 1)])));
});

test('content that the windows hold up byte by byte is sent in few pieces', () => {
  const stream = new TestStream();
  stream.begin(1, 0);
  const all = Buffer.alloc(100_000, 3);
  for (let i = 0; i < all.length; i++) stream.queue(all, i, i + 1);
  let pieces = 0;
  for (; stream.queuedBytes > 0; pieces++) stream.takeQueued(16_384);
  assert.ok(pieces < 20, `${pieces} pieces`);
});
