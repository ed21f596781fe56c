import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { frame, MessageReader } from './framing.ts';

test('MessageReader finds the same messages however the stream is cut', () => {
  const message = fc.uint8Array({ minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 50 })),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map((bytes) => frame(Buffer.from(bytes))));
        const seen: Buffer[] = [];
        const reader = new MessageReader(40, (bytes) => seen.push(Buffer.from(bytes)));
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          assert.equal(reader.push(stream.subarray(at, at + cut)), true);
          at += cut;
        }
        assert.deepEqual(
          seen,
          messages.map((bytes) => Buffer.from(bytes)),
        );
      },
    ),
  );
});

test('MessageReader refuses empty and oversized messages as soon as their length is known', () => {
  const reader = (): MessageReader =>
    new MessageReader(40, () => assert.fail('no message expected'));
  assert.equal(reader().push(Buffer.from([0, 0])), false);
  assert.equal(reader().push(Buffer.from([0, 41])), false);
  assert.equal(reader().push(Buffer.from([0, 40])), true);
});
