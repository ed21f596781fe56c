/** Ends of frames, found in pieces of any size, against a reader that has all bytes at once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { FrameTracker } from './websocket-frames.ts';

const random = seededRandom(7);
const below = (count: number): number => Math.floor(random.next() * count);

function frameOf(): Buffer {
  const sizes = [0, 1, 125, 126, 127, 300, 65_535, 65_536, below(2_000)];
  const size = sizes[below(sizes.length)] as number;
  const mask = below(2) === 0 ? 0 : 0x80;
  const form = size < 126 && below(4) > 0 ? 0 : size < 65_536 && below(4) > 0 ? 2 : 8;
  const length = Buffer.alloc(form);
  if (form === 2) length.writeUInt16BE(size);
  if (form === 8) length.writeBigUInt64BE(BigInt(size));
  const short = form === 0 ? size : form === 2 ? 126 : 127;
  const first = Buffer.from([below(2) * 0x80 + below(3), mask | short]);
  return Buffer.concat([
    first,
    length,
    Buffer.alloc(mask === 0 ? 0 : 4, 0xff),
    Buffer.alloc(size, 0x88),
  ]);
}

test('every end of a frame is found, however the bytes are cut', () => {
  for (let run = 0; run < 400; run++) {
    const frames = Array.from({ length: 1 + below(8) }, frameOf);
    const data = Buffer.concat(frames);
    const ends = new Set<number>();
    let end = 0;
    for (const frame of frames) ends.add((end += frame.length));
    const tracker = new FrameTracker();
    const found: number[] = [];
    const most = 1 + below(below(2) === 0 ? 8 : 70_000);
    for (let at = 0; at < data.length;) {
      const piece = Math.min(data.length, at + 1 + below(most));
      while (at < piece) {
        if (tracker.left > 0 && below(3) === 0) {
          const unseen = Math.min(tracker.left, piece - at);
          tracker.skip(unseen);
          at += unseen;
        } else at = tracker.pass(data, at, piece, true);
        assert.equal(tracker.isBetween, ends.has(at), `run ${run} at ${at}`);
        if (tracker.isBetween) found.push(at);
      }
    }
    assert.deepEqual(found, [...ends]);
    assert.equal(tracker.closed, false);
  }
});

test('a close frame is known by its first byte', () => {
  const tracker = new FrameTracker();
  tracker.pass(Buffer.from([0x81, 1, 0x88]), 0, 3, false);
  assert.equal(tracker.closed, false);
  tracker.pass(Buffer.from([0x88]), 0, 1, false);
  assert.equal(tracker.closed, true);
});
