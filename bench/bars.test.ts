import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BARS, HAPROXY_LIMITS, verdict, type Bar } from './bars.ts';
import { sampleOf, stageOf } from './figures.fixture.ts';
import type { Figures } from './figures.ts';

function barOf(label: string): Bar {
  const bar = BARS.find((each) => each.label === label);
  assert.ok(bar, label);
  return bar;
}

/** maesh needs `cpuMicros` for what takes `base` 100. */
function small(cpuMicros: number, base: string, cpu: string = 'AMD EPYC'): Figures {
  const samples = [sampleOf('maesh', 1, { cpuMicros }), sampleOf(base, 1, { cpuMicros: 100 })];
  return { small: stageOf('small', samples, cpu) };
}

test('verdict() passes at the bar, misses above it, and says when nothing was measured', () => {
  const bar = barOf('CPU per small request against HAProxy');
  assert.equal(verdict(bar, small(100, 'haproxy')), 'PASS');
  assert.equal(verdict(bar, small(101, 'haproxy')), 'MISS');
  assert.equal(verdict(bar, {}), 'not measured');
});

test('the bar against Envoy depends on the processor', () => {
  const bar = barOf('CPU per small request against Envoy');
  const intel = 'Intel(R) Xeon(R) Processor (family 6, model 143)';
  assert.equal(verdict(bar, small(45, 'envoy')), 'PASS');
  assert.equal(verdict(bar, small(46, 'envoy')), 'MISS');
  assert.equal(verdict(bar, small(30, 'envoy', intel)), 'PASS');
  assert.equal(verdict(bar, small(31, 'envoy', intel)), 'MISS');
  assert.equal(verdict(bar, {}), 'not measured');
});

test('HTTP/2 has bars against HAProxy and Envoy', () => {
  const judge = (stage: 'h2-20' | 'h2-100' | 'h2-h1', cpuMicros: number, base: string): string => {
    const samples = [sampleOf('maesh', 1, { cpuMicros }), sampleOf(base, 1, { cpuMicros: 100 })];
    const figures: Figures = { [stage]: stageOf(stage, samples) };
    return BARS.map((bar) => verdict(bar, figures))
      .filter((each) => each !== 'not measured')
      .join();
  };
  for (const stage of ['h2-20', 'h2-100'] as const) {
    assert.deepEqual([judge(stage, 80, 'haproxy'), judge(stage, 81, 'haproxy')], ['PASS', 'MISS']);
    assert.deepEqual([judge(stage, 35, 'envoy'), judge(stage, 36, 'envoy')], ['PASS', 'MISS']);
  }
  assert.deepEqual(
    [judge('h2-h1', 110, 'haproxy'), judge('h2-h1', 111, 'haproxy')],
    ['PASS', 'MISS'],
  );
});

test('a bar that is a least value misses below it', () => {
  const bar = barOf('Requests/s of two threads on two cores against one on one');
  const at = (speedup: number): Figures => ({
    threads: stageOf('threads', [sampleOf('maesh', 1, { speedup })]),
  });
  assert.equal(verdict(bar, at(1.9)), 'PASS');
  assert.equal(verdict(bar, at(1.89)), 'MISS');
});

test('memory is judged by the greater of the values after start and after load', () => {
  const bar = barOf('Memory of one thread with 1,000 Services');
  const at = (freshRssMb: number, loadedRssMb: number): Figures => ({
    memory: stageOf('memory', [sampleOf('maesh', 1, { freshRssMb, loadedRssMb })]),
  });
  assert.equal(verdict(bar, at(120, 110)), 'PASS');
  assert.equal(verdict(bar, at(121, 110)), 'MISS');
  assert.equal(verdict(bar, at(110, 121)), 'MISS');
});

test('no bar passes without figures, and every aim is beyond its bar', () => {
  for (const bar of BARS) {
    assert.equal(verdict(bar, {}), 'not measured', bar.label);
    const limit = bar.limit({});
    if (limit !== null && bar.aim !== null) assert.ok(bar.aim < limit, bar.label);
  }
  const http1 = { small: 1, '10k': 0.95, '1m': 0.5, churn: 1.4, rate: 1.05 };
  const http2 = { 'h2-20': 0.8, 'h2-100': 0.8, 'h2-h1': 1.1 };
  const tcp = { 'tcp-bulk': 0.65, 'tcp-churn': 1.4 };
  assert.deepEqual(HAPROXY_LIMITS, { ...http1, ...http2, ...tcp });
});
