import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Figures, isMet, MEMORY_BAR_MB, report } from './report.ts';

const CORES = { controller: 1, apiServer: 0.5, etcd: 0.1, agents: 0 };

function figures(peaksMb: readonly number[], restartWrites = 0): Figures {
  return {
    size: { services: 400, endpoints: 10, nodes: 2, agents: 2, published: 200, changes: 1 },
    memoryLimit: 'no limit of memory',
    phases: peaksMb.map((peakMb) => ({
      name: 'rest',
      seconds: 1,
      peakMb,
      settledMb: 100,
      cores: CORES,
    })),
    firstReadySeconds: 2,
    announcedSeconds: 12,
    publishedSeconds: 22,
    restartReadySeconds: 2,
    agentsBackSeconds: 3,
    restartWrites,
    requests: [{ what: 'apply a Service', count: 400, meanMs: 12.34 }],
    refused: 0,
  };
}

test('the bar is for the highest peak of all phases', () => {
  assert.ok(isMet(figures([100, MEMORY_BAR_MB - 1, 200])));
  assert.ok(!isMet(figures([100, MEMORY_BAR_MB, 200])));
});

test('a restart that writes to shadow Services misses it too', () => {
  assert.ok(!isMet(figures([100], 1)));
});

test('report() says how it went, and how fast shadow Services were made', () => {
  const text = report(figures([350]));
  assert.match(text, /^400 Services, 4,000 endpoints and Pods, 2 Nodes, 2 agents; no limit/);
  assert.match(text, /^shadow Services made +20\.0 a second$/m);
  assert.match(text, /^apply a Service +400 +12\.3$/m);
  assert.match(text, /^PASS {2}peak memory 350 MB, 0\.50 of the bar \(< 700 MB\)$/m);
});
