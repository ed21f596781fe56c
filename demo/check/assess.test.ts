import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '../traffic/caller.ts';
import type { ServiceCount } from '../stats.ts';
import { assess, type CheckFigures } from './assess.ts';

function outcome(sent: number, more: Partial<Outcome> = {}): Outcome {
  return {
    sent,
    statuses: { 200: sent },
    errors: {},
    pods: {},
    movedUsers: 0,
    refusedWithoutHint: 0,
    refusedWithHint: 0,
    refusedMeanMs: 0,
    slowestMs: 20,
    inFlight: 0,
    heldBack: 0,
    firstMs: 0,
    lastMs: 10_000,
    ...more,
  };
}

function counted(name: string, requests: number, retries = 0): ServiceCount {
  return {
    name,
    byClass: [0, 0, requests, 0, 0, 0],
    retries,
    rateLimited: 0,
    breaker: 'none',
    p50: 2,
    p95: 4,
    p99: 8,
    endpoints: [{ pod: `${name}-1`, health: 'ready', requests, inFlight: 0 }],
  };
}

const GOOD: CheckFigures = {
  callers: {
    web: outcome(600),
    payment: outcome(300),
    recommend: outcome(200, {
      statuses: { 200: 150, 503: 50 },
      refusedWithHint: 50,
      refusedMeanMs: 1,
    }),
    ads: outcome(200, { statuses: { 200: 120, 429: 80 } }),
    catalog: outcome(450, { pods: { 'catalog-v1-a': 200, 'catalog-v1-b': 200, 'catalog-v2': 50 } }),
    cart: outcome(300, { pods: { 'cart-1': 150, 'cart-2': 150 } }),
    stock: outcome(200, { pods: { 'stock-1': 200 } }),
    price: outcome(200),
    orders: outcome(100, { pods: { 'orders-1': 50, 'orders-2': 50 } }),
  },
  replicas: {
    'payment-2': { requests: 150, failed: 30 },
    'price-2': { requests: 100, failed: 20 },
  },
  mesh: {
    atMs: 10_000,
    services: [
      counted('web', 600),
      counted('payment', 300, 30),
      counted('recommend', 200),
      counted('ads', 200),
      counted('catalog', 450),
      counted('cart', 300),
      counted('stock', 200),
      counted('price', 200, 20),
      counted('orders', 100),
    ],
  },
  stillMs: 0,
  web: { pod: 'web-2', brokenMs: 1_500, ejectedMs: 1_700, healedMs: 4_000, restoredMs: 5_000 },
  recommend: {
    slowFromMs: 1_500,
    openedMs: 3_000,
    healedMs: 4_000,
    closedMs: 7_000,
    atEnd: 'closed',
  },
  rateLimit: { average: 10, burst: 20 },
  canaryShare: 1 / 9,
};

function withCaller(name: string, change: Partial<Outcome>): CheckFigures {
  const before = GOOD.callers[name];
  assert.ok(before !== undefined);
  return { ...GOOD, callers: { ...GOOD.callers, [name]: { ...before, ...change } } };
}

/** One bad figure, and the checks that must fail because of it. */
const BAD: readonly { figures: CheckFigures; fails: readonly string[] }[] = [
  {
    figures: withCaller('cart', { errors: { ECONNRESET: 1 }, statuses: { 200: 300 } }),
    fails: ['no request is lost'],
  },
  { figures: withCaller('stock', { inFlight: 1 }), fails: ['no request is lost'] },
  { figures: withCaller('stock', { heldBack: 5 }), fails: ['no request is lost'] },
  {
    figures: withCaller('web', { statuses: { 200: 599, 502: 1 } }),
    fails: ['web: success as callers see it'],
  },
  {
    figures: { ...GOOD, web: { ...GOOD.web, ejectedMs: 2_600 } },
    fails: ['web: a dead replica leaves the rotation'],
  },
  {
    figures: { ...GOOD, web: { ...GOOD.web, ejectedMs: Number.NaN } },
    fails: ['web: a dead replica leaves the rotation'],
  },
  {
    figures: { ...GOOD, web: { ...GOOD.web, restoredMs: Number.NaN } },
    fails: ['web: a healed replica comes back'],
  },
  {
    figures: { ...GOOD, web: { ...GOOD.web, restoredMs: 3_000 } },
    fails: ['web: a healed replica comes back'],
  },
  {
    figures: withCaller('payment', { statuses: { 200: 299, 503: 1 } }),
    fails: ['payment: failures are retried elsewhere'],
  },
  {
    figures: { ...GOOD, replicas: {} },
    fails: [
      'payment: failures are retried elsewhere',
      'price: failures of gRPC are retried elsewhere',
    ],
  },
  {
    figures: withCaller('price', { statuses: { 200: 199, 'grpc 14': 1 } }),
    fails: ['price: failures of gRPC are retried elsewhere'],
  },
  {
    figures: withCaller('orders', { statuses: { 200: 99, error: 1 } }),
    fails: ['orders: connections of TCP are balanced, and their server speaks first'],
  },
  {
    figures: withCaller('orders', { pods: { 'orders-1': 100 } }),
    fails: ['orders: connections of TCP are balanced, and their server speaks first'],
  },
  {
    figures: {
      ...GOOD,
      mesh: {
        ...GOOD.mesh,
        services: GOOD.mesh.services.map((service) =>
          service.name === 'payment' ? { ...service, retries: 90 } : service,
        ),
      },
    },
    fails: ['payment: failures are retried elsewhere'],
  },
  {
    figures: { ...GOOD, recommend: { ...GOOD.recommend, openedMs: Number.NaN } },
    fails: ['recommend: the breaker opens'],
  },
  {
    figures: withCaller('recommend', { refusedWithHint: 0 }),
    fails: ['recommend: an open breaker answers at once'],
  },
  {
    figures: withCaller('recommend', { refusedWithoutHint: 1 }),
    fails: ['recommend: an open breaker answers at once'],
  },
  {
    figures: withCaller('recommend', { refusedMeanMs: 600 }),
    fails: ['recommend: an open breaker answers at once'],
  },
  {
    figures: { ...GOOD, recommend: { ...GOOD.recommend, atEnd: 'recovering' } },
    fails: ['recommend: the breaker closes again'],
  },
  {
    figures: { ...GOOD, recommend: { ...GOOD.recommend, closedMs: Number.NaN } },
    fails: ['recommend: the breaker closes again'],
  },
  {
    figures: withCaller('ads', { statuses: { 200: 124, 429: 76 } }),
    fails: ['ads: the rate limit is exact'],
  },
  {
    figures: withCaller('ads', { statuses: { 200: 116, 429: 84 } }),
    fails: ['ads: the rate limit is exact'],
  },
  {
    figures: withCaller('ads', { refusedWithoutHint: 1 }),
    fails: ['ads: the rate limit is exact'],
  },
  {
    figures: withCaller('catalog', { pods: { 'catalog-v1-a': 450 } }),
    fails: ['catalog: the canary gets its share'],
  },
  {
    figures: withCaller('catalog', { pods: { 'catalog-v2': 150 } }),
    fails: ['catalog: the canary gets its share'],
  },
  {
    figures: withCaller('cart', { movedUsers: 1 }),
    fails: ['cart: customers stay with their replica'],
  },
  {
    figures: withCaller('cart', { pods: { 'cart-1': 300 } }),
    fails: ['cart: customers stay with their replica'],
  },
  {
    figures: withCaller('stock', { pods: { 'stock-1': 199, 'stock-2': 1 } }),
    fails: ['stock: the near replica takes the traffic'],
  },
  {
    figures: { ...GOOD, mesh: { ...GOOD.mesh, services: GOOD.mesh.services.slice(1) } },
    fails: ['the mesh counts what callers see'],
  },
  {
    figures: {
      ...GOOD,
      mesh: {
        ...GOOD.mesh,
        services: GOOD.mesh.services.map((service) => ({
          ...service,
          endpoints: service.endpoints.map((endpoint) => ({ ...endpoint, inFlight: 1 })),
        })),
      },
    },
    fails: ['no request is left when the callers stop'],
  },
];

test('assess() accepts good figures, and every line says what, how much and why', () => {
  for (const line of assess(GOOD)) {
    assert.ok(line.isGood, `${line.name}: ${line.measured}`);
    assert.ok(line.expected !== '' && line.measured !== '' && line.why !== '');
  }
});

test('assess() fails the right check for each bad figure', () => {
  for (const { figures, fails } of BAD) {
    const failed = assess(figures)
      .filter((line) => !line.isGood)
      .map((line) => line.name);
    assert.deepEqual(failed, fails);
  }
});

test('assess() lets a machine that stood still be late, and no other one', () => {
  const late = { ...GOOD, web: { ...GOOD.web, ejectedMs: 2_600 } };
  const isGood = (figures: CheckFigures): boolean => assess(figures).every((line) => line.isGood);
  assert.deepEqual([isGood(late), isGood({ ...late, stillMs: 30 })], [false, true]);
});

test('assess() has a bad figure for each of its checks', () => {
  const covered = new Set(BAD.flatMap(({ fails }) => fails));
  assert.deepEqual(
    assess(GOOD)
      .map((line) => line.name)
      .filter((name) => !covered.has(name)),
    [],
  );
});

test('assess() fails everything when nothing happened', () => {
  const nothing: CheckFigures = {
    ...GOOD,
    callers: {},
    replicas: {},
    mesh: { atMs: 0, services: [] },
    web: { ...GOOD.web, ejectedMs: Number.NaN, restoredMs: Number.NaN },
    recommend: {
      ...GOOD.recommend,
      openedMs: Number.NaN,
      closedMs: Number.NaN,
      atEnd: 'none',
    },
  };
  assert.deepEqual(
    assess(nothing).filter((line) => line.isGood),
    [],
  );
});
