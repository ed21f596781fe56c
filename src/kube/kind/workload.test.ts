import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COPIES_MAX, readWorkload } from './workload.ts';

function deployment(replicas: unknown) {
  return readWorkload('Deployment', {
    metadata: { name: 'web', namespace: 'shop' },
    spec: { replicas, template: { spec: {} } },
  });
}

test('readWorkload() makes no more Pods than the limit, and says so', () => {
  const { pods, findings } = deployment(COPIES_MAX + 1);
  assert.equal(pods.length, COPIES_MAX);
  assert.deepEqual(
    findings.map(({ severity, path }) => [severity, path]),
    [['warning', ['spec', 'replicas']]],
  );
  assert.equal(new Set(pods.map(({ meta }) => meta.name)).size, COPIES_MAX);
});

test('readWorkload() takes one Pod where no number is written, and none for 0', () => {
  assert.deepEqual(
    [deployment(undefined), deployment(null), deployment(0)].map(({ pods }) => pods.length),
    [1, 1, 0],
  );
});
