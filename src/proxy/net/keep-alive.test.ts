import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepAliveOf } from './keep-alive.ts';

function of(peerTimeoutMs: number): ReturnType<typeof keepAliveOf> {
  return keepAliveOf({ peerTimeoutMs, unacknowledgedTimeoutMs: 0 });
}

test('a peer that is silent is given up after the time of the setting, to the second', () => {
  for (const seconds of [2, 3, 4, 5, 8, 10, 17, 60, 119, 120, 7_200]) {
    const { idleSeconds, intervalSeconds, probes } = of(seconds * 1_000);
    assert.equal(idleSeconds + intervalSeconds * probes, seconds);
    assert(idleSeconds >= 1 && intervalSeconds >= 1 && probes >= 1);
  }
  assert.deepEqual(of(120_000), {
    idleSeconds: 60,
    intervalSeconds: 15,
    probes: 4,
    unacknowledgedMs: 0,
  });
});

test('nobody is asked without a time; the shortest takes two seconds', () => {
  assert.equal(of(0).idleSeconds, 0);
  assert.deepEqual(of(1_000), {
    idleSeconds: 1,
    intervalSeconds: 1,
    probes: 1,
    unacknowledgedMs: 0,
  });
});
