import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hash32 } from '../../base/hash.ts';
import type { BalancePolicy } from '../../model/policy.ts';
import { BackendFixture, endpointAt, endpointsWith, policiesWith } from './backend.fixture.ts';
import { EJECTED } from './ejection.ts';

const MINUTE_MS = 60_000;

function sticky(balance: Partial<BalancePolicy> = { algorithm: 'round-robin' }) {
  return policiesWith({ balance, sourceAffinity: { timeoutMs: MINUTE_MS } });
}

function source(name: string) {
  const hash = hash32(name);
  return { source: hash, hash };
}

test('a source address stays with its endpoint while it lives, through updates that bring others', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), sticky());
  const first = fixture.pick(source('a'));
  assert.ok(first !== null);
  for (let round = 0; round < 200; round++) {
    const others = [0, 1, 2].map((i) => endpointAt(i));
    const added = Array.from({ length: round % 7 }, (_, i) => endpointAt(10 + i));
    fixture.update(round % 2 === 0 ? [...added, ...others] : others, sticky());
    fixture.clock.advance(MINUTE_MS / 2);
    assert.ok(fixture.pick(source('a')) === first);
  }
});

test('sources are spread over all endpoints, and one backend may differ from the other', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), sticky());
  const seen = new Set(Array.from({ length: 30 }, (_, i) => fixture.pick(source(`s${i}`))));
  assert.equal(seen.size, 3);
});

test('a source that was quiet for longer than the time limit is balanced anew', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), sticky());
  const first = fixture.pick(source('a'));
  fixture.clock.advance(MINUTE_MS);
  assert.ok(fixture.pick(source('a')) === first);
  const seen = new Set();
  for (let i = 0; i < 12; i++) {
    fixture.clock.advance(MINUTE_MS + 2_000);
    seen.add(fixture.pick(source('a')));
  }
  assert.ok(seen.size > 1);
});

test('a source moves once when its endpoint leaves or is ejected, and does not come back', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), sticky());
  const first = fixture.pick(source('a'));
  assert.ok(first !== null);
  fixture.setHealth(fixture.state.endpoints.indexOf(first), EJECTED);
  fixture.clock.advance(100);
  const second = fixture.pick(source('a'));
  assert.ok(second !== null && second !== first);
  fixture.setHealth(fixture.state.endpoints.indexOf(first), 0);
  fixture.clock.advance(100);
  for (let i = 0; i < 10; i++) assert.ok(fixture.pick(source('a')) === second);
  fixture.update(
    fixture.state.endpoints.filter((state) => state !== second).map(({ endpoint }) => endpoint),
    sticky(),
  );
  const third = fixture.pick(source('a'));
  assert.ok(third !== null && third !== second);
  for (let i = 0; i < 10; i++) assert.ok(fixture.pick(source('a')) === third);
});

test('a request that its endpoint failed goes elsewhere alone', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), sticky());
  const first = fixture.pick(source('a'));
  const other = fixture.pick({ ...source('a'), avoid: first });
  assert.ok(other !== null && other !== first);
  assert.ok(fixture.pick(source('a')) === first);
});

test('a cookie of a living endpoint comes before the source address', () => {
  const policies = policiesWith({
    affinity: { cookie: 'c', maxAgeSeconds: 0 },
    sourceAffinity: { timeoutMs: MINUTE_MS },
  });
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies);
  const first = fixture.pick(source('a'));
  const other = fixture.state.endpoints.find((state) => state !== first);
  assert.ok(other !== undefined);
  const affinity = other.affinityHash;
  assert.ok(fixture.pick({ ...source('a'), affinity }) === other);
  assert.ok(fixture.pick({ ...source('a'), affinity: 1 }) === first);
  const odds = fixture.odds(source('a'));
  assert.deepEqual(
    odds,
    fixture.state.endpoints.map((state) => (state === first ? 1 : 0)),
  );
});

test('a node-local backend gives endpoints of the node alone, and none where the node has none', () => {
  const endpoints = [
    endpointAt(1, { node: 'n1' }),
    endpointAt(2, { node: 'n2' }),
    endpointAt(3, { node: 'n2' }),
  ];
  for (const algorithm of ['least-request', 'round-robin', 'consistent-hash'] as const) {
    const policies = sticky({ algorithm, locality: 'require-node' });
    const fixture = new BackendFixture(endpoints, policies);
    for (let i = 0; i < 20; i++) {
      assert.equal(fixture.pick({ ...source(`s${i}`), node: 'n2' })?.endpoint.node, 'n2');
      assert.equal(fixture.pick({ ...source(`s${i}`), node: 'n1' })?.endpoint.node, 'n1');
      assert.equal(fixture.pick({ ...source(`s${i}`), node: 'n3', zone: 'z' }), null);
    }
    assert.deepEqual(fixture.odds({ ...source('x'), node: 'n3' }), []);
    assert.equal(fixture.odds({ ...source('x'), node: 'n1' })[0], 1);
    assert.ok(fixture.state.isReachable('n1') && !fixture.state.isReachable('n3'));
    assert.ok(fixture.pick(source('nobody')) !== null, 'one machine stands for all nodes');
    const elsewhere = fixture.at(1).affinityHash;
    assert.equal(fixture.pick({ ...source('y'), node: 'n1', affinity: elsewhere }), fixture.at(0));
    fixture.at(0).begin();
    assert.equal(fixture.pick({ node: 'n1', avoid: fixture.at(0) }), fixture.at(0), 'the last one');
    assert.equal(fixture.at(0).peers.length, 1, 'the only endpoint of a node is never ejected');
    fixture.at(0).end();
  }
});
