/** An object that did not hold for a while what was decided: agents that listened before need not listen after it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { annotationsOf, portsOf } from './api.fixture.ts';
import type { Json } from './api.fixture.ts';
import { shadowName } from './names.ts';
import { DEFAULT_LEAVE_MS } from './placer.ts';
import { World } from './world.fixture.ts';

const NAME = shadowName('shop/web');
const TIMES = { announceTimeoutMs: 60_000 };
/** Agents close in it what they are not told any more, and would be late. */
const OUTAGE_MS = DEFAULT_LEAVE_MS + TIMES.announceTimeoutMs;

/** The longest wait for another try after a failure. */
const RETRY_MS = 30_000;

type Hand = (world: World) => void;

const remove: Hand = (world) => world.api.removeByHand(NAME);
const edit =
  (change: (object: Json) => void): Hand =>
  (world) =>
    world.api.editByHand(NAME, change);

const GAPS = new Map<string, Hand>([
  ['deleted', remove],
  [
    'edited',
    edit((object) => {
      for (const port of portsOf(object)) port['targetPort'] = 20_000 + Number(port['port']);
      delete annotationsOf(object)['maesh.dev/announced-ports'];
    }),
  ],
]);

/** All agents listen, but no write succeeds any more. */
async function waiting(world: World): Promise<void> {
  world.first.compile();
  await world.settle();
  assert.equal(world.api.faults.length, 0);
  world.api.faults = Array.from({ length: 1_000 }, () => 'lose');
  world.first.watch();
  world.first.serve();
  await world.settle();
}

/** Somebody's hand, then an outage, then the write that puts it back, without an answer. */
async function outage(world: World, hand: Hand): Promise<void> {
  hand(world);
  const { length } = world.api.writes;
  for (let ms = 0; ms < OUTAGE_MS; ms += 1_000) {
    world.first.watch();
    world.first.serve();
    world.clock.advance(1_000);
    await world.settle();
  }
  world.api.faults = ['lose-answer'];
  for (let turn = 0; world.api.writes.length === length; turn++) {
    assert.ok(turn < 200, 'it is never put back');
    world.clock.advance(250);
    await world.settle();
  }
}

async function pass(world: World, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    world.clock.advance(1_000);
    await world.settle();
  }
}

for (const [what, hand] of GAPS) {
  test(`an announced shadow that is ${what} is published when agents listen again, not because they did`, async () => {
    const world = new World({ times: TIMES });
    world.lead(world.first);
    world.service('shop/web', [80]);
    await waiting(world);
    await outage(world, hand);
    world.first.watch();
    await pass(world, RETRY_MS);
    assert.deepEqual(world.violations, []);
    assert.equal(world.shadowOf('shop/web')?.state, 'announced');

    world.first.serve();
    await world.settle();
    assert.equal(world.shadowOf('shop/web')?.state, 'published');
    assert.deepEqual(world.violations, []);
  });

  test(`a new port of a shadow that is ${what} gets its name when agents listen again, not because they did`, async () => {
    const world = new World({ times: TIMES });
    world.lead(world.first);
    world.service('shop/web', [80]);
    await world.converge();
    world.service('shop/web', [80, 81]);
    await waiting(world);
    await outage(world, hand);
    world.first.watch();
    await pass(world, RETRY_MS);
    assert.deepEqual(world.violations, []);
    assert.equal(world.shadowOf('shop/web')?.announcedPorts.length, 1);

    world.first.serve();
    await world.settle();
    assert.deepEqual(world.shadowOf('shop/web')?.announcedPorts, []);
    assert.deepEqual(world.violations, []);
  });
}
