import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { addressBytes, addressText } from './address-bytes.ts';
import { crc32c } from './crc32c.ts';
import { headerOf, type Origin, ownHeader, UNKNOWN, unknownHeader } from './header.ts';
import { parseProxyHeader, PROXY_HEADER_BYTES_MAX } from './parse.ts';

const V4: Origin = { address: '192.0.2.7', port: 4_711, toAddress: '10.9.0.1', toPort: 5_432 };
const V6: Origin = { address: '2001:db8::7', port: 1, toAddress: 'fd00::1:0:0:2', toPort: 65_535 };
const SIGNATURE = '0d0a0d0a000d0a515549540a';
/** Of version 2, of IPv4: command and family, length, addresses of `V4`. */
const V4_BLOCK = 'c00002070a09000112671538';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const latin1 = (text: string) => Buffer.from(text, 'latin1');
const parse = (data: Buffer) => parseProxyHeader(data, data.length);

test('headers are those of the specification', () => {
  assert.equal(
    latin1('PROXY TCP4 192.0.2.7 10.9.0.1 4711 5432\r\n').compare(headerOf('v1', V4)),
    0,
  );
  assert.equal(
    Buffer.from(headerOf('v1', V6)).toString(),
    'PROXY TCP6 2001:db8::7 fd00::1:0:0:2 1 65535\r\n',
  );
  assert.equal(Buffer.from(headerOf('v2', V4)).toString('hex'), `${SIGNATURE}2111000c${V4_BLOCK}`);
  assert.equal(
    Buffer.from(headerOf('v2', V6)).toString('hex'),
    `${SIGNATURE}2121002420010db8000000000000000000000007fd0000000000000000010000000000020001ffff`,
  );
  assert.equal(Buffer.from(ownHeader('v1')).toString(), 'PROXY UNKNOWN\r\n');
  assert.equal(Buffer.from(ownHeader('v2')).toString('hex'), `${SIGNATURE}20000000`);
  assert.equal(Buffer.from(unknownHeader('v1')).toString(), 'PROXY UNKNOWN\r\n');
  assert.equal(Buffer.from(unknownHeader('v2')).toString('hex'), `${SIGNATURE}21000000`);
});

test('ends of two families have no header in common', () => {
  const mixed = { ...V4, toAddress: V6.address };
  assert.deepEqual(headerOf('v1', mixed), unknownHeader('v1'));
  assert.deepEqual(headerOf('v2', mixed), unknownHeader('v2'));
  assert.deepEqual(headerOf('v2', { ...V6, address: 'fe80::1%2' }), unknownHeader('v2'));
});

test('what is sent is read, at any cut, with whatever follows', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const port = fc.integer({ min: 0, max: 65_535 });
  const origins = fc.tuple(address, port, address, port).map(([from, fromPort, to, toPort]) => ({
    address: from,
    port: fromPort,
    toAddress: to,
    toPort,
  }));
  fc.assert(
    fc.property(
      origins,
      fc.constantFrom('v1' as const, 'v2' as const),
      fc.uint8Array({ maxLength: 40 }),
      (origin, version, rest) => {
        const header = headerOf(version, origin);
        const data = Buffer.concat([header, rest]);
        for (let length = 0; length < header.length; length++)
          assert.equal(parseProxyHeader(data, length), 'more');
        const read = parse(data);
        assert.ok(read !== null && read !== 'more');
        assert.equal(read.bytes, header.length);
        assert.ok(read.origin !== null);
        if (read.origin === UNKNOWN) return assert.deepEqual(header, unknownHeader(version));
        const same = (text: string) => addressText(addressBytes(text) ?? Buffer.alloc(4));
        assert.equal(same(read.origin.address), same(origin.address));
        assert.equal(same(read.origin.toAddress), same(origin.toAddress));
        assert.deepEqual([read.origin.port, read.origin.toPort], [origin.port, origin.toPort]);
      },
    ),
  );
});

test('addresses are written as RFC 5952 has them, and read back', () => {
  for (const text of [
    '::',
    '::1',
    '1::',
    'a:b:c:d:e:f:1:2',
    '1:0:2::3',
    '::ffff:10.0.0.1',
    '0.0.0.0',
  ]) {
    const bytes = addressBytes(text);
    assert.ok(bytes !== null);
    assert.equal(addressText(bytes), text);
  }
  assert.equal(addressText(addressBytes('1:0:0:2:0:0:0:3') as Buffer), '1:0:0:2::3');
  for (const text of ['', 'web', '1.2.3', '01.2.3.4', '::1%lo', 'fe80::%1'])
    assert.equal(addressBytes(text), null, text);
});

test('of version 1 only what is exactly a header is one', () => {
  const of = (text: string) => parse(latin1(text));
  assert.deepEqual(of('PROXY TCP4 192.0.2.7 10.9.0.1 4711 5432\r\nGET'), { bytes: 41, origin: V4 });
  assert.deepEqual(of('PROXY UNKNOWN\r\n'), { bytes: 15, origin: UNKNOWN });
  const longest = `PROXY UNKNOWN ${'f'.repeat(91)}\r\n`;
  assert.deepEqual(of(longest), { bytes: 107, origin: UNKNOWN });
  for (const bad of [
    `PROXY UNKNOWN ${'f'.repeat(92)}\r\n`,
    'x'.repeat(200),
    'GET / HTTP/1.1\r\n',
    'proxy TCP4 192.0.2.7 10.9.0.1 1 2\r\n',
    'PROXY TCP4 192.0.2.7 10.9.0.1 1 2\n',
    'PROXY  TCP4 192.0.2.7 10.9.0.1 1 2\r\n',
    'PROXY TCP4 192.0.2.7 10.9.0.1 1 2 \r\n',
    'PROXY TCP4 192.0.2.7 10.9.0.1 1\r\n',
    'PROXY TCP4 192.0.2.7 10.9.0.1 01 2\r\n',
    'PROXY TCP4 192.0.2.7 10.9.0.1 65536 2\r\n',
    'PROXY TCP4 192.0.2.7 10.9.0.1 -1 2\r\n',
    'PROXY TCP4 192.0.2.07 10.9.0.1 1 2\r\n',
    'PROXY TCP4 ::1 ::2 1 2\r\n',
    'PROXY TCP6 192.0.2.7 10.9.0.1 1 2\r\n',
    'PROXY TCP6 ::1%lo ::2 1 2\r\n',
    'PROXY UDP4 192.0.2.7 10.9.0.1 1 2\r\n',
    'PROXY UNKNOWNx\r\n',
    'PROXY UNKNOWN a\rb\r\n',
    'PROXY \r\n',
  ])
    assert.equal(of(bad), null, bad);
});

test('of version 2 only what is exactly a header is one', () => {
  const of = (text: string) => parse(hex(SIGNATURE + text));
  assert.deepEqual(of(`2111000c${V4_BLOCK}ff`), { bytes: 28, origin: V4 });
  const others = {
    'of no family, with a block that nobody knows': ['21000002 0102', 18],
    'of datagrams': [`2112000c${V4_BLOCK}`, 28],
    'of names of files': [`213100d8${'61'.repeat(216)}`, 232],
  } as const;
  for (const [what, [text, bytes]] of Object.entries(others))
    assert.deepEqual(of(text), { bytes, origin: UNKNOWN }, what);
  const own = { bytes: 19, origin: null };
  assert.deepEqual(of('20ff0003 010203'), own, 'for itself, whatever else it says');
  for (const bad of [
    `1111000c${V4_BLOCK}`,
    `3111000c${V4_BLOCK}`,
    `2211000c${V4_BLOCK}`,
    `2113000c${V4_BLOCK}`,
    `2141000c${V4_BLOCK}`,
    '2111000b',
    `2121000c${V4_BLOCK}`,
    '2111ffff',
    '11',
  ])
    assert.equal(of(bad), null, bad);
  assert.equal(of('21'), 'more');
  assert.equal(of(`2111000c${V4_BLOCK.slice(2)}`), 'more');
});

test('what TLVs say is skipped; they have to fit', () => {
  const withTlvs = (tlvs: string) => {
    const length = (12 + tlvs.length / 2).toString(16).padStart(4, '0');
    return parse(hex(`${SIGNATURE}2111${length}${V4_BLOCK}${tlvs}`));
  };
  assert.deepEqual(withTlvs('020003616263'), { bytes: 34, origin: V4 });
  assert.deepEqual(withTlvs('e10000 e20001 ff'.replaceAll(' ', '')), { bytes: 35, origin: V4 });
  const most = PROXY_HEADER_BYTES_MAX - 28 - 3;
  const long = `04${most.toString(16).padStart(4, '0')}${'00'.repeat(most)}`;
  assert.deepEqual(withTlvs(long), { bytes: PROXY_HEADER_BYTES_MAX, origin: V4 });
  for (const bad of ['02', '0200', '020004616263', '02000361626301'])
    assert.equal(withTlvs(bad), null, bad);
});

test('a checksum that is there has to be right', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  const header = hex(`${SIGNATURE}21110013${V4_BLOCK}03000400000000`);
  header.writeUInt32BE(crc32c(header), header.length - 4);
  assert.deepEqual(parse(header), { bytes: 35, origin: V4 });
  header[17]! ^= 1;
  assert.equal(parse(header), null);
  assert.equal(parse(hex(`${SIGNATURE}21110012${V4_BLOCK}030003000000`)), null);
});
