/** The parts of gRPC-Web by themselves: any split of their bytes gives the same. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Base64Decoder } from './base64-decoder.ts';
import { Base64Encoder, encodedBytesMax } from './base64-encoder.ts';
import { MessageScan } from './message-scan.ts';
import { trailerFrame } from './trailer-frame.ts';

const bytes = fc.uint8Array({ maxLength: 400 }).map((each) => Buffer.from(each));
const cuts = fc.array(fc.nat(600), { maxLength: 8 });

/** Cut at these places, in order. */
function pieces(of: Buffer, at: readonly number[]): Buffer[] {
  const bounds = [0, ...at.map((each) => Math.min(each, of.length)).sort((a, b) => a - b)];
  return [...bounds, of.length].slice(1).map((end, i) => of.subarray(bounds[i], end));
}

/** All that comes out, 'broken' where it is no base64, 'open' where it ends in the middle of a group. */
function decode(text: Buffer, at: readonly number[], room: number): Buffer | 'broken' | 'open' {
  const decoder = new Base64Decoder();
  const out = Buffer.alloc(room);
  const got: Buffer[] = [];
  for (const piece of pieces(text, at)) {
    // Something else stands around it, as in a buffer of the thread.
    const data = Buffer.concat([Buffer.from('!!'), piece, Buffer.from('A!')]);
    const end = 2 + piece.length;
    for (let from = 2; from < end;) {
      from = decoder.read(data, from, end, out);
      if (from < 0) return 'broken';
      got.push(Buffer.from(out.subarray(0, decoder.written)));
    }
  }
  return decoder.isWhole ? Buffer.concat(got) : 'open';
}

function encode(parts: readonly Buffer[], at: readonly number[]): string {
  const encoder = new Base64Encoder();
  let text = '';
  for (const part of parts) {
    for (const piece of pieces(part, at)) {
      const out = Buffer.alloc(encodedBytesMax(piece.length));
      text += out.toString('latin1', 0, encoder.write(piece, 0, piece.length, out, 0));
    }
    const out = Buffer.alloc(4);
    text += out.toString('latin1', 0, encoder.end(out, 0));
  }
  return text;
}

test('base64 of parts, each with its padding, is decoded to the same, however it is cut and however small the room', () => {
  fc.assert(
    fc.property(
      fc.array(bytes, { maxLength: 5 }),
      cuts,
      fc.integer({ min: 3, max: 64 }),
      (parts, at, room) => {
        const text = Buffer.from(parts.map((part) => part.toString('base64')).join(''));
        assert.deepEqual(decode(text, at, room), Buffer.concat(parts));
      },
    ),
  );
});

test('any text is decoded, or refused, alike wherever it is cut', () => {
  const alphabet = fc.constantFrom(
    'A',
    'B',
    'a',
    'b',
    '0',
    '1',
    '+',
    '/',
    '=',
    '=',
    '-',
    '_',
    ' ',
    '\n',
    '\0',
    'é',
  );
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 24 }), cuts, (characters, at) => {
      const text = Buffer.from(characters.join(''), 'latin1');
      const groups = text.toString('latin1').match(/[^]{1,4}/g) ?? [];
      const isGood = groups.every(
        (each) => Buffer.from(each, 'base64').toString('base64') === each,
      );
      const whole = decode(text, [], 64);
      assert.deepEqual(decode(text, at, 3), whole);
      if (isGood)
        assert.deepEqual(whole, Buffer.concat(groups.map((each) => Buffer.from(each, 'base64'))));
      else
        assert.ok(
          typeof whole === 'string',
          `${text.toString('latin1')} became ${whole.toString('hex')}`,
        );
    }),
  );
});

for (const text of ['=', 'A=', 'A===', 'AA=A', 'AB==', 'AAB=', 'AAA-', 'AAA AAAA', 'AAA\r\nA'])
  test(`${JSON.stringify(text)} is no base64`, () => {
    assert.equal(decode(Buffer.from(text), [], 64), 'broken');
  });

for (const text of ['A', 'AA', 'AA=', 'AAA', 'AAAAA'])
  test(`"${text}" is not all of its base64`, () => {
    assert.equal(decode(Buffer.from(text), [], 64), 'open');
  });

test('what is encoded in pieces is encoded as a whole, with padding only where a part ends', () => {
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 4 }), cuts, (parts, at) => {
      const wanted = parts.map((part) => part.toString('base64')).join('');
      assert.equal(encode(parts, at), wanted);
    }),
  );
});

const message = fc.tuple(fc.constantFrom(0, 1, 0x7f), bytes).map(([flags, content]) => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(content.length, 1);
  return Buffer.concat([prefix, content]);
});

test('the ends of messages, and no other places, are between messages, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), cuts, (messages, at) => {
      const ends = new Set([0]);
      let length = 0;
      for (const each of messages) ends.add((length += each.length));
      const scan = new MessageScan();
      let read = 0;
      for (const piece of pieces(Buffer.concat(messages), at)) {
        assert.ok(scan.read(piece, 0, piece.length));
        read += piece.length;
        assert.equal(scan.isBetween, ends.has(read), `after ${read} bytes`);
      }
    }),
  );
});

test('a message as long as four bytes can say is not taken for a negative one', () => {
  const scan = new MessageScan();
  const prefix = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
  assert.ok(scan.read(prefix, 0, 5));
  const content = Buffer.alloc(65_535, 0x80);
  for (let left = 0xffffffff; left > 0; left -= content.length) {
    assert.ok(!scan.isBetween);
    assert.ok(scan.read(content, 0, Math.min(left, content.length)));
  }
  assert.ok(scan.isBetween);
});

test('what passes for trailers is no message, and nothing behind it is', () => {
  const scan = new MessageScan();
  const content = Buffer.from([0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0]);
  assert.ok(scan.read(content, 0, 5));
  assert.ok(!scan.read(content, 5, 10));
  assert.ok(!scan.isBetween);
  assert.ok(!scan.read(content, 0, 5));
});

test('trailers are a frame with their length, their names in lower case and their values as they are', () => {
  const lines = 'Grpc-Status: 5\r\nX-Bin: QUJD: D\r\n';
  const frame = trailerFrame(Buffer.from(lines));
  assert.deepEqual([...frame.subarray(0, 5)], [0x80, 0, 0, 0, lines.length]);
  assert.equal(frame.toString('latin1', 5), 'grpc-status: 5\r\nx-bin: QUJD: D\r\n');
});
