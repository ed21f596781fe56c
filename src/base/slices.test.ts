import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ManualClock } from './clock.ts';
import { slices } from './slices.ts';

async function all(source: AsyncIterable<string>): Promise<string[]> {
  const out: string[] = [];
  for await (const slice of source) out.push(slice);
  return out;
}

test('slices() keeps every character in order and hands out no empty slice', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string()),
      fc.integer({ min: 1, max: 20 }),
      async (parts, sliceChars) => {
        const out = await all(slices(parts, new ManualClock(), { sliceChars }));
        assert.equal(out.join(''), parts.join(''));
        assert.ok(out.every((slice) => slice !== ''));
      },
    ),
  );
});

test('slices() lets other work run when a turn is over', async () => {
  const clock = new ManualClock();
  let turns = 0;
  let running = true;
  const count = (): void => {
    turns += 1;
    if (running) setImmediate(count);
  };
  setImmediate(count);
  function* slow(): Generator<string> {
    for (let i = 0; i < 160; i++) {
      clock.advance(1);
      yield 'x';
    }
  }
  assert.equal((await all(slices(slow(), clock, { turnMs: 5 }))).join('').length, 160);
  running = false;
  assert.ok(turns >= 5, `other work ran ${turns} times`);
});

test('slices() stops its source when the reader leaves', async () => {
  let stopped = false;
  function* endless(): Generator<string> {
    try {
      for (;;) yield 'x';
    } finally {
      stopped = true;
    }
  }
  for await (const slice of slices(endless(), new ManualClock(), { sliceChars: 4 })) {
    assert.equal(slice, 'xxxx');
    break;
  }
  assert.ok(stopped);
});
