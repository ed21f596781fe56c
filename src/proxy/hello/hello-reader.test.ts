import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  alpn,
  clientHello,
  extension,
  GREASE,
  helloMessage,
  type HelloParts,
  inRecords,
  serverName,
  serverNames,
  tellHello,
  type Told,
  u16,
} from '../../../test/support/client-hello.ts';
import {
  HELLO_BYTES_MAX,
  HELLO_OTHER,
  HELLO_PARTIAL,
  HELLO_WHOLE,
  HelloWatch,
} from '../net/tls/hello-watch.ts';
import { HelloReader } from './hello-reader.ts';

function readerOf(bytes: Buffer, cuts: readonly number[] = []): HelloReader {
  const reader = new HelloReader();
  let from = 0;
  for (const to of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    // Behind other bytes, as in a read buffer.
    const data = Buffer.concat([Buffer.from('xx'), bytes.subarray(from, to), Buffer.from('yy')]);
    reader.push(data, 2, data.length - 2);
    from = to;
  }
  return reader;
}

function told(reader: HelloReader): Told {
  if (reader.fault !== null) return 'bad';
  return reader.hello ?? 'more';
}

const none = { serverName: '', protocols: [] };

/** As browsers send it to servers that have none: outer, HKDF-SHA256 with AES-128-GCM, a number, a key, and what cannot be read. */
const ECH_GREASE = extension(
  0xfe0d,
  Buffer.concat([
    Buffer.from([0, 0, 1, 0, 1, 77]),
    u16(32),
    Buffer.alloc(32, 5),
    u16(208),
    Buffer.alloc(208, 6),
  ]),
);

const GOOD: readonly (readonly [what: string, parts: HelloParts, serverName: string])[] = [
  ['a name', {}, 'a.example'],
  ['a name in capitals', { name: 'A.Example' }, 'a.example'],
  ['a name with a dot at its end', { name: 'a.example.' }, 'a.example'],
  ['an underscore', { name: 'a_b.example' }, 'a_b.example'],
  ['an A-label', { name: 'xn--bcher-kva.example' }, 'xn--bcher-kva.example'],
  ['one label', { name: 'localhost' }, 'localhost'],
  ['an address', { name: '127.0.0.1' }, ''],
  ['an address of IPv6', { name: '::1' }, ''],
  ['no name', { name: null }, ''],
  ['no extensions', { isBare: true }, ''],
  ['GREASE', { extensions: GREASE }, 'a.example'],
  ['GREASE of Encrypted ClientHello', { extensions: [ECH_GREASE] }, 'a.example'],
  ['TLS 1.0', { version: 0x0301 }, 'a.example'],
  ['one byte in each record', { recordBytes: 1 }, 'a.example'],
  ['three bytes in each record', { recordBytes: 3 }, 'a.example'],
  [
    'keys of post-quantum size',
    { extensions: [extension(51, Buffer.alloc(12_000))], recordBytes: 5_000 },
    'a.example',
  ],
  [
    'a name of another kind beside it',
    { name: null, extensions: [serverNames(serverName('x', 9), serverName('b.example'))] },
    'b.example',
  ],
];

for (const [what, parts, name] of GOOD) {
  test(`${what}: the server is "${name}"`, () => {
    const bytes = clientHello(parts);
    const reader = readerOf(bytes);
    assert.equal(reader.fault, null);
    assert.equal(reader.hello?.serverName, name);
    assert.deepEqual(reader.kept, bytes);
  });
}

test('protocols are those of ALPN in their order, each byte a character', () => {
  const protocols = ['h2', 'http/1.1', '\xff\x00'];
  assert.deepEqual(readerOf(clientHello({ protocols })).hello?.protocols, protocols);
});

test('what comes behind the hello is kept, and changes nothing', () => {
  const bytes = Buffer.concat([clientHello(), Buffer.from('early data, whatever it is')]);
  const reader = readerOf(bytes, [10, 60]);
  assert.equal(reader.hello?.serverName, 'a.example');
  reader.push(Buffer.alloc(70_000, 1), 0, 70_000);
  assert.equal(reader.hello?.serverName, 'a.example');
  assert.equal(reader.keptBytes, bytes.length + 70_000);
  assert.deepEqual(reader.kept.subarray(0, bytes.length), bytes);
});

const bare = helloMessage({ name: null });

const BAD: readonly (readonly [what: string, bytes: Buffer, fault: string])[] = [
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'no TLS'],
  ['PostgreSQL in plain', Buffer.from([0, 0, 0, 40, 0, 3, 0, 0]), 'no TLS'],
  ['one byte that is no TLS', Buffer.from([0]), 'no TLS'],
  ['SSL 2', Buffer.from([0x80, 46, 1, 0, 2, 0, 21]), 'no TLS'],
  ['an alert', Buffer.from([21, 3, 1, 0, 2, 1, 0]), 'no TLS'],
  ['a major version of 2', Buffer.from([22, 2, 0]), 'another version than TLS 1.0 to 1.3'],
  ['an empty record', Buffer.from([22, 3, 1, 0, 0]), 'an empty or too long record'],
  ['a long record', Buffer.from([22, 3, 1, 0x40, 1]), 'an empty or too long record'],
  ['a ServerHello', Buffer.from([22, 3, 1, 0, 4, 2]), 'another message than a ClientHello'],
  [
    'a record of another kind inside',
    Buffer.concat([inRecords(helloMessage().subarray(0, 20)), Buffer.from([23, 3, 3, 0, 1, 0])]),
    'a record of another kind than a handshake',
  ],
  ['a message of 16 MiB', Buffer.from([22, 3, 1, 0, 4, 1, 255, 255, 255]), 'too long'],
  [
    'one byte more than may be',
    clientHello({ extensions: [extension(51, Buffer.alloc(HELLO_BYTES_MAX))] }),
    'too long',
  ],
  ['a NUL in the name', clientHello({ name: 'a.example\0b' }), 'a server name that is no name'],
  ['a blank in the name', clientHello({ name: 'a b' }), 'a server name that is no name'],
  ['a name of UTF-8', clientHello({ name: 'b\xfccher.example' }), 'a server name that is no name'],
  ['an empty label', clientHello({ name: 'a..example' }), 'a server name that is no name'],
  ['a star', clientHello({ name: '*.example' }), 'a server name that is no name'],
  ['a long name', clientHello({ name: 'a.'.repeat(128) }), 'a server name that is no name'],
  ['a long label', clientHello({ name: 'a'.repeat(64) }), 'a server name that is no name'],
  ['an empty name', clientHello({ name: '' }), 'a server name that is no name'],
  [
    'two names',
    clientHello({ name: null, extensions: [serverNames(serverName('a'), serverName('b'))] }),
    'a server name that is no name',
  ],
  [
    'two extensions of names',
    clientHello({ extensions: [serverNames(serverName('b'))] }),
    'an extension that is there twice',
  ],
  [
    'two of anything',
    clientHello({ extensions: [...GREASE, ...GREASE] }),
    'an extension that is there twice',
  ],
  [
    'no names',
    clientHello({ name: null, extensions: [serverNames()] }),
    'lengths that do not add up',
  ],
  [
    'an empty extension',
    clientHello({ name: null, extensions: [extension(0, u16(0).subarray(2))] }),
    'lengths that do not add up',
  ],
  ['no protocols', clientHello({ extensions: [alpn([])] }), 'lengths that do not add up'],
  [
    'an empty protocol',
    clientHello({ extensions: [alpn(['h2', ''])] }),
    'lengths that do not add up',
  ],
  ['bytes behind the extensions', inRecords(grown(bare, 1)), 'lengths that do not add up'],
  ['an end too early', inRecords(cut(bare, 1)), 'lengths that do not add up'],
  [
    'an extension that is longer than all of them',
    clientHello({ name: null, extensions: [Buffer.from([0, 51, 0, 9, 1])] }),
    'lengths that do not add up',
  ],
];

/** The length in the header says what is there. */
function grown(message: Buffer, bytes: number): Buffer {
  const all = Buffer.concat([message, Buffer.alloc(bytes)]);
  all.writeUIntBE(all.length - 4, 1, 3);
  return all;
}

function cut(message: Buffer, bytes: number): Buffer {
  const all = Buffer.from(message.subarray(0, message.length - bytes));
  all.writeUIntBE(all.length - 4, 1, 3);
  return all;
}

for (const [what, bytes, fault] of BAD) {
  test(`${what}: ${fault}`, () => {
    const reader = readerOf(bytes);
    assert.equal(reader.fault, fault);
    assert.equal(reader.hello, null);
  });
}

test('the longest hello is read', () => {
  const room =
    HELLO_BYTES_MAX - clientHello({ extensions: [extension(51, Buffer.alloc(0))] }).length;
  // One more record.
  const longest = clientHello({ extensions: [extension(51, Buffer.alloc(room - 5))] });
  assert.equal(longest.length, HELLO_BYTES_MAX);
  assert.equal(readerOf(longest).hello?.serverName, 'a.example');
  const longer = clientHello({ extensions: [extension(51, Buffer.alloc(room - 4))] });
  assert.equal(readerOf(longer).fault, 'too long');
});

test('a hello that comes byte by byte, in records of one byte, costs no more than its bytes', () => {
  const message = helloMessage({ extensions: [extension(51, Buffer.alloc(5_000))] });
  const bytes = inRecords(message, 1);
  const started = process.cpuUsage().user;
  const reader = new HelloReader();
  for (let at = 0; at < bytes.length; at++) reader.push(bytes, at, at + 1);
  assert.equal(reader.hello?.serverName, 'a.example');
  const ms = (process.cpuUsage().user - started) / 1_000;
  assert.ok(ms < 300, `${ms} ms for ${bytes.length} bytes`);
});

const label = fc.stringMatching(/^[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,8}[a-zA-Z0-9_])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
const parts = fc.record({
  name: fc.option(name),
  protocols: fc.array(fc.stringMatching(/^[ -~]{1,9}$/), { maxLength: 3 }),
  recordBytes: fc.integer({ min: 1, max: 200 }),
  extensions: fc.constantFrom<readonly Buffer[]>([], GREASE, [extension(51, Buffer.alloc(1_300))]),
});

test('whatever reads cut it into, a hello says the same, and to a second reader too', () => {
  fc.assert(
    fc.property(parts, fc.array(fc.nat(2_000), { maxLength: 9 }), (given, at) => {
      const bytes = clientHello(given);
      const cuts = at.map((each) => each % (bytes.length + 1));
      const reader = readerOf(bytes, cuts);
      const whole = tellHello(bytes);
      assert.deepEqual(told(reader), whole);
      assert.deepEqual(reader.kept, bytes);
      assert.notEqual(whole, 'bad');
    }),
  );
});

test('bytes that were changed anywhere say the same to both readers, however they are cut', () => {
  const change = fc.tuple(fc.nat(500), fc.nat(255));
  fc.assert(
    fc.property(
      parts,
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.nat(500),
      (given, changes, at) => {
        const bytes = clientHello(given);
        for (const [where, value] of changes) bytes[where % bytes.length] = value;
        const wanted = tellHello(bytes);
        assert.deepEqual(told(readerOf(bytes, [at % bytes.length])), wanted);
        for (let length = 0; length < bytes.length; length += 37)
          assert.deepEqual(
            told(readerOf(bytes.subarray(0, length))),
            tellHello(bytes.subarray(0, length)),
          );
      },
    ),
    { numRuns: 300 },
  );
});

/** What whoever keeps no byte says of them, one at a time, and of how many. */
function watched(bytes: Buffer): { readonly at: number; readonly watch: HelloWatch } {
  const watch = new HelloWatch();
  for (let at = 0; at < bytes.length; at++) {
    const state = watch.feed(bytes, at, at + 1);
    if (state === HELLO_PARTIAL) continue;
    assert.equal(state === HELLO_OTHER, watch.fault !== null && at < 2);
    return { at: at + 1, watch };
  }
  return { at: Infinity, watch };
}

const plain = { name: 'a.example', protocols: [], recordBytes: 9_999, extensions: [] };
/** Nothing is changed; the type of the record is; the length of the message; that of the record, too. */
const EXAMPLES: [typeof plain, [at: number, value: number][]][] = [
  [plain, []],
  [plain, [[0, 0]]],
  [plain, [[6, 255]]],
  [
    plain,
    [
      [3, 32],
      [7, 16],
    ],
  ],
];

test('who keeps the bytes, who does not, and a second reader know at the same byte that it is over, and how', () => {
  const change = fc.tuple(fc.nat(40), fc.nat(255));
  const outcomes = new Set<unknown>();
  fc.assert(
    fc.property(parts, fc.array(change, { maxLength: 2 }), (given, changes) => {
      const bytes = Buffer.concat([clientHello(given), Buffer.from('and more')]);
      for (const [where, value] of changes) bytes[where] = value;
      const { at, watch } = watched(bytes);
      const last = Math.min(at, bytes.length);
      assert.equal(tellHello(bytes.subarray(0, last - 1)), 'more');
      assert.equal(told(readerOf(bytes.subarray(0, last - 1))), 'more');
      const reader = readerOf(bytes.subarray(0, last));
      const wanted = tellHello(bytes.subarray(0, last));
      assert.deepEqual(told(reader), wanted);
      assert.equal(wanted === 'more', at === Infinity);
      if (watch.fault !== null) assert.equal(reader.fault, watch.fault);
      outcomes.add(watch.fault ?? (at === Infinity ? 'more' : typeof wanted));
      // All at once, behind others.
      const again = new HelloWatch();
      const state = again.feed(Buffer.concat([Buffer.from('xyz'), bytes]), 3, 3 + bytes.length);
      assert.equal(again.fault, watch.fault);
      assert.equal(state === HELLO_WHOLE, at < Infinity && (watch.fault === null || at > 2));
    }),
    { numRuns: 500, examples: EXAMPLES },
  );
  for (const seen of ['object', 'no TLS', 'too long', 'more']) assert.ok(outcomes.has(seen), seen);
});

test('a hello is whole with its own last byte, though its record goes on', () => {
  const message = helloMessage();
  const bytes = inRecords(Buffer.concat([message, Buffer.alloc(40, 1)]));
  const end = 5 + message.length;
  assert.equal(told(readerOf(bytes.subarray(0, end - 1))), 'more');
  for (const length of [end, end + 20, bytes.length])
    assert.equal(readerOf(bytes.subarray(0, length)).hello?.serverName, 'a.example');
});

test('no hello at all asks for nobody', () => {
  assert.deepEqual(readerOf(clientHello({ isBare: true })).hello, none);
});
