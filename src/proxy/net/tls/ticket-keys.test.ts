import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../base/clock.ts';
import { renewTicketKeys, shareTicketKeys, TicketKeys, TicketSecrets } from './ticket-keys.ts';

test('all threads have the same keys, another one for each certificate, and none of another process', () => {
  const shared = shareTicketKeys();
  const [one, two] = [new TicketKeys(shared), new TicketKeys(shared)];
  assert.equal(one.keysFor('a').length, 48);
  assert.deepEqual(one.keysFor('a'), two.keysFor('a'));
  assert.notDeepEqual(one.keysFor('a'), one.keysFor('b'));
  assert.notDeepEqual(one.keysFor('a'), new TicketKeys().keysFor('a'));
});

test('keys are replaced every hour, until the process ends; the serial tells', () => {
  const clock = new ManualClock();
  const secrets = new TicketSecrets(clock);
  const keys = new TicketKeys(secrets.shared);
  const seen = [keys.keysFor('a').toString('hex')];
  let { serial } = keys;
  for (let i = 0; i < 5; i++) {
    clock.advance(3_599_000);
    assert.equal(keys.serial, serial);
    clock.advance(1_000);
    assert.notEqual(keys.serial, serial);
    ({ serial } = keys);
    seen.push(keys.keysFor('a').toString('hex'));
  }
  assert.equal(new Set(seen).size, 6);
  secrets.stop();
  clock.advance(10_000_000);
  assert.equal(keys.serial, serial);
  renewTicketKeys(secrets.shared);
  assert.equal(keys.serial, serial + 1);
});
