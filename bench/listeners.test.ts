import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { countListeners } from './listeners.ts';
import { portOf } from '../test/support/ports.ts';

test(
  'countListeners() counts what listens on the port, on any address, and no connection',
  { skip: process.platform === 'linux' ? false : '/proc is of Linux' },
  async () => {
    const first = createServer();
    await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
    const port = portOf(first);
    const second = createServer();
    await new Promise<void>((resolve) => second.listen(port, '127.0.0.7', resolve));
    const count = countListeners(readFileSync('/proc/net/tcp', 'latin1'), port);
    await Promise.all([first, second].map((each) => each[Symbol.asyncDispose]()));
    assert.equal(count, 2);
  },
);

test('countListeners() leaves connections and other ports out', () => {
  const table = [
    '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0',
    '   1: 0100507F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0',
    '   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0',
    '   3: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0',
  ].join('\n');
  assert.equal(countListeners(table, 8_080), 2);
  assert.equal(countListeners(table, 80), 0);
});
