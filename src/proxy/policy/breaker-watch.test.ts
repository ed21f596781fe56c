import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Expression, Metric } from '../../model/expression.ts';
import type { BreakerPolicy } from '../../model/policy.ts';
import {
  bucketOf,
  SERVICE_BUCKETS,
  SERVICE_FLOAT,
  STATUS_BUCKETS,
  STATUS_MIN,
  STATUS_NETWORK_ERRORS,
} from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_RECOVERING } from './breaker.ts';
import { BreakerFigures } from './breaker-figures.ts';
import { type BreakerState, BreakerWatch, nextBreakerState } from './breaker-watch.ts';
import { evaluate } from './evaluate.ts';

const STATES: readonly BreakerState[] = [BREAKER_CLOSED, BREAKER_OPEN, BREAKER_RECOVERING];

test('the transition table is total', () => {
  const table = STATES.flatMap((state) =>
    [false, true].flatMap((isTripped) =>
      [false, true].map((isDue) => [
        state,
        isTripped,
        isDue,
        nextBreakerState(state, isTripped, isDue),
      ]),
    ),
  );
  const [closed, open, recovering] = STATES;
  assert.deepEqual(table, [
    [closed, false, false, closed],
    [closed, false, true, closed],
    [closed, true, false, open],
    [closed, true, true, open],
    [open, false, false, open],
    [open, false, true, recovering],
    [open, true, false, open],
    [open, true, true, recovering],
    [recovering, false, false, recovering],
    [recovering, false, true, closed],
    [recovering, true, false, open],
    [recovering, true, true, open],
  ]);
});

const THREADS = 2;

class Traffic {
  readonly ledger = new Ledger(THREADS);
  readonly slots = {
    service: this.ledger.allocate('service', 'shop/web'),
    status: this.ledger.allocate('status', 'shop/web'),
  };
  #thread = 0;

  /** One request that a worker counted; status 0 is a network error. */
  count(status: number, latencyMs = 1): void {
    const cell = status === 0 ? STATUS_NETWORK_ERRORS : status - STATUS_MIN;
    this.#add('status', this.slots.status, cell);
    const bucket = bucketOf(latencyMs, 2, SERVICE_BUCKETS);
    this.#add('status', this.slots.status, STATUS_BUCKETS + bucket);
    this.#thread = (this.#thread + 1) % THREADS;
  }

  #add(kind: 'status', slot: number, cell: number): void {
    const value = this.ledger.ownCell(kind, slot, cell, this.#thread);
    this.ledger.setOwnCell(kind, slot, cell, this.#thread, value + 1);
  }
}

const errorsOver = (value: number): Expression => ({
  kind: 'compare',
  metric: { kind: 'network-error-ratio' },
  op: '>',
  value,
});

function policy(change: Partial<BreakerPolicy> = {}): BreakerPolicy {
  const expression = errorsOver(0.3);
  const times = { checkPeriodMs: 100, openMs: 10_000, recoveryMs: 10_000 };
  return { text: 'NetworkErrorRatio() > 0.30', expression, ...times, ...change };
}

test('a breaker opens on errors, recovers, and closes', () => {
  const traffic = new Traffic();
  const watch = new BreakerWatch(traffic.ledger, traffic.slots, policy(), 0);
  for (let i = 0; i < 7; i++) traffic.count(200);
  for (let i = 0; i < 3; i++) traffic.count(0);
  assert.equal(watch.tick(100), null, '0.3 is not over 0.3');
  traffic.count(0);
  assert.equal(watch.tick(150), null, 'not before the check period is over');
  assert.equal(watch.tick(200), BREAKER_OPEN);
  const untilMs = traffic.ledger.float(
    'service',
    traffic.slots.service,
    SERVICE_FLOAT.breakerUntilMs,
  );
  assert.equal(untilMs, 10_200);
  assert.equal(watch.tick(10_199), null);
  traffic.count(0);
  assert.equal(watch.tick(10_200), BREAKER_RECOVERING);
  assert.equal(watch.tick(10_300), null, 'what ended while it was open is forgotten');
  traffic.count(200);
  assert.equal(watch.tick(15_000), null);
  assert.equal(watch.tick(20_200), BREAKER_CLOSED);
  assert.equal(watch.tick(20_300), null);
});

test('a breaker that still sees errors while it recovers opens again', () => {
  const traffic = new Traffic();
  const watch = new BreakerWatch(traffic.ledger, traffic.slots, policy(), 0);
  traffic.count(0);
  assert.equal(watch.tick(100), BREAKER_OPEN);
  assert.equal(watch.tick(10_100), BREAKER_RECOVERING);
  traffic.count(0);
  assert.equal(watch.tick(10_200), BREAKER_OPEN);
  assert.equal(watch.tick(20_200), BREAKER_RECOVERING);
  assert.equal(watch.tick(30_200), BREAKER_CLOSED);
});

test('the expression is decided only after a response', () => {
  const always = { ...errorsOver(0), op: '>=' } as Expression;
  const traffic = new Traffic();
  const watch = new BreakerWatch(
    traffic.ledger,
    traffic.slots,
    policy({ text: 'x', expression: always }),
    0,
  );
  for (let now = 100; now < 30_000; now += 100) assert.equal(watch.tick(now), null);
  traffic.count(200);
  assert.equal(watch.tick(30_000), BREAKER_OPEN);
});

test('errors older than 10 s do not count', () => {
  const traffic = new Traffic();
  const watch = new BreakerWatch(
    traffic.ledger,
    traffic.slots,
    policy({ expression: errorsOver(0.5) }),
    0,
  );
  traffic.count(200);
  traffic.count(0);
  assert.equal(watch.tick(100), null);
  traffic.count(200);
  assert.equal(watch.tick(9_000), null);
  traffic.count(0);
  traffic.count(0);
  assert.equal(watch.tick(10_000), BREAKER_OPEN, '2 of 3: the first second is over');
});

test('a changed policy keeps the state, and the figures when the expression is the same', () => {
  const traffic = new Traffic();
  const watch = new BreakerWatch(traffic.ledger, traffic.slots, policy(), 0);
  traffic.count(200);
  traffic.count(200);
  assert.equal(watch.tick(100), null);
  watch.setPolicy(policy({ openMs: 500 }), 150);
  traffic.count(0);
  assert.equal(watch.tick(200), BREAKER_OPEN, '1 of 3 is over 0.3: two were kept');
  watch.setPolicy(policy({ text: 'another', expression: errorsOver(0.9) }), 300);
  assert.equal(watch.state, BREAKER_OPEN);
  assert.equal(watch.tick(700), BREAKER_RECOVERING);
  watch.close();
  assert.equal(watch.state, BREAKER_CLOSED);
});

const metrics: readonly Metric[] = [
  { kind: 'network-error-ratio' },
  { kind: 'response-code-ratio', from: 500, to: 600, dividedByFrom: 0, dividedByTo: 600 },
  { kind: 'response-code-ratio', from: 200, to: 201, dividedByFrom: 200, dividedByTo: 500 },
  { kind: 'latency-at-quantile', quantile: 50 },
];

/** All four in one, so that each has a place in the counters. */
const all = metrics
  .map((metric): Expression => ({ kind: 'compare', metric, op: '>', value: 0.5 }))
  .reduce((left, right) => ({ kind: 'or', left, right }));

test('figures are those of the requests themselves, from all threads, over the last 10 s', () => {
  const step = fc.record({
    gapMs: fc.nat({ max: 3_000 }),
    statuses: fc.array(fc.constantFrom(0, 200, 201, 404, 500, 502, 504), { maxLength: 5 }),
    latencyMs: fc.constantFrom(2, 40, 900),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const traffic = shared;
      const figures = new BreakerFigures(traffic.ledger, traffic.slots, all, 0);
      let nowMs = 0;
      let log: { second: number; status: number; latencyMs: number }[] = [];
      for (const { gapMs, statuses, latencyMs } of steps) {
        nowMs += gapMs;
        const second = Math.floor(nowMs / 1000);
        for (const status of statuses) {
          traffic.count(status, latencyMs);
          log.push({ second, status: status === 0 ? 502 : status, latencyMs });
        }
        assert.equal(figures.sample(nowMs), statuses.length > 0);
        log = log.filter((one) => one.second > second - 10);
        const share = (of: (status: number) => boolean, over: (status: number) => boolean) => {
          const below = log.filter(({ status }) => over(status)).length;
          return below === 0 ? 0 : log.filter(({ status }) => of(status)).length / below;
        };
        const errors = share(
          (s) => s === 502 || s === 504,
          () => true,
        );
        assert.equal(figures.networkErrorRatio(), errors);
        const failed = share(
          (s) => s >= 500,
          () => true,
        );
        const one = share(
          (s) => s === 200,
          (s) => s < 500,
        );
        assert.equal(ratioOf(figures, 500, 600, 0, 600), failed);
        assert.equal(ratioOf(figures, 200, 201, 200, 500), one);
        const sorted = log.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
        const middle = sorted[Math.max(0, Math.round(sorted.length / 2) - 1)] ?? 0;
        const found = figures.latencyAtQuantileMs(50);
        assert.ok(found >= middle * 0.75 && found <= middle * 1.27, `${found} for ${middle}`);
        const expected = errors > 0.5 || failed > 0.5 || one > 0.5 || Math.floor(found) > 0.5;
        assert.equal(evaluate(all, figures), expected);
      }
    }),
    { numRuns: 60 },
  );
});

const shared = new Traffic();

function ratioOf(figures: BreakerFigures, ...range: readonly number[]): number {
  const [from = 0, to = 0, overFrom = 0, overTo = 0] = range;
  const over = figures.responses(overFrom, overTo);
  return over === 0 ? 0 : figures.responses(from, to) / over;
}
