import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as fc from 'fast-check';

import { readReverse, reverseZone } from './reverse.ts';

function read(name: string, cidr: string): string {
  const result = readReverse(name.split('.'), reverseZone(cidr));
  if (result.kind === 'outside') return 'outside';
  if (result.kind === 'address') return `${result.address} in ${result.apex}`;
  return `${result.kind} in ${result.apex}`;
}

test('readReverse() serves a CIDR between octets as several zones', () => {
  assert.equal(
    read('7.15.77.127.in-addr.arpa', '127.77.0.0/20'),
    '127.77.15.7 in 15.77.127.in-addr.arpa',
  );
  assert.equal(read('7.16.77.127.in-addr.arpa', '127.77.0.0/20'), 'outside');
  assert.equal(read('77.127.in-addr.arpa', '127.77.0.0/20'), 'outside');
  assert.equal(read('15.77.127.in-addr.arpa', '127.77.0.0/20'), 'above in 15.77.127.in-addr.arpa');
});

test('readReverse() takes whole addresses and everything as CIDRs', () => {
  assert.equal(read('4.3.2.1.in-addr.arpa', '1.2.3.4/32'), '1.2.3.4 in 4.3.2.1.in-addr.arpa');
  assert.equal(read('5.3.2.1.in-addr.arpa', '1.2.3.4/32'), 'outside');
  assert.equal(read('in-addr.arpa', '0.0.0.0/0'), 'above in in-addr.arpa');
  assert.equal(read('4.3.2.200.in-addr.arpa', '0.0.0.0/0'), '200.2.3.4 in in-addr.arpa');
});

test('readReverse() finds exactly the addresses of the CIDR', () => {
  const octet = fc.nat(255);
  fc.assert(
    fc.property(
      fc.tuple(octet, octet, octet, octet),
      fc.nat({ max: 32 }),
      fc.nat(31),
      (octets, prefix, bit) => {
        const zone = reverseZone(`${octets.join('.')}/${prefix}`);
        const flipped = [...octets];
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
        const name = [...flipped.toReversed(), 'in-addr', 'arpa'].map(String);
        const result = readReverse(name, zone);
        if (bit < prefix) assert.equal(result.kind, 'outside');
        else assert.equal(result.kind === 'address' && result.address, flipped.join('.'));
      },
    ),
  );
});

test('reverseZone() names what is not a CIDR', () => {
  for (const cidr of ['', '127.77.0.0', '127.77.0.0/33', 'fd00::/64', '127.77/16']) {
    assert.throws(() => reverseZone(cidr), {
      code: 'invalid_setting',
      message: /not an IPv4 CIDR, write for example/,
    });
  }
});
