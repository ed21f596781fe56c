import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Head } from './head.ts';

test('reset() leaves nothing of the message before: a codec fills in only what its messages have', () => {
  const head = new Head(4);
  const used = head as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(used)) {
    if (typeof value === 'number') used[name] = 77;
    else if (typeof value === 'boolean') used[name] = !value;
  }
  head.failure = 'bad_request';
  head.rule = 'host_missing';
  head.reset();
  assert.deepEqual(head, new Head(4));
});
