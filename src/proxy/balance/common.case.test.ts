/** What every balancing algorithm has to hold, run against all of them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mix32 } from '../../base/hash.ts';
import type { BalanceAlgorithm } from '../../model/policy.ts';
import {
  BackendFixture,
  endpointAt,
  endpointsWith,
  policiesWith,
  request,
} from './backend.fixture.ts';
import { EJECTED, IN_ROTATION, PROBING } from './ejection.ts';

const ALGORITHMS: readonly BalanceAlgorithm[] = [
  'least-request',
  'round-robin',
  'weighted',
  'peak-ewma',
  'consistent-hash',
];

interface Member {
  readonly weight: number;
  readonly health: number;
  readonly inFlight: number;
  readonly ageMs: number;
  readonly penalty: number;
}

const member: fc.Arbitrary<Member> = fc.record({
  weight: fc.oneof(fc.constant(100), fc.constant(0), fc.integer({ min: 1, max: 1000 })),
  health: fc.constantFrom(IN_ROTATION, IN_ROTATION, IN_ROTATION, EJECTED, PROBING),
  inFlight: fc.integer({ min: 0, max: 4 }),
  ageMs: fc.integer({ min: 0, max: 20_000 }),
  penalty: fc.constantFrom(0, 0, 0.5, 1, 3, 1_000),
});

/** An in-flight of 4 is at the limit. */
const LIMIT = 4;
const SLOW_START_MS = 10_000;

function build(
  algorithm: BalanceAlgorithm,
  members: readonly Member[],
  seed: number,
): BackendFixture {
  const policies = policiesWith({
    balance: { algorithm, slowStartMs: SLOW_START_MS, hashKey: { kind: 'source' } },
    limits: { ...policiesWith().limits, connectionsPerEndpoint: LIMIT },
  });
  const fixture = new BackendFixture(
    endpointsWith(members.map(({ weight }) => weight)),
    policies,
    seed,
  );
  members.forEach((one, i) => {
    fixture.setHealth(i, one.health);
    fixture.setInFlight(i, one.inFlight);
    fixture.setPenalty(i, one.penalty);
    fixture.setAddedAt(i, fixture.clock.nowMs() - one.ageMs);
  });
  return fixture;
}

/** The rule itself, written down once more: who may be picked. */
function allowed(members: readonly Member[], avoid: number): Set<number> {
  const hasWeight = members.some(({ weight }) => weight > 0);
  const takers = members.map((_, i) => i).filter((i) => !hasWeight || members[i]!.weight > 0);
  const ejected = takers.filter((i) => members[i]!.health !== IN_ROTATION);
  const max = Math.min(Math.floor(takers.length / 2), takers.length - 1);
  const isPanic = ejected.length > max;
  const usable = takers.filter(
    (i) => members[i]!.inFlight < LIMIT && (isPanic || members[i]!.health === IN_ROTATION),
  );
  const others = usable.filter((i) => i !== avoid);
  return new Set(others.length > 0 ? others : usable);
}

const hashes = (i: number) => ({ hash: mix32(i) });

for (const algorithm of ALGORITHMS) {
  test(`${algorithm}: pick() takes only who may be picked, and somebody whenever one may`, () => {
    fc.assert(
      fc.property(
        fc.array(member, { minLength: 1, maxLength: 12 }),
        fc.nat(),
        fc.nat({ max: 13 }),
        (members, seed, avoid) => {
          const fixture = build(algorithm, members, seed);
          const expected = allowed(members, avoid);
          const avoided = fixture.state.endpoints[avoid] ?? null;
          for (let i = 0; i < 40; i++) {
            const picked = fixture.pick({ hash: i % 3 === 0 ? -1 : mix32(i), avoid: avoided });
            if (expected.size === 0) assert.ok(picked === null);
            else
              assert.ok(picked !== null && expected.has(fixture.state.endpoints.indexOf(picked)));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test(`${algorithm}: odds() sum to 1 over who may be picked, or there are none`, () => {
    fc.assert(
      fc.property(
        fc.array(member, { minLength: 1, maxLength: 12 }),
        fc.nat({ max: 13 }),
        fc.integer({ min: -1, max: 0xffffffff }),
        (members, avoid, hash) => {
          const fixture = build(algorithm, members, 1);
          const expected = allowed(members, avoid);
          const figures = () => members.map((_, i) => fixture.figures(i));
          const before = figures();
          const odds = fixture.odds({ hash, avoid: fixture.state.endpoints[avoid] ?? null });
          assert.deepEqual(figures(), before);
          if (expected.size === 0) return assert.deepEqual(odds, []);
          assert.ok(Math.abs(odds.reduce((sum, share) => sum + share, 0) - 1) < 1e-9);
          odds.forEach((share, i) => assert.ok(share >= 0 && (share === 0 || expected.has(i))));
        },
      ),
      { numRuns: 100 },
    );
  });

  test(`${algorithm}: odds() are the frequencies of pick()`, () => {
    fc.assert(
      fc.property(
        fc.array(member, { minLength: 1, maxLength: 6 }),
        fc.nat(),
        fc.nat({ max: 7 }),
        (members, seed, avoid) => {
          const fixture = build(algorithm, members, seed);
          const change = { avoid: fixture.state.endpoints[avoid] ?? null, hash: -1 };
          const odds = fixture.odds(change);
          const seen = fixture.frequencies(4_000, () => change);
          odds.forEach((share, i) => {
            assert.ok(
              Math.abs(share - (seen[i] ?? 0)) < 0.05,
              `${i}: ${share} is seen as ${seen[i]}`,
            );
          });
        },
      ),
      { numRuns: 25 },
    );
  });

  test(`${algorithm}: an idle backend is shared by weight`, () => {
    const weights = [100, 200, 0, 300, 400];
    const fixture = new BackendFixture(
      endpointsWith(weights),
      policiesWith({ balance: { algorithm } }),
    );
    const seen = fixture.frequencies(20_000, hashes);
    // A ring has some hundred points per endpoint, so its shares are rough.
    const tolerance = algorithm === 'consistent-hash' ? 0.05 : 0.03;
    const expected =
      algorithm === 'least-request' || algorithm === 'peak-ewma'
        ? fixture.odds()
        : [0.1, 0.2, 0, 0.3, 0.4];
    expected.forEach((share, i) => assert.ok(Math.abs(share - seen[i]!) < tolerance, seen.join()));
  });

  test(`${algorithm}: weight 0 takes nothing, unless all have it`, () => {
    const some = new BackendFixture(
      endpointsWith([0, 50, 0]),
      policiesWith({ balance: { algorithm } }),
    );
    assert.deepEqual(some.frequencies(100, hashes), [0, 1, 0]);
    const none = new BackendFixture(
      endpointsWith([0, 0]),
      policiesWith({ balance: { algorithm } }),
    );
    assert.ok(none.frequencies(200, hashes).every((share) => share > 0.2));
    const told = none.state.odds(request(), none.clock.nowMs()).filter(({ share }) => share > 0);
    assert.ok(told.every(({ reason }) => reason === 'in rotation, since all weights are 0'));
  });

  test(`${algorithm}: a new endpoint starts at a tenth of its weight and grows`, () => {
    const policies = policiesWith({ balance: { algorithm, slowStartMs: 10_000 } });
    const fixture = new BackendFixture(endpointsWith([100, 100, 100, 100]), policies);
    fixture.setAddedAt(3, fixture.clock.nowMs());
    const shares: number[] = [];
    for (let step = 0; step < 4; step++) {
      shares.push(fixture.frequencies(8_000, hashes)[3]!);
      fixture.clock.advance(4_000);
    }
    assert.ok(shares[0]! > 0.01 && shares[0]! < 0.06, shares.join());
    assert.ok(shares[1]! > shares[0]! && shares[2]! > shares[1]! && shares[3]! > shares[2]!);
    assert.ok(shares[3]! > 0.17 && shares[3]! < 0.33, shares.join());
  });

  test(`${algorithm}: near endpoints come first, and far ones when the near are overloaded or out`, () => {
    const policies = policiesWith({ balance: { algorithm, spillOverInFlight: 2 } });
    const fixture = new BackendFixture(
      [
        endpointAt(0, { node: 'a', zone: 'x' }),
        endpointAt(1, { node: 'b', zone: 'x' }),
        endpointAt(2, { node: 'c', zone: 'y' }),
      ],
      policies,
    );
    const from = (i: number) => ({ node: 'a', zone: 'x', hash: mix32(i) });
    assert.deepEqual(fixture.frequencies(100, from), [1, 0, 0]);
    fixture.setInFlight(0, 5);
    fixture.clock.advance(100);
    const [own = 0, zone = 0, far = 0] = fixture.frequencies(100, from);
    assert.ok(zone > 0 && far > 0, 'zone a holds 5 / 2 > 2 in flight on the mean, so all are used');
    assert.ok(own < 1);
    fixture.setInFlight(0, 3);
    fixture.clock.advance(100);
    const near = fixture.frequencies(100, from);
    assert.ok(near[1]! > 0 && near[2] === 0);
    fixture.setInFlight(0, 0);
    fixture.setHealth(0, EJECTED);
    fixture.clock.advance(100);
    assert.deepEqual(fixture.frequencies(100, from), [0, 1, 0]);
    assert.deepEqual(
      fixture.frequencies(10, () => ({ node: 'c', zone: 'y', hash: 1 })),
      [0, 0, 1],
    );
  });

  test(`${algorithm}: a backend that loses and gains endpoints never fails a pick`, () => {
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(fc.nat({ max: 9 }), { maxLength: 6 }), { maxLength: 10 }),
        (steps) => {
          const policies = policiesWith({ balance: { algorithm } });
          const fixture = new BackendFixture([], policies);
          assert.ok(fixture.pick() === null);
          for (const step of steps) {
            fixture.update(
              step.map((i) => endpointAt(i)),
              policies,
            );
            for (let i = 0; i < 5; i++) {
              const picked = fixture.state.pick(request(hashes(i)), fixture.clock.nowMs());
              assert.equal(picked === null, step.length === 0);
              assert.ok(picked === null || fixture.state.endpoints.includes(picked));
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });
}
