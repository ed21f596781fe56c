import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ManualClock } from './clock.ts';
import { Guard } from './guard.ts';
import { createLog } from './log.ts';

test('Guard lets nothing out, drops what the defect came with, counts all and logs one in ten seconds', async () => {
  const lines: string[] = [];
  const clock = new ManualClock();
  const log = createLog({
    level: 'info',
    format: 'common',
    clock,
    write: (l) => lines.push(l),
  });
  const guard = new Guard(clock, log);
  const dropped: string[] = [];
  const handle = guard.wrap(
    'dns',
    (text: string) => {
      if (text === 'bad') throw new RangeError('out of range');
    },
    (text) => dropped.push(text),
  );
  handle('good');
  handle('bad');
  handle('bad');
  assert.deepEqual(dropped, ['bad', 'bad']);
  assert.equal(guard.counts.get('dns'), 2);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? '',
    /ERROR A defect in maesh.* part=dns error="RangeError: out of range\\n/,
  );
  clock.advance(10_000);
  handle('bad');
  assert.match(lines[1] ?? '', /alsoCaught=1/);
});
