import assert from 'node:assert/strict';
import { test } from 'node:test';

import { decode, encode, RECURSION_DESIRED, type DecodedPacket, type RecordType } from 'dns-packet';
import * as fc from 'fast-check';

import { respond, UDP_BYTES_MAX, type Transport } from './respond.ts';
import {
  fuzzDnsMessage,
  makePort,
  makeDelta,
  makeService,
  makeView,
  ZONE,
} from './zone.fixture.ts';

const QUESTION = { name: 'web.shop.maesh', type: 'A' } as const;

function opt(fields: {
  size?: number;
  version?: number;
  flags?: number;
}): Parameters<typeof encode>[0] {
  return {
    type: 'query',
    id: 9,
    questions: [QUESTION],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: fields.size ?? 1_232,
        extendedRcode: 0,
        ednsVersion: fields.version ?? 0,
        flags: fields.flags ?? 0,
        flag_do: false,
        options: [],
      },
    ],
  };
}

function ask(message: Buffer, transport: Transport = 'udp'): DecodedPacket & { rcode: string } {
  const response = respond(message, transport, makeView(), ZONE);
  assert.ok(response !== null);
  assert.equal(response.defect, null);
  const packet = decode(response.bytes);
  assert.equal(packet.flag_qr, true);
  assert.ok('rcode' in packet && typeof packet.rcode === 'string');
  return { ...packet, rcode: packet.rcode };
}

function query(name: string, type: RecordType, flags = 0): Buffer {
  return encode({ type: 'query', id: 77, flags, questions: [{ name, type }] });
}

/** Header fields by hand: id 0x1234 and what is given. */
function header(flags: number, counts: readonly [number, number, number, number]): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(0x1234, 0);
  bytes.writeUInt16BE(flags, 2);
  for (const [i, count] of counts.entries()) bytes.writeUInt16BE(count, 4 + 2 * i);
  return bytes;
}

test('respond() copies id, recursion desired and the question, sets AA and not RA', () => {
  const message = query('wEb.Shop.MAESH', 'A', RECURSION_DESIRED);
  const packet = ask(message);
  assert.deepEqual(
    [packet.id, packet.flag_rd, packet.flag_aa, packet.flag_ra],
    [77, true, true, false],
  );
  const response = respond(message, 'udp', makeView(), ZONE);
  const questionBytes = message.subarray(12);
  assert.deepEqual(response?.bytes.subarray(12, 12 + questionBytes.length), questionBytes);
});

test('respond() echoes names that are no text byte for byte', () => {
  const name = Buffer.from([3, 0xff, 0x2e, 0x00, 5, ...Buffer.from('maesh'), 0]);
  const message = Buffer.concat([header(0, [1, 0, 0, 0]), name, Buffer.from([0, 1, 0, 1])]);
  const response = respond(message, 'udp', makeView(), ZONE);
  assert.deepEqual(response?.bytes.subarray(12, 12 + name.length + 4), message.subarray(12));
  assert.equal(response?.rcode, 3);
});

test('respond() drops what is no query or too short to answer', () => {
  const dropped = [Buffer.alloc(0), Buffer.alloc(11), header(0x8000, [1, 0, 0, 0]), ask0x8180()];
  for (const message of dropped) assert.equal(respond(message, 'udp', makeView(), ZONE), null);
});

function ask0x8180(): Buffer {
  const message = query('web.shop.maesh', 'A');
  message.writeUInt16BE(0x8180, 2);
  return message;
}

test('respond() answers FORMERR with the id to malformed queries', () => {
  const name = Buffer.from([5, ...Buffer.from('maesh'), 0]);
  const tail = Buffer.from([0, 1, 0, 1]);
  const long = Buffer.concat([
    ...Array.from({ length: 4 }, () => Buffer.from([63, ...Buffer.alloc(63, 97)])),
    Buffer.from([0]),
  ]);
  const doubleOpt = encode({
    ...opt({}),
    additionals: [...(opt({}).additionals ?? []), ...(opt({}).additionals ?? [])],
  });
  const malformed: Record<string, Buffer> = {
    'no question': header(0, [0, 0, 0, 0]),
    'two questions': Buffer.concat([header(0, [2, 0, 0, 0]), name, tail, name, tail]),
    'an answer': Buffer.concat([header(0, [1, 1, 0, 0]), name, tail]),
    'counts beyond reason': Buffer.concat([header(0, [1, 0, 0, 0xffff]), name, tail]),
    'a question cut off': Buffer.concat([header(0, [1, 0, 0, 0]), name, tail.subarray(0, 3)]),
    'a name cut off': Buffer.concat([header(0, [1, 0, 0, 0]), name.subarray(0, 4)]),
    'a compressed question': Buffer.concat([
      header(0, [1, 0, 0, 0]),
      Buffer.from([0xc0, 0x0c]),
      tail,
    ]),
    'a name over 255 bytes': Buffer.concat([header(0, [1, 0, 0, 0]), long, tail]),
    'an OPT question': encode({
      type: 'query',
      id: 0x1234,
      questions: [{ name: 'maesh', type: 'OPT' }],
    }),
    'two OPT records': doubleOpt,
    'an additional record cut off': encode(opt({})).subarray(0, -3),
  };
  for (const [what, message] of Object.entries(malformed)) {
    const packet = ask(message);
    assert.equal(packet.rcode, 'FORMERR', what);
    assert.equal(packet.id, message.readUInt16BE(0), what);
  }
});

test('respond() answers NOTIMP to other opcodes and keeps the opcode', () => {
  for (const opcode of [1, 2, 4, 5, 15]) {
    const message = Buffer.concat([
      header(opcode << 11, [1, 0, 0, 0]),
      query('maesh', 'SOA').subarray(12),
    ]);
    const packet = ask(message);
    assert.equal(packet.rcode, 'NOTIMP');
    assert.equal(((packet.flags ?? 0) >> 11) & 0xf, opcode);
  }
});

test('respond() has an OPT record when the query has one, with DO copied', () => {
  assert.equal(ask(query('web.shop.maesh', 'A')).additionals?.length, 0);
  const [plain] = ask(encode(opt({}))).additionals ?? [];
  assert.ok(plain?.type === 'OPT');
  assert.deepEqual(
    [plain.udpPayloadSize, plain.ednsVersion, plain.flag_do],
    [UDP_BYTES_MAX, 0, false],
  );
  const [secure] = ask(encode(opt({ flags: 0x8000 }))).additionals ?? [];
  assert.ok(secure?.type === 'OPT' && secure.flag_do);
});

test('respond() answers BADVERS to EDNS versions above 0', () => {
  const response = respond(encode(opt({ version: 1 })), 'udp', makeView(), ZONE);
  assert.equal(response?.rcode, 16);
  const [record] = decode(response.bytes).additionals ?? [];
  assert.ok(record?.type === 'OPT');
  assert.deepEqual([record.extendedRcode, record.ednsVersion], [1, 0]);
  assert.equal(decode(response.bytes).answers?.length, 0);
});

const LONG_DOMAIN = ['d'.repeat(63), 'e'.repeat(63), 'maesh'].join('.');
const LONG_ZONE = { ...ZONE, domains: [LONG_DOMAIN] };

function longView(): ReturnType<typeof makeView> {
  const view = makeView();
  view.apply(
    makeDelta(8, [makeService('shop/long', '127.77.0.8', [makePort('p'.repeat(15), 80)])]),
  );
  return view;
}

test('respond() leaves out additional records before it truncates', () => {
  const message = query(`_${'p'.repeat(15)}._tcp.long.shop.${LONG_DOMAIN}`, 'SRV');
  const whole = respond(message, 'tcp', longView(), LONG_ZONE);
  const short = respond(message, 'udp', longView(), LONG_ZONE);
  assert.ok(whole !== null && short !== null);
  assert.ok(whole.bytes.length > 512 && short.bytes.length <= 512);
  assert.equal(short.truncated, false);
  assert.equal(decode(whole.bytes).additionals?.length, 1);
  assert.equal(decode(short.bytes).additionals?.length, 0);
  assert.deepEqual(decode(short.bytes).answers, decode(whole.bytes).answers);
});

test('respond() truncates to the size the caller takes, between 512 and 1232', () => {
  const name = `nope.shop.${LONG_DOMAIN}`;
  const sized = (size: number): Buffer =>
    encode({ ...opt({ size }), questions: [{ name, type: 'A' }] });
  for (const [message, truncated] of [
    [query(name, 'A'), true],
    [sized(100), true],
    [sized(600), true],
    [sized(1_232), false],
    [sized(65_535), false],
  ] as const) {
    const response = respond(message, 'udp', longView(), LONG_ZONE);
    assert.ok(response !== null);
    const packet = decode(response.bytes);
    assert.deepEqual([response.truncated, packet.flag_tc], [truncated, truncated]);
    assert.equal(packet.authorities?.length, truncated ? 0 : 1);
    assert.equal(response.rcode, 3);
  }
});

test('respond() never truncates over TCP', () => {
  const response = respond(query(`nope.shop.${LONG_DOMAIN}`, 'A'), 'tcp', longView(), LONG_ZONE);
  assert.ok(response !== null && response.bytes.length > 512 && !response.truncated);
});

test('respond() survives any bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fuzzDnsMessage), { numRuns: 2_000 });
});

test('respond() survives any change to a good query', () => {
  const good = encode({
    ...opt({ flags: 0x8000 }),
    questions: [{ name: '_http._tcp.web.shop.maesh', type: 'SRV' }],
  });
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 4 }), fc.nat(good.length), (changes, length) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of changes) bytes[at] = value;
      fuzzDnsMessage(bytes.subarray(0, length));
      fuzzDnsMessage(bytes);
    }),
    { numRuns: 2_000 },
  );
});

test('respond() answers every name in a domain with that zone', () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
  const type = fc.constantFrom<RecordType>('A', 'AAAA', 'SRV', 'SOA', 'NS', 'TXT');
  fc.assert(
    fc.property(fc.array(label, { maxLength: 6 }), type, (labels, type) => {
      const packet = ask(query([...labels, 'Maesh'].join('.'), type));
      assert.ok(packet.rcode === 'NOERROR' || packet.rcode === 'NXDOMAIN');
      assert.equal(packet.flag_aa, true);
      const isEmpty = packet.answers?.length === 0;
      assert.equal(packet.authorities?.length, isEmpty ? 1 : 0);
    }),
  );
});
