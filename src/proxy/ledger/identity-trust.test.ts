import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Identity, principalOf } from '../../model/endpoint.ts';
import { IdentityTrust } from './identity-trust.ts';

const POD: Identity = {
  address: '10.0.0.1',
  namespace: 'shop',
  pod: 'client',
  serviceAccount: 'client',
  node: 'n1',
  zone: '',
  doubt: '',
  labels: {},
};

test('a caller is believed as long as it is confirmed, and is nobody in doubt', () => {
  const trust = new IdentityTrust();
  const ofThread = new IdentityTrust(trust.buffer);
  assert.equal(principalOf(POD, 1e12, ofThread.untilMs), POD, 'without end unless it is said');
  trust.untilMs = 1_000;
  assert.equal(principalOf(POD, 999, ofThread.untilMs), POD);
  assert.equal(principalOf(POD, 1_000, ofThread.untilMs), undefined);
  trust.untilMs = -Infinity;
  assert.equal(principalOf(POD, 0, ofThread.untilMs), undefined, 'nothing was told yet');
  assert.equal(principalOf(undefined, 0, Infinity), undefined);
  for (const doubt of ['terminating', 'unknown'] as const) {
    assert.equal(principalOf({ ...POD, doubt }, 0, Infinity), undefined);
  }
});
