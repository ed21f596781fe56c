/** What is published when not all agents can serve it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { abilitiesOf } from '../discovery/abilities.ts';
import type { Protocol, Service } from '../model/service.ts';
import { exampleService, withProtocol } from '../../test/support/model.ts';
import { AbilityGate } from './ability-gate.ts';
import { wantedPorts } from './wanted.ts';
import { CAPABILITIES } from '../discovery/hello.ts';
import { World } from './world.fixture.ts';

const NEW = ['http', 'tcp'];

/** A Service whose port 80 is HTTP, and all others TCP. */
function setMixed(world: World, key: string, ports: readonly number[]): void {
  const { ports: all } = exampleService(key, { ports });
  const protocolOf = (port: number): Protocol => (port === 80 ? 'http' : 'tcp');
  world.service(key, ports, {
    ports: all.map((port) => withProtocol(port, protocolOf(port.port))),
  });
}

function portsIn(world: World, key = 'shop/web'): readonly number[] {
  const shadow = world.shadowOf(key);
  return shadow?.state === 'published' ? shadow.ports.map(({ port }) => port) : [];
}

function updateAgents(world: World): void {
  for (const { agents } of world.replicas) for (const agent of agents) agent.carries = NEW;
  world.tellAbilities();
}

test('a port that one agent of another replica does not carry is not published, and a problem says which', async () => {
  const world = new World({ replicas: 2 });
  updateAgents(world);
  const old = world.replicas[1]!.agents[1]!;
  old.carries = ['http'];
  world.lead(world.first);
  setMixed(world, 'shop/web', [80, 5432]);
  setMixed(world, 'shop/db', [5432]);
  await world.converge(60_000);
  assert.deepEqual(portsIn(world), [80], 'the port that all carry has its name');
  assert.equal(world.shadowOf('shop/db'), undefined);
  const problems = world.first.controller.problems();
  assert.deepEqual(problems.map(({ object, value }) => `${object} ${value}`).toSorted(), [
    'Service shop/db 5432',
    'Service shop/web 5432',
  ]);
  assert.match(
    problems[0]!.message,
    /^Port 5432 is not published yet: this needs tcp, .* support: agent-1$/,
  );
  assert.ok(!old.services.get('shop/web')?.ports.some(({ port }) => port === 5432));

  old.carries = NEW;
  world.tellAbilities();
  await world.converge(5_000);
  assert.deepEqual(portsIn(world), [80], 'not before it lasted');
  await world.converge(20_000);
  assert.deepEqual(world.first.controller.problems(), []);
  assert.deepEqual(portsIn(world), [80, 5432]);
  assert.deepEqual(portsIn(world, 'shop/db'), [5432]);
  assert.deepEqual(world.violations, []);
});

test('what is published stays when an agent comes that does not carry it', async () => {
  const world = new World();
  updateAgents(world);
  world.lead(world.first);
  setMixed(world, 'shop/web', [5432]);
  await world.converge(20_000);
  const before = world.shadowOf('shop/web');
  assert.deepEqual(portsIn(world), [5432]);
  world.first.agents[0]!.carries = ['http'];
  world.tellAbilities();
  setMixed(world, 'shop/web', [5432, 5433]);
  await world.converge(60_000);
  assert.deepEqual(portsIn(world), [5432], 'and what is new waits');
  assert.deepEqual(world.shadowOf('shop/web')?.clusterIPs, before?.clusterIPs);
  world.violations.length = 0;
  updateAgents(world);
  await world.converge(20_000);
  assert.deepEqual(portsIn(world), [5432, 5433]);
  assert.deepEqual(world.violations, []);
});

test('a controller that just started does not take its first agents for all', async () => {
  const world = new World();
  const [first, second] = world.first.agents;
  first!.carries = NEW;
  second!.carries = ['http'];
  world.first.connect(1);
  world.lead(world.first);
  setMixed(world, 'shop/web', [80, 5432]);
  await world.converge(10_000);
  assert.deepEqual(portsIn(world), [80]);
  world.first.connect(2);
  await world.converge(60_000);
  assert.deepEqual(portsIn(world), [80]);
  assert.deepEqual(world.violations, []);
});

test('after the start ports of all protocols are published together, though agents take seconds to come', async () => {
  const world = new World();
  for (const agent of world.first.agents) agent.carries = NEW;
  world.first.connect(0);
  world.first.boot();
  world.lead(world.first);
  setMixed(world, 'shop/web', [80, 5432]);
  await world.converge(4_000);
  world.first.connect(2);
  await world.converge(10_000);
  assert.ok(!portsIn(world).includes(5432), 'others may be on their way');
  await world.converge(2_000);
  assert.deepEqual(portsIn(world), [80, 5432]);
  assert.deepEqual(world.violations, []);
});

test('without an agent only what all versions carry is published', async () => {
  const world = new World();
  world.first.connect(0);
  world.lead(world.first);
  setMixed(world, 'shop/web', [80, 5432]);
  await world.converge(60_000);
  assert.deepEqual(portsIn(world), [80]);
  for (const agent of world.first.agents) agent.carries = NEW;
  world.first.connect(2);
  await world.converge(20_000);
  assert.deepEqual(portsIn(world), [80, 5432]);
  world.first.connect(0);
  setMixed(world, 'shop/web', [80, 5432, 5433]);
  await world.converge(60_000);
  assert.deepEqual(
    portsIn(world),
    [80, 5432, 5433],
    'agents that are away are those that were there',
  );
});

test('a port that was announced is taken back when an agent comes that does not carry it', async () => {
  const world = new World();
  updateAgents(world);
  world.lead(world.first);
  await world.converge(20_000);
  setMixed(world, 'shop/web', [5432]);
  world.first.compile();
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'announced');
  world.first.agents[0]!.carries = ['http'];
  world.tellAbilities();
  await world.converge(30_000);
  assert.equal(world.shadowOf('shop/web')?.state, 'retired');
  assert.deepEqual(world.violations, []);
});

test('AbilityGate knows by replica who lacks what', () => {
  const clock = new ManualClock();
  let changes = 0;
  const gate = new AbilityGate(clock, () => (changes += 1));
  const agent = (description: string, ...understands: string[]) => ({
    carries: CAPABILITIES.carries,
    understands: [...CAPABILITIES.understands, ...understands],
    description,
  });
  const able = abilitiesOf([agent('a', 'route.match'), agent('b', 'route.match', 'port.tls')]);
  const common = [...CAPABILITIES.carries, ...CAPABILITIES.understands, 'route.match'];
  assert.deepEqual(able.common, common.toSorted());
  assert.deepEqual([...able.lacking], [['port.tls', ['a']]]);
  gate.update([able, abilitiesOf([])]);
  assert.deepEqual(gate.missing(['http']), []);
  assert.deepEqual(gate.missing(['http', 'route.match']), ['route.match']);
  assert.deepEqual(gate.lacking('route.match'), [], 'it is only a matter of time');
  clock.advance(15_000);
  assert.deepEqual([gate.missing(['http', 'route.match']), changes], [[], 1]);
  const first = { common: ['http'], lacking: new Map() };
  gate.update([able, first]);
  assert.deepEqual([gate.missing(['route.match']), changes], [['route.match'], 2]);
  assert.deepEqual(gate.lacking('route.match'), ['agents of another controller replica']);
  assert.deepEqual(gate.lacking('port.tls'), ['a', 'agents of another controller replica']);
  gate.stop();
});

test('AbilityGate waits from when agents could come, or from when the first ones came late', () => {
  const able = { common: ['http', 'tcp'], lacking: new Map() };
  const unable = { common: ['http'], lacking: new Map() };
  const gateAfter = (ms: number): { clock: ManualClock; gate: AbilityGate } => {
    const clock = new ManualClock();
    const gate = new AbilityGate(clock, () => undefined);
    gate.opened();
    gate.update([abilitiesOf([])]);
    clock.advance(ms);
    return { clock, gate };
  };
  // The others come 10 s later at most: they try to as often.
  for (const [first, rest] of [
    [4_000, 11_000],
    [9_000, 10_000],
  ] as const) {
    const soon = gateAfter(first);
    soon.gate.update([able]);
    soon.clock.advance(rest - 1);
    assert.deepEqual(soon.gate.missing(['tcp']), ['tcp']);
    soon.clock.advance(1);
    assert.deepEqual(soon.gate.missing(['tcp']), []);
    soon.gate.stop();
  }
  const behind = gateAfter(14_000);
  behind.gate.update([able]);
  behind.clock.advance(1_000);
  assert.deepEqual(behind.gate.missing(['tcp']), ['tcp'], 'the others are on their way');
  behind.gate.update([able, unable]);
  behind.clock.advance(30_000);
  assert.deepEqual(behind.gate.missing(['tcp']), ['tcp'], 'nobody is led to who lacks it');

  const late = gateAfter(15_000);
  late.gate.update([able]);
  late.clock.advance(14_999);
  assert.deepEqual(late.gate.missing(['tcp']), ['tcp'], 'the others may have been away with it');
  late.clock.advance(1);
  assert.deepEqual(late.gate.missing(['tcp']), []);

  const lacked = gateAfter(1_000);
  lacked.gate.update([unable]);
  lacked.clock.advance(1_000);
  lacked.gate.update([able]);
  lacked.clock.advance(14_999);
  assert.deepEqual(lacked.gate.missing(['tcp']), ['tcp'], 'who lacked it may come back');
  lacked.clock.advance(1);
  assert.deepEqual(lacked.gate.missing(['tcp']), []);
  for (const { gate } of [behind, late, lacked]) gate.stop();
});

test('many agents that lack the same are counted', () => {
  const agents = Array.from({ length: 10 }, (_, i) => ({
    carries: [],
    understands: [],
    description: `a${i}`,
  }));
  assert.deepEqual(abilitiesOf(agents).lacking.get('http'), ['a0', 'a1', 'a2', '7 more']);
});

test('all ports of a Service wait for agents that understand it', () => {
  const service: Service = exampleService('shop/web', { ports: [80, 81] });
  const { wanted, held } = wantedPorts(service, null, {
    requirements: () => () => ['http', 'service.access'],
    missing: (needs) => needs.filter((need) => need !== 'http'),
  });
  assert.deepEqual(wanted, []);
  assert.deepEqual(
    held.map(({ port, missing }) => [port, missing]),
    [
      [80, ['service.access']],
      [81, ['service.access']],
    ],
  );
});
