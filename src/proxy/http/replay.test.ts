import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NetContext } from '../net/context.ts';
import { SLAB_BYTES } from '../net/socket.ts';
import { Head } from '../head/head.ts';
import { isKept, Replay } from './replay.ts';
import type { EndpointStream } from './stream.ts';

const SLABS = {
  takeSlab: () => Buffer.alloc(SLAB_BYTES),
  giveSlab: () => undefined,
} as unknown as NetContext;

/** Adds up what it is sent. */
function counting(): { stream: EndpointStream; sent: () => number } {
  let sent = 0;
  const stream = {
    sendBody: (_: Buffer, start: number, end: number) => void (sent += end - start),
    sendEnd: () => undefined,
    flush: () => true,
  } as unknown as EndpointStream;
  return { stream, sent: () => sent };
}

function kept(headBytes: number, bodyMax: number): Replay {
  const replay = new Replay(SLABS);
  replay.begin(Buffer.alloc(headBytes), new Head(1), 0, headBytes);
  replay.bodyMax = bodyMax;
  replay.done = false;
  return replay;
}

test('a request is kept whole exactly when isKept() says so, in whatever pieces its body comes', () => {
  const size = fc.integer({ min: 1, max: 60_000 });
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 40_000 }),
      fc.constantFrom(0, 1_000, 20_000, 65_536),
      fc.array(size, { maxLength: 6 }),
      (headBytes, bodyMax, pieces) => {
        const replay = kept(headBytes, bodyMax);
        const { stream, sent } = counting();
        let bytes = 0;
        for (const piece of pieces) {
          replay.feed(Buffer.alloc(piece), 0, piece, stream);
          bytes += piece;
          assert.equal(replay.isWhole, isKept(headBytes, bytes, bodyMax));
        }
        replay.finish(null);
        replay.send(stream);
        assert.equal(sent(), bytes);
        if (!replay.isWhole) return;
        const copy = counting();
        replay.copyTo(copy.stream);
        assert.equal(copy.sent(), bytes);
      },
    ),
    { numRuns: 200 },
  );
});

test('who gets copies is told once: when the request is whole, or is not kept', () => {
  for (const [bytes, isWhole] of [
    [100, true],
    [20_000, false],
  ] as const) {
    const replay = kept(10, 0);
    const { stream } = counting();
    const told: boolean[] = [];
    replay.copies = { take: (each) => void told.push(each.isWhole) };
    replay.send(stream);
    assert.deepEqual(told, []);
    replay.feed(Buffer.alloc(bytes), 0, bytes, stream);
    replay.send(stream);
    assert.deepEqual(told, isWhole ? [] : [false]);
    replay.finish(null);
    replay.send(stream);
    replay.send(stream);
    assert.deepEqual(told, [isWhole]);
  }
});

test('every try gets the trailers that came, whatever is read into their place since', () => {
  const replay = kept(10, 0);
  const shared = Buffer.from('x-sum: aaa\r\n');
  replay.finish(shared.subarray(0));
  shared.fill('!');
  const ends: string[] = [];
  const stream = {
    ...counting().stream,
    sendEnd: (trailers: Buffer | null) => void ends.push(String(trailers)),
  } as unknown as EndpointStream;
  replay.send(stream);
  replay.rewind();
  replay.send(stream);
  replay.copyTo(stream);
  assert.deepEqual(ends, Array(3).fill('x-sum: aaa\r\n'));
});
