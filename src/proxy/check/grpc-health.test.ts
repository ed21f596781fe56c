import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkRequest, servingStatus } from './grpc-health.ts';

/** A body of one message. */
function framed(...message: number[]): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, Buffer.from(message)]);
}

test('checkRequest() is a frame with the name of the service, or nothing', () => {
  assert.equal(checkRequest('').toString('hex'), '0000000000');
  assert.equal(checkRequest('a.B').toString('hex'), '00000000050a03612e42');
  const long = checkRequest('x'.repeat(200));
  assert.equal(long.readUInt32BE(1), long.length - 5);
  assert.deepEqual([...long.subarray(5, 8)], [0x0a, 0xc8, 0x01]);
});

test('servingStatus() reads what a server may send', () => {
  assert.equal(servingStatus(framed(8, 1)), 1);
  assert.equal(servingStatus(framed(8, 2)), 2);
  assert.equal(servingStatus(framed()), 0, 'the default is not sent');
  assert.equal(servingStatus(framed(8, 2, 8, 1)), 1, 'the last one counts');
  assert.equal(servingStatus(framed(8, 0x81, 0)), 1, 'longer than it has to be');
  const unknown = [0x12, 2, 9, 9, 0x18, 5, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x2d, 1, 2, 3, 4];
  assert.equal(servingStatus(framed(...unknown, 8, 1)), 1, 'fields of later versions');
  assert.equal(
    servingStatus(framed(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)),
    2 ** 32 - 1,
  );
});

test('servingStatus() takes nothing else', () => {
  const bad: readonly (readonly [string, Buffer])[] = [
    ['no frame', Buffer.alloc(0)],
    ['half a frame', Buffer.alloc(4)],
    ['compressed', Buffer.from([1, 0, 0, 0, 2, 8, 1])],
    ['longer than it says', Buffer.concat([framed(8, 1), Buffer.alloc(1)])],
    ['shorter than it says', framed(8, 1).subarray(0, 6)],
    ['two messages', Buffer.concat([framed(8, 1), framed(8, 1)])],
    ['a number that does not end', framed(8, 0x80)],
    ['a number of more than ten bytes', framed(8, ...Array.from({ length: 10 }, () => 0x80), 1)],
    ['a tag without a value', framed(8)],
    ['field 0', framed(0, 1)],
    ['a text beyond the end', framed(0x12, 200, 1)],
    ['a text whose length does not end', framed(0x12, 0x80)],
    ['a number of 8 bytes beyond the end', framed(0x21, 1)],
    ['a number of 4 bytes beyond the end', framed(0x2d, 1)],
    ['a group', framed(0x0b, 0x0c)],
    ['a kind that does not exist', framed(0x0f)],
  ];
  for (const [what, body] of bad) assert.equal(servingStatus(body), null, what);
});

test('servingStatus() ends with a number or null, whatever comes', () => {
  const message = fc.uint8Array({ maxLength: 64 });
  fc.assert(
    fc.property(message, fc.boolean(), (bytes, isFramed) => {
      const body = isFramed ? framed(...bytes) : Buffer.from(bytes);
      const status = servingStatus(body);
      assert.ok(status === null || (Number.isInteger(status) && status >= 0 && status < 2 ** 32));
    }),
    { numRuns: 3_000 },
  );
});

test('what follows the fields that are not known does not change the status', () => {
  const field = fc.oneof(
    fc.uint8Array({ maxLength: 8 }).map((bytes) => [0x1a, bytes.length, ...bytes]),
    fc.integer({ min: 0, max: 127 }).map((value) => [0x20, value]),
  );
  fc.assert(
    fc.property(
      fc.array(field, { maxLength: 6 }),
      fc.integer({ min: 0, max: 127 }),
      (rest, status) => {
        const at = rest.length >> 1;
        const bytes = [...rest.slice(0, at).flat(), 8, status, ...rest.slice(at).flat()];
        assert.equal(servingStatus(framed(...bytes)), status);
      },
    ),
    { numRuns: 500 },
  );
});
