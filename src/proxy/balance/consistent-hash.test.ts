import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mix32 } from '../../base/hash.ts';
import { BackendFixture, endpointAt, endpointsWith, policiesWith } from './backend.fixture.ts';
import { EJECTED, IN_ROTATION } from './ejection.ts';

const policies = policiesWith({
  balance: { algorithm: 'consistent-hash', hashKey: { kind: 'source' } },
});
const KEYS = Array.from({ length: 1_000 }, (_, i) => mix32(i));

/** Owner of every key, by id. */
function owners(fixture: BackendFixture): (string | undefined)[] {
  return KEYS.map((hash) => fixture.pick({ hash })?.id);
}

test('the same key goes to the same endpoint on every thread, in any order of endpoints', () => {
  const endpoints = endpointsWith([100, 50, 100, 100]);
  const one = new BackendFixture(endpoints, policies, 1);
  const other = new BackendFixture(endpoints.toReversed(), policies, 2);
  assert.deepEqual(owners(one), owners(other));
});

test('only the keys of an endpoint that leaves move, and only to it when one joins', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat({ max: 200 }), { minLength: 2, maxLength: 20 }),
      fc.array(fc.integer({ min: 65, max: 128 }), { minLength: 20, maxLength: 20 }),
      (ids, weights) => {
        const endpoints = ids.map((id, i) => endpointAt(id, { weight: weights[i]! }));
        const fixture = new BackendFixture(endpoints, policies);
        const before = owners(fixture);
        const left = fixture.at(0).id;
        fixture.update(endpoints.slice(1), policies);
        const without = owners(fixture);
        without.forEach((owner, i) => {
          if (before[i] !== left) assert.equal(owner, before[i]);
          else assert.notEqual(owner, left);
        });
        fixture.update(endpoints, policies);
        assert.deepEqual(owners(fixture), before);
      },
    ),
    { numRuns: 50 },
  );
});

test('an ejected endpoint keeps its keys for when it is back', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies);
  const before = owners(fixture);
  const out = fixture.at(1).id;
  fixture.setHealth(1, EJECTED);
  owners(fixture).forEach((owner, i) => {
    if (before[i] === out) assert.notEqual(owner, out);
    else assert.equal(owner, before[i]);
  });
  fixture.setHealth(1, IN_ROTATION);
  assert.deepEqual(owners(fixture), before);
});

test('an endpoint with much more than its share in flight passes keys on', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies);
  const hash = KEYS[0]!;
  const owner = fixture.pick({ hash });
  assert.ok(owner !== null);
  const index = fixture.state.endpoints.indexOf(owner);
  fixture.setInFlight(index, 15);
  assert.ok(fixture.pick({ hash }) === owner, 'a few at the same time are no overload');
  fixture.setInFlight(index, 60);
  fixture.clock.advance(100);
  assert.ok(fixture.pick({ hash }) !== owner);
  fixture.state.endpoints.forEach((_, i) => fixture.setInFlight(i, 60));
  fixture.clock.advance(100);
  assert.ok(fixture.pick({ hash }) === owner, 'all carry the same');
});

test('shares follow the weights within the grain of the ring', () => {
  const weights = Array.from({ length: 40 }, (_, i) => 50 + (i % 3) * 50);
  const fixture = new BackendFixture(endpointsWith(weights), policies);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const seen = fixture.frequencies(40_000, (i) => ({ hash: mix32(i) }));
  seen.forEach((share, i) => {
    const expected = weights[i]! / total;
    assert.ok(share > expected * 0.6 && share < expected * 1.5, `${share} for ${expected}`);
  });
});

test('a ring of thousands of endpoints stays small and whole', () => {
  const fixture = new BackendFixture(
    endpointsWith(Array.from({ length: 5_000 }, () => 100)),
    policies,
  );
  const used = new Set(Array.from({ length: 40_000 }, (_, i) => fixture.pick({ hash: mix32(i) })));
  assert.ok(used.size > 4_500, `${used.size}`);
  for (const hash of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff])
    assert.ok(fixture.pick({ hash }) !== null);
});
