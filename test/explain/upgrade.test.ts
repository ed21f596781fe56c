/** What `maesh explain` says of requests that ask for another protocol. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainUpgrade, UPGRADES } from './support/upgrades.ts';

const ENDS = /, then bytes both ways for up to 1 min without a byte, 1 h in all$/;

for (const { pair, request, upgrade } of UPGRADES)
  test(`HTTP/${pair[0]} to HTTP/${pair[1]}, ${JSON.stringify(request)}: ${upgrade}`, () => {
    const { backends, phases, forwarded } = explainUpgrade(pair, request);
    assert.equal(forwarded, true);
    assert.equal(backends[0]?.upgrade, upgrade);
    const text = phases.find(({ name }) => name === 'forward')?.text ?? '';
    if (upgrade === 'upgrade') assert.match(text, /, asks to switch, /);
    if (upgrade === 'extended-connect') assert.match(text, /, asks by Extended CONNECT, /);
    if (upgrade === 'left-out') assert.match(text, /, without the Upgrade, /);
    assert.equal(ENDS.test(text), upgrade === 'upgrade' || upgrade === 'extended-connect');
  });

test('an Extended CONNECT for another protocol is answered by the mesh', () => {
  const fields = [':protocol: connect-udp'];
  const { outcomes } = explainUpgrade([2, 2], { method: 'CONNECT', fields });
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.reason : outcome.kind)),
    ['unsupported_upgrade'],
  );
});
