import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { BackendFixture, endpointsWith, policiesWith } from './backend.fixture.ts';
import { Rotation } from './rotation.ts';

test('a rotation has room for weights only once it is picked from', () => {
  const weights = Array.from({ length: 100 }, (_, i) => i + 1);
  const { endpoints } = new BackendFixture(endpointsWith(weights), policiesWith()).state;
  const gate = { limit: 10, slowStartMs: 0, panic: false, checked: false };
  const before = process.memoryUsage().arrayBuffers;
  const rotations = weights.map(() => new Rotation('all', endpoints, gate, seededRandom(1)));
  // Those of all would be 160 kB.
  assert.ok(process.memoryUsage().arrayBuffers - before < 20_000);
  const [rotation] = rotations;
  rotation?.touch(0);
  assert.equal(rotation?.liveCount, 100);
  assert.equal(rotation.weightAt(99), 100);
  assert.ok(rotation.draw(null, null) >= 0);
});
