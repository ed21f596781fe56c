import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { BalanceAlgorithm } from '../../model/policy.ts';
import { BackendFixture, endpointsWith, policiesWith } from './backend.fixture.ts';
import { reportAnswer, reportFailure, reportSuccess } from './health.ts';
import { penaltyOf } from './penalty.ts';

const ALGORITHMS: readonly BalanceAlgorithm[] = ['least-request', 'peak-ewma'];

function without(ejection: BalanceAlgorithm) {
  return policiesWith({
    balance: { algorithm: ejection },
    ejection: { ...policiesWith().ejection, consecutiveFailures: 0, errorRate: 0 },
  });
}

for (const algorithm of ALGORITHMS) {
  for (const [inFlight, latencyMs] of [
    [0, 5],
    [10, 100],
    [120, 2_000],
  ] as const) {
    test(`${algorithm}: an endpoint that refuses at once attracts nothing from siblings with ${inFlight} in flight`, () => {
      const policies = without(algorithm);
      const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies, 7);
      const dead = fixture.at(0);
      for (const i of [0, 1, 2])
        reportAnswer(fixture.at(i), latencyMs, policies, fixture.clock.nowMs());
      const busy: number[] = [];
      let refused = 0;
      const count = 3_000;
      for (let i = 0; i < count; i++) {
        fixture.clock.advance(10);
        const picked = fixture.pick();
        assert(picked !== null);
        if (picked === dead) {
          refused++;
          reportFailure(dead, policies, fixture.clock.nowMs());
          continue;
        }
        picked.begin();
        busy.push(fixture.state.endpoints.indexOf(picked));
        if (busy.length <= inFlight) continue;
        const done = fixture.at(busy.shift() as number);
        done.end();
        reportAnswer(done, latencyMs, policies, fixture.clock.nowMs());
        reportSuccess(done, policies, fixture.clock.nowMs());
      }
      for (const index of busy) fixture.at(index).end();
      assert(refused > 0, 'it is tried now and then');
      assert(refused < count / 20, `${refused} of ${count} went to it, a third is its share`);
    });
  }

  test(`${algorithm}: shares recover within seconds, whatever failed`, () => {
    const failures = fc.array(
      fc.record({ which: fc.nat({ max: 2 }), afterMs: fc.nat({ max: 500 }) }),
      {
        maxLength: 200,
      },
    );
    fc.assert(
      fc.property(failures, fc.nat(), (list, seed) => {
        const policies = without(algorithm);
        const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies, seed);
        for (const { which, afterMs } of list) {
          fixture.clock.advance(afterMs);
          reportFailure(fixture.at(which), policies, fixture.clock.nowMs());
        }
        fixture.clock.advance(15_000);
        assert.deepEqual(
          fixture.odds().map((share) => share.toFixed(9)),
          [1, 1, 1].map((share) => (share / 3).toFixed(9)),
        );
      }),
      { numRuns: 100 },
    );
  });
}

test('a penalty needs failures, is bounded, and ends with time or answers', () => {
  const act = fc.oneof(
    fc.constant('ok' as const),
    fc.constant('failed' as const),
    fc.integer({ min: 0, max: 20_000 }),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 100 }), (acts) => {
      const policies = without('least-request');
      const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
      const endpoint = fixture.at(0);
      let failures = 0;
      for (const each of acts) {
        const nowMs = fixture.clock.nowMs();
        if (each === 'ok') reportSuccess(endpoint, policies, nowMs);
        else if (each === 'failed') reportFailure(endpoint, policies, nowMs);
        else fixture.clock.advance(each);
        if (each === 'failed') failures++;
        const penalty = penaltyOf(endpoint.cells, fixture.clock.nowMs());
        assert(penalty >= 0 && penalty <= failures && penalty <= 1_000);
        assert.equal(penaltyOf(fixture.at(1).cells, fixture.clock.nowMs()), 0);
      }
      for (let i = 0; i < 10; i++) reportSuccess(endpoint, policies, fixture.clock.nowMs());
      assert.equal(penaltyOf(endpoint.cells, fixture.clock.nowMs()), 0);
    }),
  );
});

test('an endpoint with the largest penalty is picked when there is no other one', () => {
  const fixture = new BackendFixture(endpointsWith([100]), without('least-request'));
  fixture.setPenalty(0, 1_000);
  assert.equal(fixture.pick(), fixture.at(0));
});

test('failures in a row eject as soon as without penalties, and count as load when the row ends before', () => {
  const policies = policiesWith({
    ejection: { ...policiesWith().ejection, consecutiveFailures: 3 },
  });
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies);
  const [endpoint, other] = [fixture.at(0), fixture.at(1)];
  const now = (): number => fixture.clock.nowMs();
  for (let i = 0; i < 2; i++) assert.equal(reportFailure(endpoint, policies, now()), false);
  assert.equal(penaltyOf(endpoint.cells, now()), 0);
  assert.equal(reportFailure(endpoint, policies, now()), true);
  for (let i = 0; i < 2; i++) reportFailure(other, policies, now());
  reportSuccess(other, policies, now());
  assert.equal(penaltyOf(other.cells, now()), 1, 'two, and half of them for the answer');
});

test('failures count as load when too many are ejected already', () => {
  const policies = policiesWith({
    ejection: { ...policiesWith().ejection, consecutiveFailures: 3 },
  });
  const fixture = new BackendFixture(endpointsWith([100]), policies);
  const endpoint = fixture.at(0);
  for (let i = 0; i < 4; i++) reportFailure(endpoint, policies, fixture.clock.nowMs());
  assert.equal(penaltyOf(endpoint.cells, fixture.clock.nowMs()), 4);
});
