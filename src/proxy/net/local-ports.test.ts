import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { localPorts, portsIn } from './local-ports.ts';

test('local ports are counted, and without limit where nobody says', () => {
  assert.equal(portsIn('32768\t60999\n'), 28_232);
  assert.equal(portsIn('5000 5000'), 1);
  for (const odd of ['', 'x y', '60999 32768', '1']) assert.equal(portsIn(odd), Infinity, odd);
  const isTold = existsSync('/proc/sys/net/ipv4/ip_local_port_range');
  assert.equal(localPorts() < 65_536, isTold);
});
