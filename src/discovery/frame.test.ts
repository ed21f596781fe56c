import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeFrame, FLAG, FRAME_TYPE, FrameReader, HEAD_BYTES, type Frame } from './frame.ts';
import { PAYLOAD_BYTES_MAX, readPayload, readPlain, textFrame } from './payload.ts';

const frames = fc.array(
  fc.record(
    {
      type: fc.integer({ min: 0, max: 255 }),
      flags: fc.integer({ min: 0, max: 255 }),
      version: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      payload: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 6 },
);

function collect(payloadBytesMax = 1_000): { reader: FrameReader; got: Frame[] } {
  const got: Frame[] = [];
  const reader = new FrameReader(payloadBytesMax, (frame) =>
    got.push({ ...frame, payload: Buffer.from(frame.payload) }),
  );
  return { reader, got };
}

test('FrameReader reads what encodeFrame() wrote, however it is cut', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(80)), (list, cuts) => {
      const bytes = Buffer.concat(list.map(encodeFrame));
      const { reader, got } = collect();
      let at = 0;
      for (const cut of cuts) {
        assert.equal(reader.push(bytes.subarray(at, at + cut)), null);
        at += cut;
      }
      assert.equal(reader.push(bytes.subarray(at)), null);
      assert.deepEqual(got, list);
      assert.ok(reader.isBetweenFrames);
    }),
  );
});

test('FrameReader refuses a payload above its bound from the head alone, with nothing allocated', () => {
  const { reader, got } = collect(10);
  const head = encodeFrame({ type: 9, flags: 0, version: 1, payload: Buffer.alloc(11) });
  assert.match(
    reader.push(head.subarray(0, HEAD_BYTES)) ?? '',
    /type 9 has 11 bytes, more than 10/,
  );
  assert.deepEqual(got, []);
});

test('FrameReader refuses a version that a number cannot hold', () => {
  const frame = encodeFrame({ type: 1, flags: 0, version: 0, payload: Buffer.alloc(0) });
  frame[8] = 1;
  assert.match(collect().reader.push(frame) ?? '', /above 2\^53/);
});

test('stop() ends the frames of the chunk that is being read', () => {
  const frame = encodeFrame({ type: 1, flags: 0, version: 0, payload: Buffer.from('x') });
  let count = 0;
  const reader = new FrameReader(100, () => {
    count += 1;
    reader.stop();
  });
  assert.equal(reader.push(Buffer.concat([frame, frame])), null);
  assert.equal(count, 1);
});

test('textFrame() compresses what is long, and readPayload() gives it back', () => {
  const head = { type: FRAME_TYPE.part, flags: FLAG.mustUnderstand, version: 7 };
  for (const text of ['short', 'long '.repeat(1_000)]) {
    const bytes = textFrame(head, JSON.stringify(text));
    const { reader, got } = collect(PAYLOAD_BYTES_MAX);
    reader.push(bytes);
    assert.ok(bytes.length < 200);
    assert.equal(readPayload(got[0]!), text);
    assert.equal(got[0]!.flags & FLAG.zstd, text === 'short' ? 0 : FLAG.zstd);
  }
});

test('readPayload() refuses a bomb, broken compression and broken JSON, and quotes none of it', () => {
  const big = textFrame({ type: 4, flags: 0, version: 0 }, JSON.stringify('a'.repeat(100_000)));
  const payload = big.subarray(HEAD_BYTES);
  const frame = { type: 4, flags: FLAG.zstd, version: 0, payload };
  assert.throws(() => readPayload(frame, 50_000), /type 4 cannot be decompressed/);
  assert.throws(() => readPayload({ ...frame, payload: Buffer.from('zz') }), /decompressed/);
  assert.throws(() => readPlain(frame), /type 4 must not be compressed/);
  // A frame of zstd that asks for a window of 128 MiB, and has one empty block.
  const greedy = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0]);
  assert.throws(() => readPayload({ ...frame, payload: greedy }), /cannot be decompressed/);
  const secret = { ...frame, flags: 0, payload: Buffer.from('{"token": secret}') };
  assert.throws(
    () => readPlain(secret),
    (error: Error) => error.message.endsWith('is not JSON') && !error.message.includes('secret'),
  );
});
