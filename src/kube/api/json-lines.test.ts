import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { EVENT_BYTES_MAX, JsonLines } from './json-lines.ts';

function decode(bytes: Buffer, sizes: readonly number[]): unknown[] {
  const lines = new JsonLines();
  const values: unknown[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? 1;
    lines.push(bytes.subarray(at, at + size), (value) => values.push(value));
    at += size;
  }
  return values;
}

test('push() gives the same values wherever chunks end, in any script', () => {
  const value = fc.oneof(
    fc.json(),
    fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  );
  fc.assert(
    fc.property(
      fc.array(value),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (texts, sizes) => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''));
        assert.deepEqual(
          decode(bytes, sizes),
          texts.map((text): unknown => JSON.parse(text)),
        );
      },
    ),
  );
});

test('push() keeps what follows a long line and gives its buffer back', () => {
  const long = 'ä'.repeat(100_000);
  const bytes = Buffer.from(`${JSON.stringify(long)}\n{"a":1}\n"rest"`);
  assert.deepEqual(decode(bytes, [70_001]), [long, { a: 1 }]);
});

test('push() refuses what is no JSON, and lines without an end', () => {
  assert.throws(
    () => decode(Buffer.from('{"secret":\n'), [100]),
    (error: Error) => error.message.endsWith('it is not JSON') && !/secret/.test(inspect(error)),
  );
  const lines = new JsonLines();
  const chunk = Buffer.alloc(1_048_576, 'x');
  assert.throws(
    () => {
      for (let i = 0; i < 17; i++) lines.push(chunk, () => undefined);
    },
    new RegExp(`longer than ${EVENT_BYTES_MAX} bytes`),
  );
});
