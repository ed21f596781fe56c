import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { exampleEndpoint } from '../../../test/support/model.ts';
import { ManualClock } from '../../base/clock.ts';
import { FAILURE_REASONS } from '../../model/failure.ts';
import {
  bucketEdgeMs,
  bucketOf,
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { LedgerFigures } from './ledger-figures.ts';
import { quantileMs } from '../../model/quantile.ts';
import { latencyBuckets } from '../ledger/latency-buckets.ts';
import { StatsSampler, type StatsOptions } from './service-stats.ts';

function start(options: StatsOptions = {}) {
  const ledger = new Ledger(2);
  const clock = new ManualClock();
  const sampler = new StatsSampler(ledger, clock, options);
  const bump = (slot: number, cell: number, by = 1, thread = 0): void =>
    ledger.setOwnCell(
      'service',
      slot,
      cell,
      thread,
      ledger.ownCell('service', slot, cell, thread) + by,
    );
  const request = (slot: number, status: number, latencyMs: number, thread = 0): void => {
    bump(slot, SERVICE_OWN.requests + Math.floor(status / 100), 1, thread);
    bump(slot, SERVICE_OWN.buckets + bucketOf(latencyMs, 2, SERVICE_BUCKETS), 1, thread);
  };
  const step = (ms: number): void => {
    clock.advance(ms);
    sampler.sample();
  };
  return { ledger, clock, sampler, bump, request, step };
}

test('of() gives rates, ratio and quantiles over the window, all threads together', () => {
  const { ledger, sampler, bump, request, step } = start();
  const slot = ledger.allocate('service', 'shop/web');
  request(slot, 200, 1);
  sampler.sample();
  assert.equal(sampler.of('shop/web').windowMs, 0);
  for (let i = 0; i < 90; i++) request(slot, 200, 10, i % 2);
  for (let i = 0; i < 9; i++) request(slot, 503, 100);
  request(slot, 0, 1_000);
  bump(slot, SERVICE_OWN.retries, 20);
  bump(slot, SERVICE_OWN.failures + FAILURE_REASONS.indexOf('rate_limited'), 4);
  bump(slot, SERVICE_OWN.failures + FAILURE_REASONS.indexOf('route_rate_limited'), 2);
  bump(slot, SERVICE_OWN.failedOver, 5);
  ledger.setWord('service', slot, SERVICE_WORD.inFlight, 3);
  ledger.setWord('service', slot, SERVICE_WORD.breakerState, 1);
  step(2_000);
  const stats = sampler.of('shop/web');
  assert.equal(stats.windowMs, 2_000);
  assert.equal(stats.requestsPerSecond, 50);
  assert.equal(stats.successRatio, 0.9);
  assert.equal(stats.retriesPerSecond, 10);
  assert.equal(stats.rateLimitedPerSecond, 3);
  assert.equal(stats.failedOverPerSecond, 2.5);
  assert.equal(stats.breaker, 'open');
  assert.equal(stats.inFlight, 3);
  assert.ok(
    near(stats.p50Ms, 10) && near(stats.p95Ms, 100) && near(stats.p99Ms, 100),
    JSON.stringify(stats),
  );
});

/** Within one bucket: a quarter of a doubling. */
function near(value: number | null, expected: number): boolean {
  return value !== null && value > expected / 1.26 && value < expected * 1.26;
}

test('of() forgets what is older than the window', () => {
  const { ledger, sampler, request, step } = start();
  const slot = ledger.allocate('service', 'shop/web');
  sampler.sample();
  for (let i = 0; i < 10; i++) request(slot, 200, 1);
  step(1_000);
  for (let i = 0; i < 4; i++) step(1_000);
  assert.equal(sampler.of('shop/web').requestsPerSecond, 2);
  step(1_000);
  const stats = sampler.of('shop/web');
  assert.deepEqual(
    [stats.requestsPerSecond, stats.successRatio, stats.p50Ms, stats.windowMs],
    [0, null, null, 5_000],
  );
});

test('of() covers the time since the last sample when nobody looked for longer than the window', () => {
  const { ledger, sampler, request, step } = start();
  const slot = ledger.allocate('service', 'shop/web');
  sampler.sample();
  for (let i = 0; i < 100; i++) request(slot, 200, 1);
  step(50_000);
  assert.equal(sampler.of('shop/web').requestsPerSecond, 2);
});

test('of() counts a Service from its start when it came after the last sample', () => {
  const { ledger, sampler, request, step } = start();
  sampler.sample();
  step(1_000);
  const slot = ledger.allocate('service', 'shop/new');
  for (let i = 0; i < 10; i++) request(slot, 200, 1);
  step(1_000);
  assert.equal(sampler.of('shop/new').requestsPerSecond, 10);
});

test('of() takes a slot that was given anew as one that starts from nothing', () => {
  const { ledger, sampler, request, step } = start();
  const first = ledger.allocate('service', 'shop/web');
  for (let i = 0; i < 100; i++) request(first, 200, 1);
  sampler.sample();
  ledger.release('service', 'shop/web');
  const second = ledger.allocate('service', 'shop/web');
  for (let i = 0; i < 7; i++) request(second, 200, 1);
  step(1_000);
  assert.equal(sampler.of('shop/web').requestsPerSecond, 7);
});

test('of() never takes a falling gauge for a new slot', () => {
  const { ledger, sampler, bump, request, step } = start();
  const slot = ledger.allocate('service', 'shop/web');
  for (let i = 0; i < 100; i++) request(slot, 200, 1);
  bump(slot, SERVICE_OWN.inFlight, 5);
  sampler.sample();
  bump(slot, SERVICE_OWN.inFlight, -5);
  step(1_000);
  assert.equal(sampler.of('shop/web').requestsPerSecond, 0);
});

test('of() watches only what was asked for when there are too many Services', () => {
  const { ledger, sampler, request, step } = start({ watchedMax: 2 });
  const slots = ['a/a', 'a/b', 'a/c'].map((key) => ledger.allocate('service', key));
  const all = (): void => slots.forEach((slot) => request(slot, 200, 1));
  sampler.sample();
  all();
  step(1_000);
  assert.equal(sampler.of('a/c').windowMs, 0);
  step(1_000);
  all();
  step(1_000);
  assert.deepEqual([sampler.of('a/c').requestsPerSecond, sampler.of('a/c').windowMs], [1, 1_000]);
  assert.equal(sampler.of('a/a').requestsPerSecond, 0);
});

test('sample() ignores calls that come too fast', () => {
  const { ledger, clock, sampler, request } = start();
  const slot = ledger.allocate('service', 'shop/web');
  sampler.sample();
  request(slot, 200, 1);
  clock.advance(1);
  sampler.sample();
  assert.equal(sampler.of('shop/web').windowMs, 0);
});

test('LedgerFigures reads an endpoint by backend and address and samples when asked', () => {
  const { ledger, clock, sampler } = start();
  const endpoint = exampleEndpoint('127.2.0.1');
  const slot = ledger.allocate('endpoint', 'shop/web:80 127.2.0.1:8080');
  const figures = new LedgerFigures(ledger, sampler);
  assert.equal(figures.endpointStats('shop/web:80', endpoint).windowMs, 0);
  ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.requests + 2, 0, 3);
  ledger.setOwnCell('endpoint', slot, ENDPOINT_OWN.requests + 5, 1, 1);
  ledger.setOwnCell(
    'endpoint',
    slot,
    ENDPOINT_OWN.buckets + bucketOf(4, 0, ENDPOINT_BUCKETS),
    0,
    4,
  );
  ledger.setWord('endpoint', slot, ENDPOINT_WORD.health, 2);
  ledger.setWord('endpoint', slot, ENDPOINT_WORD.inFlight, 1);
  ledger.setWord('endpoint', slot, ENDPOINT_WORD.ejections, 2);
  ledger.setWord('endpoint', slot, ENDPOINT_WORD.connections, 5);
  clock.advance(1_000);
  const stats = figures.endpointStats('shop/web:80', endpoint);
  assert.equal(stats.requestsPerSecond, 4);
  assert.equal(stats.successRatio, 0.75);
  assert.equal(stats.health, 'probing');
  assert.ok(stats.p50Ms !== null && stats.p50Ms > 2 && stats.p50Ms < 8);
  assert.deepEqual(figures.endpoint('shop/web:80', endpoint), {
    health: 'probing',
    inFlight: 1,
    requests: 4,
    ejections: 2,
    connections: 5,
  });
  const unknown = figures.endpoint('shop/web:80', exampleEndpoint('127.9.9.9'));
  assert.equal(unknown.requests, 0);
  assert.equal(figures.breaker('shop/none'), 'closed');
  assert.equal(figures.serviceStats('shop/none', []).requestsPerSecond, 0);
});

test('quantileMs() lies in the bucket of the exact quantile and never falls as q grows', () => {
  const latencies = fc.array(fc.double({ min: 0, max: 100_000, noNaN: true }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(latencies, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
      const cells = new Float64Array(SERVICE_BUCKETS);
      for (const ms of values) {
        const bucket = bucketOf(ms, 2, SERVICE_BUCKETS);
        cells[bucket] = (cells[bucket] ?? 0) + 1;
      }
      const shape = { from: 0, buckets: SERVICE_BUCKETS, subBits: 2 };
      const exact =
        values.toSorted((a, b) => a - b)[Math.max(Math.round(q * values.length) - 1, 0)] ?? 0;
      const bucket = bucketOf(exact, 2, SERVICE_BUCKETS);
      const buckets = latencyBuckets(cells, shape);
      const got = quantileMs(buckets, q) ?? assert.fail();
      assert.ok(
        got >= (bucket === 0 ? 0 : bucketEdgeMs(bucket - 1, 2, SERVICE_BUCKETS)) - 1e-9,
        `${got} ${exact}`,
      );
      assert.ok(got <= bucketEdgeMs(bucket, 2, SERVICE_BUCKETS) + 1e-9, `${got} ${exact}`);
      assert.ok(got <= (quantileMs(buckets, 1) ?? 0) + 1e-9);
    }),
  );
  assert.equal(
    quantileMs(latencyBuckets([0, 0, 0], { from: 0, buckets: 3, subBits: 0 }), 0.5),
    null,
  );
});

test('sample() keeps no figures of Services that nobody has called', () => {
  const { ledger, step } = start();
  for (let i = 0; i < 4_000; i++) ledger.allocate('service', `shop/${i}`);
  const before = process.memoryUsage().arrayBuffers;
  step(500);
  // Those of all would be 4.7 MB.
  assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
});
