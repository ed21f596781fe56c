import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressIn, portIn, putAddress } from './socket-address.ts';

const memory = Buffer.alloc(256);

test('addresses come back from the kernel as they were given', () => {
  for (const address of [
    '127.0.0.1',
    '0.0.0.0',
    '255.254.253.252',
    '::',
    '::1',
    'fe80::1',
    '2001:db8::8:800:200c:417a',
    '2001:db8:0:1:1:1:1:1',
    '1::',
    '1:0:0:2::3',
    'ff02::2:0:0:1',
  ]) {
    putAddress(memory, address, 54_321);
    assert.equal(addressIn(memory), address);
    assert.equal(portIn(memory), 54_321);
  }
});

test('an IPv4 address that was mapped into IPv6 is told as what it is', () => {
  for (const address of ['::ffff:192.0.2.7', '::ffff:c000:207']) {
    putAddress(memory, address, 1);
    assert.equal(addressIn(memory), '192.0.2.7');
  }
});
