import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  HELLO_BYTES_MAX,
  HELLO_OTHER,
  HELLO_PARTIAL,
  HELLO_WHOLE,
  type HelloState,
  HelloWatch,
  isHandshake,
} from './hello-watch.ts';

/** A message of this length, its head included, over records of at most so many bytes. */
function hello(length: number, recordMax = 16_384): Buffer {
  const message = Buffer.alloc(length, 0xab);
  message[0] = 1;
  message.writeUIntBE(length - 4, 1, 3);
  const records: Buffer[] = [];
  for (let at = 0; at < length; at += recordMax) {
    const content = message.subarray(at, at + recordMax);
    records.push(Buffer.from([22, 3, 1, content.length >> 8, content.length & 255]), content);
  }
  return Buffer.concat(records);
}

/** What is said of the pieces, up to the first that is not HELLO_PARTIAL. */
function states(...pieces: readonly Buffer[]): HelloState[] {
  const watch = new HelloWatch();
  const said: HelloState[] = [];
  for (const piece of pieces) {
    said.push(watch.feed(piece, 0, piece.length));
    if (said.at(-1) !== HELLO_PARTIAL) break;
  }
  return said;
}

test('a first message is whole with its last byte, however it is cut into records and reads', () => {
  for (const length of [5, 300, 1_800, 20_000])
    for (const recordMax of [1, 2, 3, 4, 5, 100, 16_384]) {
      const bytes = hello(length, recordMax);
      assert.deepEqual(states(bytes), [HELLO_WHOLE]);
      const single = states(...Array.from(bytes, (byte) => Buffer.of(byte)));
      // No more is waited for than may come.
      const last = Math.min(bytes.length, HELLO_BYTES_MAX + 1);
      assert.equal(single.length, last, `${length} bytes in records of ${recordMax}`);
      assert.equal(single.at(-1), HELLO_WHOLE);
      const at = Math.floor(last / 2);
      assert.deepEqual(states(bytes.subarray(0, at), bytes.subarray(at)), [
        HELLO_PARTIAL,
        HELLO_WHOLE,
      ]);
    }
});

test('no TLS is told by its first or second byte', () => {
  for (const text of ['GET / HTTP/1.1\r\n', '\0', '\x16\x02', '\x15\x03\x01', 'PRI * HTTP/2.0'])
    assert.deepEqual(states(Buffer.from(text, 'latin1')), [HELLO_OTHER], text);
  assert.deepEqual(states(Buffer.of(0x16), Buffer.of(0x47)), [HELLO_PARTIAL, HELLO_OTHER]);
});

test('what is wrong further on is left to TLS at once', () => {
  for (const [what, hex] of [
    ['an empty record', '1603010000'],
    ['a record that is too long', '1603014001'],
    ['another message', '160301000502'],
    ['an empty message', '160301000401000000'],
    ['a message without end', '160301400001ffffff'],
    ['another record in the middle', '16030100040100000515'],
    ['another protocol in the middle', '1603010004010000051602'],
  ] as const)
    assert.deepEqual(states(Buffer.from(hex, 'hex')), [HELLO_WHOLE], what);
});

test('bytes at random never hold it up or break it', () => {
  let seed = 7;
  const next = (): number => (seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff) >>> 8;
  for (let run = 0; run < 5_000; run++) {
    const bytes = hello(5 + (next() % 200), 1 + (next() % 50));
    for (let i = 0; i < 3; i++) bytes[next() % bytes.length] = next() & 255;
    const said = states(...Array.from(bytes, (byte) => Buffer.of(byte)));
    assert.ok(said.every((state, i) => state === HELLO_PARTIAL || i === said.length - 1));
  }
});

test('isHandshake() knows the first two bytes', () => {
  assert.equal(isHandshake(hello(100), 0), true);
  assert.equal(isHandshake(Buffer.from('GET'), 0), false);
  assert.ok(HELLO_BYTES_MAX > hello(16_384, 1_024).length);
});
