import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackendFixture, endpointsWith, policiesWith } from './backend.fixture.ts';
import { reportAnswer } from './health.ts';
import { latencyOf, observeLatency } from './peak-ewma.ts';

const policies = policiesWith({ balance: { algorithm: 'peak-ewma' } });

test('observeLatency() jumps up at once and comes down slowly', () => {
  const fixture = new BackendFixture(endpointsWith([100]), policies);
  const { cells } = fixture.at(0);
  let now = fixture.clock.nowMs();
  observeLatency(cells, 10, now);
  assert.equal(latencyOf(cells, now), 10);
  observeLatency(cells, 200, now);
  assert.equal(latencyOf(cells, now), 200);
  now += 5_000;
  observeLatency(cells, 10, now);
  const halfway = latencyOf(cells, now);
  assert.ok(halfway > 100 && halfway < 150, `${halfway}`);
  for (let i = 0; i < 100; i++) observeLatency(cells, 10, (now += 1_000));
  assert.ok(Math.abs(latencyOf(cells, now) - 10) < 0.5);
  assert.ok(latencyOf(cells, now + 100_000) < 0.01, 'who is not asked is forgiven');
});

test('peak-ewma sends most to the fast ones and tries the slow one again later', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies);
  const latency = [5, 5, 80];
  const counts = [0, 0, 0];
  for (let i = 0; i < 3_000; i++) {
    const picked = fixture.pick();
    assert.ok(picked !== null);
    const index = fixture.state.endpoints.indexOf(picked);
    counts[index]! += 1;
    reportAnswer(picked, latency[index]!, policies, fixture.clock.nowMs());
    fixture.clock.advance(2);
  }
  assert.ok(counts[2]! < 30, counts.join());
  assert.ok(counts[0]! > 1_000 && counts[1]! > 1_000, counts.join());
  fixture.clock.advance(60_000);
  for (const index of [0, 1]) reportAnswer(fixture.at(index), 5, policies, fixture.clock.nowMs());
  assert.ok(fixture.frequencies(100)[2]! > 0.5);
});

test('peak-ewma gives an endpoint it does not know one request at a time', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  reportAnswer(fixture.at(0), 5, policies, fixture.clock.nowMs());
  const first = fixture.pick();
  assert.ok(first === fixture.at(1));
  first.begin();
  assert.deepEqual(fixture.frequencies(50), [1, 0]);
});
