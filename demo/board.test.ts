import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoardKeeper } from './board.ts';
import type { Health, MeshSample, ServiceCount } from './stats.ts';

function service(requests: number, more: Partial<ServiceCount> = {}): ServiceCount {
  return {
    name: 'web',
    byClass: [0, 0, requests, 0, 0, 0],
    retries: 0,
    rateLimited: 0,
    breaker: 'closed',
    p50: 2,
    p95: 4,
    p99: 8,
    endpoints: [],
    ...more,
  };
}

function sample(atMs: number, ...services: ServiceCount[]): MeshSample {
  return { atMs, services };
}

function endpoints(health: Health): Pick<ServiceCount, 'endpoints'> {
  return { endpoints: [{ pod: 'web-1', health, requests: 0, inFlight: 0 }] };
}

test('BoardKeeper shows rates over its window only', () => {
  const keeper = new BoardKeeper();
  for (let second = 0; second <= 10; second++) {
    keeper.add(
      sample(second * 1_000, service(second < 5 ? second * 100 : 500 + (second - 5) * 10)),
    );
  }
  assert.equal(keeper.board().services[0]?.ratePerSecond, 10);
  assert.equal(keeper.board().services[0]?.p50, 2);
});

test('BoardKeeper counts success without what the rate limit refused', () => {
  const keeper = new BoardKeeper();
  keeper.add(sample(0, service(0)));
  keeper.add(sample(1_000, service(0, { byClass: [0, 0, 60, 0, 30, 20], rateLimited: 30 })));
  const [row] = keeper.board().services;
  assert.equal(row?.success, 0.75);
  assert.equal(row?.limitedPerSecond, 30);
});

test('BoardKeeper logs ejection, return, breaker, coming and going', () => {
  const keeper = new BoardKeeper();
  keeper.add(sample(0, service(0, endpoints('ready'))));
  keeper.add(sample(1, service(0, endpoints('ejected'))));
  keeper.add(sample(2, service(0, endpoints('probing'))));
  keeper.add(sample(3, service(0, endpoints('ready'))));
  keeper.add(sample(4, service(0, { ...endpoints('ready'), breaker: 'open' })));
  keeper.add(sample(5, service(0, { breaker: 'open' })));
  keeper.add(sample(6, service(0, { ...endpoints('ready'), breaker: 'open' })));
  assert.deepEqual(
    keeper.board().events.map((event) => `${event.atMs} ${event.text}`),
    [
      '1 web: web-1 ejected',
      '3 web: web-1 restored',
      '4 web: breaker open (was closed)',
      '5 web: web-1 left',
      '6 web: web-1 joined',
    ],
  );
});

test('BoardKeeper shows nothing before the first sample and no rate after one', () => {
  const keeper = new BoardKeeper();
  assert.deepEqual(keeper.board().services, []);
  keeper.add(sample(0, service(100)));
  assert.equal(keeper.board().services[0]?.ratePerSecond, 0);
});
