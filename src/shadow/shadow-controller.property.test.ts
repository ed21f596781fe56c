import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { annotationsOf, child, portsOf } from './api.fixture.ts';
import type { Fault, Json } from './api.fixture.ts';
import { shadowName } from './names.ts';
import { World } from './world.fixture.ts';

const KEYS = ['shop/a', 'shop/b', 'bank/a', 'bank/b', 'bank/c'];
/** Just enough for all that can be wanted at a time, with what no namespace may take: what is free is soon somebody else's. */
const RANGE = { from: 10_000, to: 10_017 };

/** Longer than any single wait but the quarantine: what ends, ends in these steps too, and many more cases fit into the time. */
const STEP_MS = 5_000;

type Step = (world: World) => void;

const key = fc.constantFrom(...KEYS);
const replica = fc.constantFrom(0, 1);

const change: fc.Arbitrary<Step> = fc
  .record({ key, ports: fc.constantFrom([], [], [80], [80, 81], [81, 82], [8080], [80, 81, 82]) })
  .map(
    ({ key, ports }) =>
      (world) =>
        world.service(key, ports),
  );

const move: fc.Arbitrary<Step> = fc.oneof(
  replica.map(
    (index): Step =>
      (world) =>
        world.replicas[index]?.compile(),
  ),
  fc.record({ index: replica, count: fc.constantFrom(1, 2, 100) }).map(
    ({ index, count }): Step =>
      (world) =>
        world.replicas[index]?.watch(count),
  ),
  fc.record({ index: replica, agents: fc.constantFrom([0], [1], [0, 1]) }).map(
    ({ index, agents }): Step =>
      (world) =>
        world.replicas[index]?.serve(agents),
  ),
);

const time: fc.Arbitrary<Step> = fc
  .constantFrom(300, 2_000, 16_000, 31_000, 120_000, 301_000)
  .map((ms) => (world) => world.clock.advance(ms));

const lead: fc.Arbitrary<Step> = fc
  .constantFrom(0, 1, null)
  .map((index) => (world) => world.lead(index === null ? null : (world.replicas[index] ?? null)));

const fault: fc.Arbitrary<Step> = fc
  .constantFrom<Fault>('refuse', 'lose', 'lose-answer')
  .map((kind) => (world) => world.api.faults.push(kind));

/** The process starts anew and remembers nothing. */
const restart: fc.Arbitrary<Step> = replica.map((index) => (world) => {
  const target = world.replicas[index];
  if (world.leader === target) world.lead(null);
  target?.controller.stop();
  target?.boot();
});

const edit = fc.constantFrom<(object: Json) => void>(
  (object) => Object.assign(child(child(object, 'spec'), 'selector'), { app: 'mine' }),
  (object) => Object.assign(child(object, 'spec'), { sessionAffinity: 'ClientIP' }),
  (object) => delete annotationsOf(object)['maesh.dev/state'],
  (object) => delete annotationsOf(object)['maesh.dev/service'],
  (object) => delete child(child(object, 'metadata'), 'labels')['app.kubernetes.io/component'],
  (object) => Object.assign(annotationsOf(object), { 'maesh.dev/retired-ports': '[1]' }),
  (object) => Object.assign(portsOf(object)[0] ?? {}, { targetPort: 10_007 }),
  (object) => portsOf(object).push({ name: 'x', port: 9, protocol: 'TCP', targetPort: 9 }),
);

const hand: fc.Arbitrary<Step> = fc.oneof(
  key.map(
    (service): Step =>
      (world) =>
        world.api.removeByHand(shadowName(service)),
  ),
  fc.record({ service: key, edit }).map(
    ({ service, edit }): Step =>
      (world) =>
        world.api.editByHand(shadowName(service), edit),
  ),
);

/** Patient: everything under way ends between two steps. */
async function play(steps: readonly Step[]): Promise<World> {
  // Nobody is left behind here: what comes too late has a test of its own.
  const world = new World({ replicas: 2, range: RANGE, times: { announceTimeoutMs: 1e12 } });
  world.lead(world.first);
  for (const step of steps) {
    step(world);
    await world.settle();
    assert.deepEqual(world.violations, []);
  }
  assert.equal(world.api.idleWrites, 0, 'no write changed nothing');
  return world;
}

/** Whatever happened: in the end everything is as it should be, and stays so without a write. */
async function ends(world: World): Promise<void> {
  world.api.faults = [];
  if (world.leader === null) world.lead(world.first);
  await world.converge(700_000, STEP_MS);
  assert.deepEqual(world.violations, []);
  for (const name of KEYS) {
    const service = world.services.get(name);
    const shadow = world.shadowOf(name);
    if (service === undefined) {
      assert.equal(shadow, undefined, `${name} is gone`);
      continue;
    }
    assert.equal(shadow?.state, 'published', name);
    assert.deepEqual([...shadow.announcedPorts, ...shadow.retiredPorts], []);
    const numbers = service.ports.map(({ port }) => port);
    assert.deepEqual(new Set(shadow.ports.map(({ port }) => port)), new Set(numbers));
    for (const agent of world.replicas.flatMap(({ agents }) => agents)) {
      const placed = agent.services.get(name);
      assert.equal(placed?.address, shadow.clusterIPs[0]);
      assert.equal(placed?.ports.length, shadow.ports.length);
      for (const { port, proxyPort } of shadow.ports)
        assert.ok(agent.listens(name, port, proxyPort));
    }
  }
  assert.equal(world.api.objects.size, world.services.size);
  assert.deepEqual(world.leader?.controller.problems(), []);
  const { length } = world.api.writes;
  for (const target of world.replicas) {
    target.controller.stop();
    target.boot();
  }
  world.leader = null;
  world.lead(world.replicas[1] ?? null);
  await world.converge(400_000, STEP_MS);
  assert.deepEqual(world.api.writes.slice(length), [], 'a restart writes nothing');
}

/** Hasty: steps come while writes are under way, those of a leader among them that is none any more. */
async function rush(steps: readonly Step[]): Promise<World> {
  const world = new World({ replicas: 2, range: RANGE, times: { announceTimeoutMs: 1e12 } });
  world.lead(world.first);
  for (const step of steps) {
    step(world);
    await new Promise(setImmediate);
  }
  await world.settle();
  // A write that was sent before the Lease was lost may give a port twice; agents never listen on it for two, and it ends.
  world.violations.length = 0;
  return world;
}

const RUNS = { numRuns: 60 };

test('whatever people do by hand, shadows end as they should be, and no rule is broken on the way', async () => {
  const step = fc.oneof(change, change, move, move, move, time, lead, fault, hand);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => ends(await play(steps))),
    RUNS,
  );
});

test('whichever process forgets everything, shadows end as they should be, and no rule is broken on the way', async () => {
  const step = fc.oneof(change, change, move, move, move, time, lead, fault, restart);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => ends(await play(steps))),
    RUNS,
  );
});

test('writes under way while the leader changes do no lasting harm', async () => {
  const step = fc.oneof(change, change, move, move, move, time, lead, lead, fault, hand);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => ends(await rush(steps))),
    RUNS,
  );
});
