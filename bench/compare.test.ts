import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparison, contest } from './compare.ts';
import { sampleOf, stageOf } from './figures.fixture.ts';
import { comparisonReport } from './report.ts';

const commits = contest({ command: 'new', commit: 'bbb' }, { command: 'old', commit: 'aaa' });
const samples = [
  sampleOf('maesh@bbb', 1, { cpuMicros: 11, foreignPercent: 1 }),
  sampleOf('maesh@aaa', 1, { cpuMicros: 10, foreignPercent: 1 }),
  sampleOf('maesh@aaa', 2, { cpuMicros: 20, foreignPercent: 1 }),
  sampleOf('maesh@bbb', 2, { cpuMicros: 21, foreignPercent: 60 }),
  sampleOf('maesh@bbb', 3, { cpuMicros: 9, foreignPercent: 1 }),
  sampleOf('maesh@aaa', 3, { cpuMicros: 10, foreignPercent: 1 }),
];

test('contest() runs both commits in every stage, small requests with every feature too', () => {
  const names = (stage: 'small' | 'churn'): string[] =>
    commits.peersFor(stage).map((peer) => peer.name);
  assert.deepEqual(names('churn'), ['maesh@bbb', 'maesh@aaa']);
  assert.deepEqual(names('small'), ['maesh@bbb', 'maesh@aaa', 'maesh-all@bbb', 'maesh-all@aaa']);
});

test('comparison() has the ratio within rounds, its spread, and how many rounds were disturbed', () => {
  const table = comparison({ churn: stageOf('churn', samples) }, commits);
  assert.deepEqual(table.rows, [
    ['churn, maesh: CPU µs/connection', '11.0', '10.0', '1.050', '0.900', '1.100', '3', '1'],
  ]);
});

test('the report of a comparison names both commits and the processor', () => {
  const report = comparisonReport({ churn: stageOf('churn', samples, 'AMD EPYC') }, commits);
  for (const part of ['# bbb against aaa', 'new ÷ old', '2 × AMD EPYC']) {
    assert.ok(report.includes(part), part);
  }
});
