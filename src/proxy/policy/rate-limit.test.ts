import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { systemClock } from '../../base/clock.ts';
import { mix32 } from '../../base/hash.ts';
import type { RateLimitPolicy } from '../../model/policy.ts';
import { LedgerView } from '../ledger/cells.ts';
import { Ledger } from '../ledger/ledger.ts';
import { callerTableBytes } from '../ledger/caller-table.ts';
import {
  type Bucket,
  bucketOfRoute,
  bucketOfService,
  CallerBuckets,
  compileRate,
  RateLimiter,
} from './rate-limit.ts';

const START_MS = 1_000_000;
const UNIT_MS = 8e-6;

function policy(change: Partial<RateLimitPolicy> = {}): RateLimitPolicy {
  return { average: 10, periodMs: 1_000, burst: 5, per: 'service', callersMax: 1_024, ...change };
}

function bucket(memory = new SharedArrayBuffer(16)): Bucket {
  return {
    fulls: new Float64Array(memory, 0, 1),
    at: 0,
    locks: new Int32Array(memory, 8),
    lockAt: 0,
  };
}

function limiter(change: Partial<RateLimitPolicy> = {}, memory?: SharedArrayBuffer): RateLimiter {
  return new RateLimiter(policy(change), bucket(memory), null);
}

const policies = fc.record({
  average: fc.integer({ min: 1, max: 1_000_000 }),
  periodMs: fc.constantFrom(1, 100, 1_000, 60_000, 3_600_000),
  burst: fc.integer({ min: 1, max: 50 }),
});

test('a fresh slot lets a burst through, then one per interval; Services and routes are apart', () => {
  const ledger = new Ledger(1);
  const view = new LedgerView();
  for (const kind of ['service', 'route'] as const) {
    ledger.allocate(kind, 'shop/api');
    const slot = ledger.allocate(kind, 'shop/web');
    view.add(ledger.chunk(kind, 0, 0));
    const cells = view.cells(kind, slot);
    const limit = new RateLimiter(
      policy(),
      kind === 'service' ? bucketOfService(cells) : bucketOfRoute(cells),
      null,
    );
    for (let i = 0; i < 5; i++) assert.equal(limit.take(1, START_MS), 0);
    assert.equal(limit.peek(1, START_MS), 100);
    assert.equal(limit.take(1, START_MS), 100);
    assert.equal(limit.take(2, START_MS + 40), 60);
    assert.equal(limit.peek(2, START_MS + 100), 0);
    assert.equal(limit.take(1, START_MS + 100), 0);
    assert.equal(limit.take(1, START_MS + 100), 100);
    for (let i = 0; i < 5; i++) assert.equal(limit.take(1, START_MS + 10_000), 0);
    assert.ok(limit.take(1, START_MS + 10_000) > 0);
  }
});

test('a bucket admits at most burst + average * t / period in any window', () => {
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 1, maxLength: 150 }),
      (limits, gaps) => {
        const { average, periodMs, burst } = limits;
        const limit = limiter(limits);
        const admitted: number[] = [];
        let now = START_MS;
        for (const gap of gaps) {
          now += (gap * periodMs) / average;
          if (limit.take(1, now) === 0) admitted.push(now);
        }
        for (let from = 0; from < admitted.length; from++) {
          for (let to = from; to < admitted.length; to++) {
            const span = admitted[to]! - admitted[from]!;
            // Times are cut to whole units, so two of them may seem one closer.
            const most = burst + (average * (span + UNIT_MS)) / periodMs;
            assert.ok(to - from + 1 <= most + 1e-6, `${to - from + 1} in ${span} ms`);
          }
        }
      },
    ),
  );
});

/** What asks, in which order, and how much later than the one before, in thousandths of a token. */
const turns = fc.array(
  fc.record({
    thread: fc.nat({ max: 2 }),
    gap: fc.nat({ max: 3_000 }),
    isPeek: fc.boolean(),
  }),
  { maxLength: 100 },
);

test('a bucket that threads share does what a bucket of tokens refilled by the clock does, in any order', () => {
  fc.assert(
    fc.property(policies, turns, (limits, order) => {
      const { tokenNs } = compileRate(policy(limits));
      const memory = new SharedArrayBuffer(16);
      const threads = [0, 1, 2].map(() => limiter(limits, memory));
      let nowMs = START_MS;
      let tokens = limits.burst;
      for (const { thread, gap, isPeek } of order) {
        const stepMs = Math.round((gap / 1_000) * (tokenNs / 1e6));
        nowMs += stepMs;
        tokens = Math.min(limits.burst, tokens + (stepMs * 1e6) / tokenNs);
        const asked = threads[thread] as RateLimiter;
        const waitMs = isPeek ? asked.peek(1, nowMs) : asked.take(1, nowMs);
        if (Math.abs(tokens - 1) < 1e-6) tokens = waitMs === 0 ? 1 : tokens;
        else assert.equal(waitMs === 0, tokens >= 1);
        if (waitMs === 0) tokens -= isPeek ? 0 : 1;
        else assert.ok(Math.abs(waitMs - ((1 - tokens) * tokenNs) / 1e6) < 1e-3 * (1 + waitMs));
      }
    }),
  );
});

test('the time to wait is the time after which a token is there', () => {
  fc.assert(
    fc.property(policies, (limits) => {
      const limit = limiter(limits);
      for (let i = 0; i < limits.burst; i++) assert.equal(limit.take(1, START_MS), 0);
      const waitMs = limit.take(1, START_MS);
      assert.ok(waitMs > 0);
      if (waitMs > 1e-3) assert.ok(limit.take(1, START_MS + waitMs - 1e-3) > 0);
      assert.equal(limit.take(1, START_MS + waitMs + 1e-3), 0);
    }),
  );
});

test('compileRate() survives limits that make no sense', () => {
  for (const average of [0, -1, Number.NaN]) {
    const limit = limiter({ average, burst: 1e300 });
    assert.equal(limit.take(1, START_MS), 0);
    assert.ok(limit.take(1, START_MS) > 1e9);
  }
  assert.equal(limiter({ burst: 0 }).take(1, START_MS), 0);
});

test('a bucket of centuries, on a machine that runs for a year, has exactly its burst', () => {
  const yearMs = 365 * 86_400_000;
  for (const change of [
    { average: 1, periodMs: 3_600_000, burst: 10_000 },
    { average: 7, periodMs: 3_600_000, burst: 100_000 },
    { average: 300_000, periodMs: 1_000, burst: 100_000 },
  ]) {
    const limit = limiter(change);
    let taken = 0;
    while (limit.take(1, yearMs + 0.123) === 0) taken++;
    assert.equal(taken, change.burst);
  }
});

test('the rate is never higher than asked, and hardly lower', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 10_000_000 }),
      (average, burst) => {
        const { tokenNs, bucketNs, unitNs } = compileRate(policy({ average, burst }));
        assert.ok(tokenNs >= 1e9 / average && tokenNs <= (1e9 / average) * 1.001);
        assert.equal(bucketNs, tokenNs * burst);
        // Whatever is added up is a whole number of units, below 2^53 of them.
        assert.equal(tokenNs % unitNs, 0);
        assert.ok(bucketNs / unitNs <= 2 ** 51);
      },
    ),
  );
});

test('a rate that is raised holds at once, however long the old one would still refuse', () => {
  const memory = new SharedArrayBuffer(16);
  const slow = limiter({ average: 1, periodMs: 3_600_000, burst: 50 }, memory);
  for (let i = 0; i < 50; i++) slow.take(1, START_MS);
  assert.equal(slow.take(1, START_MS), 3_600_000);
  const fast = limiter({ average: 10, periodMs: 1_000, burst: 5 }, memory);
  assert.equal(fast.peek(1, START_MS), 100);
  assert.equal(fast.take(1, START_MS), 100, 'empty, and no more than that');
  assert.equal(fast.peek(1, START_MS + 100), 0);
  assert.equal(fast.take(1, START_MS + 100), 0);
  assert.equal(fast.take(1, START_MS + 100), 100);
  const back = limiter({ average: 1, periodMs: 3_600_000, burst: 1 }, memory);
  assert.ok(back.take(1, START_MS + 100) > 0, 'what was taken counts');
});

test('callerTableBytes() gives every caller an entry, to the next power of two', () => {
  for (const [callers, entries] of [
    [0, 8],
    [1, 8],
    [8, 8],
    [9, 16],
    [1_000, 1_024],
    [1e12, 4_194_304],
  ] as const) {
    const bytes = callerTableBytes(callers);
    assert.equal((bytes / 100) * 8, entries);
    assert.ok(new CallerBuckets(new SharedArrayBuffer(bytes)));
  }
});

test('callers have buckets of their own, also after others pushed them out when they were full', () => {
  const rate = compileRate(policy({ average: 1_000, burst: 3 }));
  const buckets = new CallerBuckets(new SharedArrayBuffer(callerTableBytes(64)));
  let now = START_MS;
  for (let caller = 0; caller < 1_000; caller++) {
    for (let i = 0; i < 3; i++) assert.equal(buckets.take(mix32(caller), rate, now), 0);
    assert.ok(buckets.take(mix32(caller), rate, now) > 0);
    now += 3;
  }
});

test('a set of more callers than it has buckets admits what its buckets admit, no more', () => {
  const rate = compileRate(policy({ average: 1, periodMs: 3_600_000, burst: 2 }));
  const buckets = new CallerBuckets(new SharedArrayBuffer(callerTableBytes(8)));
  let admitted = 0;
  for (let round = 0; round < 5; round++) {
    for (let caller = 1; caller <= 100; caller++) {
      if (buckets.take(caller, rate, START_MS) === 0) admitted++;
    }
  }
  assert.equal(admitted, 8 * 2);
});

test('a lock that a dead thread left behind stops nobody', () => {
  const table = new SharedArrayBuffer(callerTableBytes(8));
  new Int32Array(table, table.byteLength - 4, 1)[0] = 1;
  const buckets = new CallerBuckets(table);
  const rate = compileRate(policy({ burst: 1 }));
  assert.equal(buckets.take(7, rate, START_MS), 0);
  assert.ok(buckets.take(7, rate, START_MS) > 0);
  assert.equal(new Int32Array(table, table.byteLength - 4, 1)[0], 0);
});

/** Runs `body` with (data, policy, helpers) on some threads that start together; resolves to what each returned. */
async function race(threads: number, data: SharedArrayBuffer, body: string): Promise<number[]> {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const source = `
    import { workerData, parentPort } from 'node:worker_threads';
    import { systemClock } from ${JSON.stringify(new URL('../../base/clock.ts', import.meta.url).href)};
    import * as limits from ${JSON.stringify(new URL('./rate-limit.ts', import.meta.url).href)};
    const { data, gate } = workerData;
    function limiterIn(memory, policy) {
      const words = { fulls: new Float64Array(memory, 0, 1), at: 0, locks: new Int32Array(memory, 8), lockAt: 0 };
      return new limits.RateLimiter(policy, words, null);
    }
    parentPort.postMessage('ready');
    Atomics.wait(gate, 0, 0);
    parentPort.postMessage((() => { ${body} })());
  `;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const workers = Array.from(
    { length: threads },
    () => new Worker(url, { workerData: { data, gate } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const results = workers.map((worker) => once(worker, 'message'));
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
  const counts = await Promise.all(results);
  await Promise.all(workers.map((worker) => worker.terminate()));
  return counts.map(([count]) => Number(count));
}

test('threads that hammer one bucket get together no more than its rate', async () => {
  const data = new SharedArrayBuffer(16);
  const limits = policy({ average: 20_000, periodMs: 1_000, burst: 100 });
  const began = systemClock.nowMs();
  const counts = await race(
    3,
    data,
    `const limit = limiterIn(data, ${JSON.stringify(limits)});
     let admitted = 0;
     const end = systemClock.nowMs() + 150;
     for (let now = 0; now < end; ) {
       now = systemClock.nowMs();
       if (limit.take(1, now) === 0) admitted++;
     }
     return admitted;`,
  );
  const spanMs = systemClock.nowMs() - began;
  const total = counts.reduce((sum, count) => sum + count, 0);
  assert.ok(total <= 100 + 20 * spanMs, `${total} in ${spanMs} ms`);
  assert.ok(total > 100, 'it refilled meanwhile');
});

test('threads that hammer one bucket at one moment get together exactly what is in it', async () => {
  const limits = policy({ burst: 5_000 });
  const counts = await race(
    3,
    new SharedArrayBuffer(16),
    `const limit = limiterIn(data, ${JSON.stringify(limits)});
     let admitted = 0;
     for (let i = 0; i < 20_000; i++) {
       if (limit.take(1, 1e6) === 0) admitted++;
     }
     return admitted;`,
  );
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    5_000,
  );
});

test('threads that meet a caller at the same time share one bucket for it', async () => {
  const callers = 400;
  const data = new SharedArrayBuffer(callerTableBytes(16_384));
  const counts = await race(
    3,
    data,
    `const rate = limits.compileRate({ average: 1, periodMs: 1e9, burst: 5 });
     const buckets = new limits.CallerBuckets(data);
     let admitted = 0;
     for (let round = 0; round < 4; round++) {
       for (let caller = 1; caller <= ${callers}; caller++) {
         if (buckets.take(Math.imul(caller, 0x9e3779b9) >>> 0, rate, 1e6) === 0) admitted++;
       }
     }
     return admitted;`,
  );
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    callers * 5,
  );
});
