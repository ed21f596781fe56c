import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import {
  BackendFixture,
  endpointAt,
  endpointsWith,
  policiesWith,
  request,
} from './backend.fixture.ts';
import { EJECTED } from './ejection.ts';

const policies = policiesWith();
const AFFINITY = policiesWith({ affinity: { cookie: 'maesh', maxAgeSeconds: 0 } });

test('update() keeps the state of what stays and retires what leaves', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100]), policies);
  const [first, second, third] = fixture.state.endpoints;
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  let closed = 0;
  for (const endpoint of [first, second]) endpoint.idle.push({ close: () => closed++ });
  fixture.update([endpointAt(2, { weight: 7 }), endpointAt(1), endpointAt(5)], policies);
  assert.equal(fixture.state.size, 3);
  assert.ok(fixture.at(0) === third && fixture.at(1) === second);
  assert.equal(third.endpoint.weight, 7);
  assert.deepEqual([first.gone, second.gone, third.gone], [true, false, false]);
  assert.equal(closed, 1);
  assert.deepEqual([first.idle.length, second.idle.length], [0, 1]);
  fixture.update([endpointAt(0)], policies);
  assert.ok(fixture.at(0) !== first && !fixture.at(0).gone, 'who comes back is new');
  assert.deepEqual([second.gone, second.idle.length], [true, 0]);
});

test('update() takes an endpoint that is listed twice once', () => {
  const fixture = new BackendFixture([endpointAt(1), endpointAt(1)], policies);
  assert.equal(fixture.state.size, 1);
  fixture.update([], policies);
  assert.ok(fixture.pick() === null);
  assert.deepEqual(fixture.odds(), []);
});

test('pick() sees new figures of a backend at once after an update', () => {
  const fixture = new BackendFixture(endpointsWith([100, 0]), policies);
  assert.ok(fixture.pick() === fixture.at(0));
  fixture.update(endpointsWith([0, 100]), policies);
  assert.ok(fixture.pick() === fixture.at(1));
});

test('pick() goes where the affinity cookie says, as long as that takes traffic', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 100, 0]), AFFINITY);
  const affinity = fixture.at(1).affinityHash;
  const always = () => ({ affinity });
  assert.deepEqual(fixture.frequencies(50, always), [0, 1, 0, 0]);
  assert.deepEqual(fixture.odds({ affinity }), [0, 1, 0, 0]);
  assert.ok(fixture.pick({ affinity, avoid: fixture.at(1) }) !== fixture.at(1));
  fixture.setHealth(1, EJECTED);
  fixture.clock.advance(100);
  assert.equal(fixture.frequencies(50, always)[1], 0);
  const drained = fixture.at(3).affinityHash;
  assert.equal(fixture.frequencies(50, () => ({ affinity: drained }))[3], 0);
  assert.ok(fixture.pick({ affinity: 7 }) !== null);
});

test('an affinity cookie binds at a backend without the policy: it is the route that asks for it', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100]), policies);
  const affinity = fixture.at(1).affinityHash;
  assert.deepEqual(
    fixture.frequencies(100, () => ({ affinity })),
    [0, 1],
  );
  fixture.update(endpointsWith([100]), policies);
  assert.ok(fixture.pick({ affinity }) === fixture.at(0), 'it has left');
});

test('affinity tokens are told apart and tell no address', () => {
  const fixture = new BackendFixture(endpointsWith(Array.from({ length: 500 }, () => 1)), AFFINITY);
  const tokens = fixture.state.endpoints.map(({ affinityToken }) => affinityToken);
  assert.equal(new Set(tokens).size, 500);
  assert.ok(tokens.every((token) => /^[0-9a-f]{8}$/.test(token)));
});

test('pick() skips who is at the connection limit', () => {
  const limits = { ...DEFAULT_POLICIES.limits, connectionsPerEndpoint: 2 };
  const fixture = new BackendFixture(endpointsWith([100, 100]), policiesWith({ limits }));
  for (let i = 0; i < 4; i++) fixture.pick()?.begin();
  assert.deepEqual([fixture.at(0).inFlight, fixture.at(1).inFlight], [2, 2]);
  assert.ok(fixture.pick() === null);
  fixture.at(0).end();
  assert.ok(fixture.pick() === fixture.at(0));
});

test('pick() goes by requests in flight, and by connections where each request needs one', () => {
  const some = { connectionsPerEndpoint: 3, requestsPerEndpoint: 2 };
  for (const [protocol, more, max] of [
    ['http/1.1', some, 2],
    ['http/1.1', { ...some, requestsPerEndpoint: 0 }, 3],
    ['http/1.1', { ...some, requestsPerEndpoint: 9 }, 3],
    ['tcp', { ...some, requestsPerEndpoint: 0 }, 3],
    ['http/2', { ...some, requestsPerEndpoint: 5 }, 5],
    ['http/2', { ...some, requestsPerEndpoint: 0 }, 50],
  ] as const) {
    const limits = { ...DEFAULT_POLICIES.limits, ...more };
    const fixture = new BackendFixture(endpointsWith([100]), policiesWith({ limits }), 1, protocol);
    let count = 0;
    while (count < 50 && fixture.pick() !== null) {
      fixture.at(0).begin();
      count++;
    }
    assert.equal(count, max, `${protocol} ${JSON.stringify(more)}`);
  }
});

test('odds() say for each endpoint why', () => {
  const limits = { ...DEFAULT_POLICIES.limits, connectionsPerEndpoint: 9 };
  const near = { node: 'a', zone: 'x' };
  const fixture = new BackendFixture(
    [
      endpointAt(0, near),
      endpointAt(1, { ...near, weight: 0 }),
      endpointAt(2, near),
      endpointAt(3, near),
      endpointAt(4, near),
      endpointAt(5, { node: 'b', zone: 'x' }),
      endpointAt(6, { node: 'c', zone: 'y' }),
    ],
    policiesWith({ limits }),
  );
  fixture.setHealth(2, EJECTED);
  fixture.setInFlight(3, 9);
  const asked = request({ ...near, avoid: fixture.at(4) });
  const odds = fixture.state.odds(asked, fixture.clock.nowMs());
  assert.deepEqual(
    odds.map(({ share, tier, reason }) => [share, tier, reason]),
    [
      [1, 'node', 'in rotation'],
      [0, '', 'weight 0'],
      [0, 'node', 'ejected'],
      [0, 'node', 'at its limit of connections or requests'],
      [0, 'node', 'it failed this request last'],
      [0, 'zone', 'nearer endpoints have room'],
      [0, 'all', 'nearer endpoints have room'],
    ],
  );
});

test('least-request prefers the less loaded of two', () => {
  const fixture = new BackendFixture(endpointsWith([100, 100, 200]), policies);
  for (let i = 0; i < 400; i++) fixture.pick()?.begin();
  const load = fixture.state.endpoints.map(({ inFlight }) => inFlight);
  assert.deepEqual(
    load.map((count) => Math.round(count / 10)),
    [10, 10, 20],
  );
});

test('round-robin takes equal endpoints strictly in turn', () => {
  const fixture = new BackendFixture(
    endpointsWith([100, 100, 100, 100, 100]),
    policiesWith({ balance: { algorithm: 'round-robin' } }),
  );
  const turn = Array.from({ length: 5 }, () => fixture.pick());
  assert.equal(new Set(turn).size, 5);
  for (let i = 0; i < 20; i++) assert.ok(fixture.pick() === turn[i % 5]);
});

test('a thousand places of callers are answered from a bounded memory', () => {
  const fixture = new BackendFixture(
    [endpointAt(0, { node: 'n7', zone: 'z' }), endpointAt(1, { node: 'm', zone: 'y' })],
    policies,
  );
  for (let i = 0; i < 1_000; i++) {
    const picked = fixture.pick({ node: `n${i}`, zone: 'z' });
    assert.ok(picked === fixture.at(0));
  }
});

test('locality none and prefer-zone ignore nodes', () => {
  const endpoints = [
    endpointAt(0, { node: 'a', zone: 'x' }),
    endpointAt(1, { node: 'b', zone: 'x' }),
    endpointAt(2),
  ];
  const from = () => ({ node: 'a', zone: 'x' });
  const none = new BackendFixture(endpoints, policiesWith({ balance: { locality: 'none' } }));
  assert.ok(none.frequencies(100, from).every((share) => share > 0.1));
  const zone = new BackendFixture(
    endpoints,
    policiesWith({ balance: { locality: 'prefer-zone' } }),
  );
  const [own = 0, other = 0, far] = zone.frequencies(100, from);
  assert.ok(own > 0.2 && other > 0.2 && far === 0);
});
