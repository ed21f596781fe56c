import assert from 'node:assert/strict';
import { test } from 'node:test';
import { comparison, contest } from './compare.ts';
import { sampleOf, stageOf } from './figures.fixture.ts';
import { stageTable } from './tables.ts';

test('handshakes of TLS are shown per second of a processor too', () => {
  const samples = [
    sampleOf('maesh', 1, { cpuMicros: 500 }),
    sampleOf('haproxy', 1, { cpuMicros: 400 }),
  ];
  const { head, rows } = stageTable(stageOf('tls-new', samples));
  assert.deepEqual(head.slice(1, 4), [
    '× HAProxy',
    'handshakes per CPU second',
    'CPU µs/connection',
  ]);
  assert.deepEqual(
    rows.map((row) => row.slice(0, 4)),
    [
      ['maesh', '1.25', '2,000', '500.0'],
      ['haproxy', '1.00', '2,500', '400.0'],
    ],
  );
});

test('what is no cost is not compared between commits', () => {
  const commits = contest({ command: 'new', commit: 'b' }, { command: 'old', commit: 'a' });
  const samples = [
    sampleOf('maesh@b', 1, { cpuMicros: 500 }),
    sampleOf('maesh@a', 1, { cpuMicros: 400 }),
  ];
  const { rows } = comparison({ 'tls-new': stageOf('tls-new', samples) }, commits);
  assert.deepEqual(
    rows.map(([what]) => what),
    ['tls-new, maesh: CPU µs/connection'],
  );
});
