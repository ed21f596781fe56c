import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINT_FLOAT } from '../ledger/layout.ts';
import { BackendFixture, endpointAt, endpointsWith, policiesWith } from './backend.fixture.ts';
import { EJECTED, healthOf, IN_ROTATION, PROBE_LEASE_MS, PROBING } from './ejection.ts';
import { reportAnswer, reportFailure, reportSuccess, STEADY_MS } from './health.ts';

const policies = policiesWith();

function fail(fixture: BackendFixture, index: number, times: number): boolean[] {
  return Array.from({ length: times }, () =>
    reportFailure(fixture.at(index), policies, fixture.clock.nowMs()),
  );
}

function succeed(fixture: BackendFixture, index: number): void {
  reportAnswer(fixture.at(index), 5, policies, fixture.clock.nowMs());
  reportSuccess(fixture.at(index), policies, fixture.clock.nowMs());
}

test('reportFailure() ejects on the last of five failures in a row', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  assert.deepEqual(fail(fixture, 0, 4), [false, false, false, false]);
  succeed(fixture, 0);
  assert.deepEqual(fail(fixture, 0, 6), [false, false, false, false, true, false]);
  assert.deepEqual(fixture.frequencies(50), [0, 1]);
});

test('reportFailure() never ejects more than the policy allows, but counts on', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 0]), policies);
  assert.equal(fail(fixture, 0, 5).at(-1), true);
  assert.ok(fail(fixture, 1, 20).every((ejected) => !ejected));
  fixture.clock.advance(5_000);
  assert.ok(fixture.pick() === fixture.at(0));
  succeed(fixture, 0);
  assert.deepEqual(fail(fixture, 1, 1), [true], 'the next failure ejects once there is room');
});

test('reportFailure() does nothing when ejection is off', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  const off = policiesWith({ ejection: { ...policies.ejection, consecutiveFailures: 0 } });
  for (let i = 0; i < 50; i++) assert.equal(reportFailure(fixture.at(0), off, 0), false);
  const alone = new BackendFixture(endpointsWith([100]), policies);
  assert.ok(fail(alone, 0, 50).every((ejected) => !ejected));
});

test('pick() sends one probe when the time is over; success restores, failure doubles', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  fail(fixture, 0, 5);
  fixture.clock.advance(4_999);
  assert.deepEqual(fixture.frequencies(50), [0, 1]);
  fixture.clock.advance(1);
  assert.ok(fixture.pick() === fixture.at(0));
  assert.equal(healthOf(fixture.at(0).cells), PROBING);
  assert.deepEqual(fixture.frequencies(50), [0, 1]);
  assert.deepEqual(fail(fixture, 0, 1), [true]);
  fixture.clock.advance(9_999);
  assert.deepEqual(fixture.frequencies(50), [0, 1]);
  fixture.clock.advance(1);
  assert.ok(fixture.pick() === fixture.at(0));
  succeed(fixture, 0);
  assert.equal(healthOf(fixture.at(0).cells), IN_ROTATION);
  assert.ok(fixture.frequencies(50).every((share) => share > 0.2));
});

test('pick() sends another probe when one was never answered', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  fail(fixture, 0, 5);
  fixture.clock.advance(5_000);
  assert.ok(fixture.pick() === fixture.at(0));
  fixture.clock.advance(PROBE_LEASE_MS - 1);
  assert.deepEqual(fixture.frequencies(20), [0, 1]);
  fixture.clock.advance(1);
  assert.ok(fixture.pick() === fixture.at(0));
  assert.deepEqual(fixture.frequencies(20), [0, 1]);
});

test('pick() does not probe the endpoint that failed this very request', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  fail(fixture, 0, 5);
  fixture.clock.advance(5_000);
  assert.ok(fixture.pick({ avoid: fixture.at(0) }) === fixture.at(1));
  fixture.clock.advance(20);
  assert.ok(fixture.pick() === fixture.at(0));
});

test('pick() probes near endpoints even when the request ends up far', () => {
  const fixture = new BackendFixture(
    [endpointAt(0, { node: 'a' }), endpointAt(1, { node: 'b' }), endpointAt(2, { node: 'b' })],
    policies,
  );
  fail(fixture, 0, 5);
  fixture.clock.advance(100);
  assert.ok(fixture.pick({ node: 'a' }) !== fixture.at(0));
  fixture.clock.advance(5_000);
  assert.ok(fixture.pick({ node: 'b' }) !== fixture.at(0), 'callers of b have no reason to try it');
  assert.ok(fixture.pick({ node: 'a' }) === fixture.at(0));
});

test('all are used when more are out than the policy allows, as after an update', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100, 100]), policies);
  fail(fixture, 0, 5);
  fail(fixture, 1, 5);
  assert.deepEqual(
    fixture.frequencies(100).map((share) => share > 0),
    [false, false, true, true],
  );
  fixture.update([endpointAt(0), endpointAt(1), endpointAt(2)], policies);
  assert.equal(healthOf(fixture.at(0).cells), EJECTED);
  for (const i of [0, 1]) fixture.setPenalty(i, 0);
  assert.ok(fixture.frequencies(100).every((share) => share > 0.1));
  assert.ok(fixture.odds().every((share) => share > 0.3));
});

test('reportAnswer() learns latency only for the algorithm that asks for it', () => {
  const fixture = new BackendFixture(endpointsWith([100]), policies);
  const { floats, f } = fixture.at(0).cells;
  succeed(fixture, 0);
  assert.equal(floats[f + ENDPOINT_FLOAT.ewmaMs], 0);
  const ewma = policiesWith({ balance: { algorithm: 'peak-ewma' } });
  reportAnswer(fixture.at(0), 5, ewma, fixture.clock.nowMs());
  assert.equal(floats[f + ENDPOINT_FLOAT.ewmaMs], 5);
});

test('a head alone neither ends failures in a row nor a probe; a whole response does', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  const endpoint = fixture.at(0);
  for (let i = 0; i < 4; i++) {
    reportAnswer(endpoint, 5, policies, fixture.clock.nowMs());
    assert.deepEqual(fail(fixture, 0, 1), [false]);
  }
  reportAnswer(endpoint, 5, policies, fixture.clock.nowMs());
  assert.deepEqual(fail(fixture, 0, 1), [true]);
  fixture.clock.advance(5_000);
  assert.ok(fixture.pick() === endpoint);
  reportAnswer(endpoint, 5, policies, fixture.clock.nowMs());
  assert.equal(healthOf(endpoint.cells), PROBING);
  assert.ok(STEADY_MS < PROBE_LEASE_MS);
  reportSuccess(endpoint, policies, fixture.clock.nowMs());
  assert.equal(healthOf(endpoint.cells), IN_ROTATION);
});
