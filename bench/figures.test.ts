import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BARS, verdict } from './bars.ts';
import { median, middle, ratio, type Figures, type Sample, type Stage } from './figures.ts';

function stageOf(name: Stage['name'], samples: readonly Sample[]): Stage {
  const machine = { cpu: 'test', cores: 2, memoryGb: 4, kernel: '6', node: 'v26', tools: {} };
  return { name, day: '2026-11-22', commit: 'abc', quick: true, machine, samples };
}

function sample(subject: string, round: number, cpuMicros: number): Sample {
  return { subject, round, figures: { cpuMicros } };
}

test('middle() takes the mean of the two middle values', () => {
  assert.equal(middle([]), null);
  assert.equal(middle([3, 1, 2]), 2);
  assert.equal(middle([4, 1, 2, 3]), 2.5);
});

test('ratio() compares within a round, so that a slow round disturbs nothing', () => {
  const stage = stageOf('small', [
    sample('maesh', 1, 11),
    sample('haproxy', 1, 10),
    sample('maesh', 2, 110),
    sample('haproxy', 2, 100),
    sample('maesh', 3, 12),
    sample('haproxy', 3, 10),
  ]);
  assert.equal(ratio(stage, { subject: 'maesh', base: 'haproxy' }, 'cpuMicros'), 1.1);
  assert.equal(median(stage, 'maesh', 'cpuMicros'), 12);
});

test('ratio() is null when no round has both', () => {
  const stage = stageOf('small', [sample('maesh', 1, 11), sample('haproxy', 2, 10)]);
  assert.equal(ratio(stage, { subject: 'maesh', base: 'haproxy' }, 'cpuMicros'), null);
  assert.equal(ratio(undefined, { subject: 'maesh', base: 'haproxy' }, 'cpuMicros'), null);
});

test('verdict() passes at the bar, misses above it, and says when nothing was measured', () => {
  const [bar] = BARS;
  assert.ok(bar);
  const at = (cpuMicros: number): Figures => ({
    small: stageOf('small', [sample('maesh', 1, cpuMicros), sample('haproxy', 1, 100)]),
  });
  assert.equal(verdict(bar, at(125)), 'PASS');
  assert.equal(verdict(bar, at(126)), 'MISS');
  assert.equal(verdict(bar, {}), 'not measured');
});
