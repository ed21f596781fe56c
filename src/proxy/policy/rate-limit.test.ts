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
import { CallerBuckets, compileRate, takeFrom, takeToken } from './rate-limit.ts';

const START_MS = 1_000_000;

function policy(change: Partial<RateLimitPolicy> = {}): RateLimitPolicy {
  return { average: 10, periodMs: 1_000, burst: 5, per: 'service', callersMax: 1_024, ...change };
}

function bucket(): BigInt64Array {
  return new BigInt64Array(new SharedArrayBuffer(8));
}

const policies = fc.record({
  average: fc.integer({ min: 1, max: 1_000_000 }),
  periodMs: fc.constantFrom(1, 100, 1_000, 60_000, 3_600_000),
  burst: fc.integer({ min: 1, max: 50 }),
});

test('takeToken() lets a burst through a fresh slot, then one per interval', () => {
  const ledger = new Ledger(1);
  const view = new LedgerView();
  const slot = ledger.allocate('service', 'shop/web');
  view.add(ledger.chunk('service', 0, 0));
  const cells = view.cells('service', slot);
  const rate = compileRate(policy());
  for (let i = 0; i < 5; i++) assert.equal(takeToken(cells, rate, START_MS), 0);
  assert.equal(takeToken(cells, rate, START_MS), 100);
  assert.equal(takeToken(cells, rate, START_MS + 40), 60);
  assert.equal(takeToken(cells, rate, START_MS + 100), 0);
  assert.equal(takeToken(cells, rate, START_MS + 100), 100);
  for (let i = 0; i < 5; i++) assert.equal(takeToken(cells, rate, START_MS + 10_000), 0);
  assert.ok(takeToken(cells, rate, START_MS + 10_000) > 0);
});

test('a bucket admits at most burst + average * t / period in any window', () => {
  fc.assert(
    fc.property(
      policies,
      fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 1, maxLength: 150 }),
      (limits, gaps) => {
        const { average, periodMs, burst } = limits;
        const rate = compileRate(policy(limits));
        const ticks = bucket();
        const admitted: number[] = [];
        let now = START_MS;
        for (const gap of gaps) {
          now += (gap * periodMs) / average;
          if (takeFrom(ticks, 0, rate, now) === 0) admitted.push(now);
        }
        for (let from = 0; from < admitted.length; from++) {
          for (let to = from; to < admitted.length; to++) {
            const span = admitted[to]! - admitted[from]!;
            // Nanoseconds are cut off from the times, so two of them may seem one closer.
            const most = burst + (average * (span + 1e-6)) / periodMs;
            assert.ok(to - from + 1 <= most + 1e-6, `${to - from + 1} in ${span} ms`);
          }
        }
      },
    ),
  );
});

test('a bucket does what a bucket of tokens refilled by the clock does', () => {
  fc.assert(
    fc.property(policies, fc.array(fc.nat({ max: 3_000 }), { maxLength: 100 }), (limits, gaps) => {
      const rate = compileRate(policy(limits));
      const tokenNs = Number(rate.tokenNs);
      const ticks = bucket();
      let nowMs = START_MS;
      let tokens = limits.burst;
      for (const gap of gaps) {
        const stepMs = Math.round((gap / 1_000) * (tokenNs / 1e6));
        nowMs += stepMs;
        tokens = Math.min(limits.burst, tokens + (stepMs * 1e6) / tokenNs);
        const waitMs = takeFrom(ticks, 0, rate, nowMs);
        if (Math.abs(tokens - 1) < 1e-6) tokens = waitMs === 0 ? 1 : tokens;
        else assert.equal(waitMs === 0, tokens >= 1);
        if (waitMs === 0) tokens -= 1;
        else assert.ok(Math.abs(waitMs - ((1 - tokens) * tokenNs) / 1e6) < 1e-3 * (1 + waitMs));
      }
    }),
  );
});

test('the time to wait is the time after which a token is there', () => {
  fc.assert(
    fc.property(policies, (limits) => {
      const rate = compileRate(policy(limits));
      const ticks = bucket();
      for (let i = 0; i < limits.burst; i++) assert.equal(takeFrom(ticks, 0, rate, START_MS), 0);
      const waitMs = takeFrom(ticks, 0, rate, START_MS);
      assert.ok(waitMs > 0);
      if (waitMs > 1e-3) assert.ok(takeFrom(ticks, 0, rate, START_MS + waitMs - 1e-3) > 0);
      assert.equal(takeFrom(ticks, 0, rate, START_MS + waitMs + 1e-3), 0);
    }),
  );
});

test('compileRate() survives limits that make no sense', () => {
  for (const average of [0, -1, Number.NaN]) {
    const rate = compileRate(policy({ average, burst: 1e300 }));
    const ticks = bucket();
    assert.equal(takeFrom(ticks, 0, rate, START_MS), 0);
    assert.ok(takeFrom(ticks, 0, rate, START_MS) > 1e9);
  }
  assert.equal(takeFrom(bucket(), 0, compileRate(policy({ burst: 0 })), START_MS), 0);
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
  const data = new SharedArrayBuffer(8);
  const limits = policy({ average: 20_000, periodMs: 1_000, burst: 100 });
  const began = systemClock.nowMs();
  const counts = await race(
    3,
    data,
    `const ticks = new BigInt64Array(data);
     const rate = limits.compileRate(${JSON.stringify(limits)});
     let admitted = 0;
     const end = systemClock.nowMs() + 150;
     for (let now = 0; now < end; ) {
       now = systemClock.nowMs();
       if (limits.takeFrom(ticks, 0, rate, now) === 0) admitted++;
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
    new SharedArrayBuffer(8),
    `const ticks = new BigInt64Array(data);
     const rate = limits.compileRate(${JSON.stringify(limits)});
     let admitted = 0;
     for (let i = 0; i < 20_000; i++) {
       if (limits.takeFrom(ticks, 0, rate, 1e6) === 0) admitted++;
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
