import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withProtocol } from '../../test/support/model.ts';
import { annotationsOf, child, portsOf } from './api.fixture.ts';
import { shadowName } from './names.ts';
import { World } from './world.fixture.ts';

const NAME = shadowName('shop/web');

async function published(ports: readonly number[] = [80]): Promise<World> {
  const world = new World();
  world.service('shop/web', ports);
  world.lead(world.first);
  await world.converge();
  return world;
}

test('a new Service is announced first, and published when all agents listen', async () => {
  const world = new World({ replicas: 2 });
  world.lead(world.first);
  world.service('shop/web', [80, 81]);
  world.first.compile();
  await world.settle();
  const announced = world.shadowOf('shop/web');
  assert.equal(announced?.state, 'announced');
  assert.equal(announced.ports.length, 2);
  assert.equal(world.first.placer.version, 1);

  for (const replica of world.replicas) {
    replica.compile();
    replica.watch();
  }
  world.first.serve();
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'announced', 'agents of the other replica');
  const [other] = [world.replicas[1]!];
  assert.equal(other.deltas.at(-1)?.services[0]?.address, '');
  assert.ok(other.deltas.at(-1)?.services[0]?.ports.every(({ proxyPort }) => proxyPort >= 10_000));

  other.serve();
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  other.watch();
  assert.equal(other.deltas.at(-1)?.services[0]?.address, announced.clusterIPs[0]);
  assert.deepEqual(world.violations, []);
});

test('a Service that goes keeps its listeners for a while, and its shadow through the quarantine', async () => {
  const world = await published();
  const before = world.shadowOf('shop/web');
  world.service('shop/web', []);
  await world.converge();
  assert.equal(world.shadowOf('shop/web')?.state, 'retired');
  const agent = world.first.agents[0]!;
  assert.equal(agent.services.get('shop/web')?.address, '');
  assert.equal(agent.services.get('shop/web')?.ports.length, 1);
  await world.converge(16_000);
  assert.equal(agent.services.size, 0);
  await world.converge(280_000);
  assert.deepEqual(world.shadowOf('shop/web')?.clusterIPs, before?.clusterIPs);
  await world.converge(10_000);
  assert.equal(world.api.objects.size, 0);
});

test('a Service that comes back within the quarantine has its address and ports again', async () => {
  const world = await published([80, 81]);
  const before = world.shadowOf('shop/web');
  world.service('shop/web', []);
  await world.converge(100_000);
  world.service('shop/web', [80, 81]);
  await world.converge();
  const after = world.shadowOf('shop/web');
  assert.equal(after?.state, 'published');
  assert.deepEqual(after.clusterIPs, before?.clusterIPs);
  assert.deepEqual(after.ports, before?.ports);
  assert.deepEqual(world.violations, []);
});

test('ports of a Service come and go one by one', async () => {
  const world = await published([80, 81]);
  world.service('shop/web', [80, 82]);
  world.first.compile();
  await world.settle();
  const between = world.shadowOf('shop/web');
  assert.deepEqual(
    between?.ports.map(({ port }) => port),
    [80],
  );
  assert.deepEqual(
    between.announcedPorts.map(({ port }) => port),
    [82],
  );
  assert.deepEqual(
    between.retiredPorts.map(({ port }) => port),
    [81],
  );
  await world.converge();
  const after = world.shadowOf('shop/web');
  assert.deepEqual(
    after?.ports.map(({ port }) => port),
    [80, 82],
  );
  assert.deepEqual(after.announcedPorts, []);
  await world.converge(301_000);
  assert.deepEqual(world.shadowOf('shop/web')?.retiredPorts, []);
  assert.deepEqual(world.violations, []);
});

test('the only port of a Service stays until the new one can take over', async () => {
  const world = await published([80]);
  world.service('shop/web', [8080]);
  world.first.compile();
  await world.settle();
  assert.deepEqual(
    world.shadowOf('shop/web')?.ports.map(({ port }) => port),
    [80],
  );
  await world.converge();
  assert.deepEqual(
    world.shadowOf('shop/web')?.ports.map(({ port }) => port),
    [8080],
  );
});

test('a port that is not carried gets no proxy port, and a Service without any no shadow', async () => {
  const world = await published([80]);
  const service = world.services.get('shop/web')!;
  world.services.set('shop/web', {
    ...service,
    ports: service.ports.map((port) => withProtocol(port, 'udp')),
  });
  await world.converge(320_000);
  assert.equal(world.api.objects.size, 0);
});

test('a shadow that somebody deletes is made again with the same address and ports', async () => {
  const world = await published();
  const before = world.shadowOf('shop/web');
  world.api.removeByHand(NAME);
  world.first.watch();
  const agent = world.first.agents[0]!;
  world.first.serve();
  assert.notEqual(agent.services.get('shop/web')?.address, '', 'the name stays meanwhile');
  await world.settle();
  const after = world.shadowOf('shop/web');
  assert.notEqual(after?.uid, before?.uid);
  assert.equal(after?.state, 'published');
  assert.deepEqual(after.clusterIPs, before?.clusterIPs);
  assert.deepEqual(after.ports, before?.ports);
  assert.match(
    world.first.controller.problems()[0]?.message ?? '',
    /deleted by something other than maesh.*same address/,
  );
});

test('a retired port of a Service goes to nobody else before its quarantine is over', async () => {
  const world = new World({ range: { from: 10_000, to: 10_001 } });
  world.lead(world.first);
  world.service('shop/a', [80, 81]);
  await world.converge();
  world.service('shop/a', [80]);
  world.service('shop/b', [80]);
  await world.converge(100_000);
  // Something else of it changes, so that it is looked at.
  world.service('shop/a', [80], { headless: true });
  await world.converge(190_000);
  assert.equal(world.shadowOf('shop/b'), undefined);
  assert.equal(world.shadowOf('shop/a')?.retiredPorts.length, 1);
  await world.converge(20_000);
  assert.equal(world.shadowOf('shop/b')?.state, 'published');
  assert.deepEqual(world.violations, []);
});

test('a shadow that is deleted while nobody leads is made again, published as it was', async () => {
  const world = await published();
  const before = world.shadowOf('shop/web');
  world.lead(null);
  world.api.removeByHand(NAME);
  world.first.watch();
  world.lead(world.first);
  await world.settle();
  const after = world.shadowOf('shop/web');
  assert.equal(after?.state, 'published');
  assert.deepEqual(after.clusterIPs, before?.clusterIPs);
  assert.deepEqual(after.ports, before?.ports);
});

test('a shadow keeps its address, though the API server frees it only after it has told of the deletion', async () => {
  const world = await published();
  const before = world.shadowOf('shop/web')?.clusterIPs;
  world.api.lateReleases = 2;
  world.api.removeByHand(NAME);
  await world.converge(2_000);
  assert.equal(world.api.lateReleases, 0);
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.deepEqual(world.shadowOf('shop/web')?.clusterIPs, before);
  assert.match(world.first.controller.problems()[0]?.message ?? '', /the same address/);
});

test('a shadow whose address somebody else took gets a new one', async () => {
  const world = await published();
  const address = world.shadowOf('shop/web')?.clusterIPs[0];
  world.api.removeByHand(NAME);
  world.api.createByHand('thief', { spec: { clusterIPs: [address], ports: [{ port: 1 }] } });
  await world.converge(2_000);
  const after = world.shadowOf('shop/web');
  assert.equal(after?.state, 'published');
  assert.notEqual(after.clusterIPs[0], address);
  assert.match(world.first.controller.problems()[0]?.message ?? '', /another address/);
});

const edits: readonly (readonly [string, (object: Record<string, unknown>) => void])[] = [
  [
    'a selector',
    (object) => Object.assign(child(child(object, 'spec'), 'selector'), { app: 'mine' }),
  ],
  ['a target port', (object) => Object.assign(portsOf(object)[0]!, { targetPort: 10_001 })],
  ['a target port by name', (object) => Object.assign(portsOf(object)[0]!, { targetPort: 'http' })],
  [
    'one more port',
    (object) => portsOf(object).push({ name: 'x', port: 9, protocol: 'TCP', targetPort: 9 }),
  ],
  ['the state', (object) => Object.assign(annotationsOf(object), { 'maesh.dev/state': 'odd' })],
  ['the Service', (object) => delete annotationsOf(object)['maesh.dev/service']],
  [
    'announced ports',
    (object) => Object.assign(annotationsOf(object), { 'maesh.dev/announced-ports': '{' }),
  ],
  [
    'retirement',
    (object) => Object.assign(annotationsOf(object), { 'maesh.dev/state': 'retired' }),
  ],
  [
    'labels',
    (object) =>
      Object.assign(child(child(object, 'metadata'), 'labels'), {
        'app.kubernetes.io/part-of': 'me',
      }),
  ],
  [
    'all labels and annotations',
    (object) => Object.assign(child(object, 'metadata'), { labels: {}, annotations: {} }),
  ],
  [
    'session affinity',
    (object) => Object.assign(child(object, 'spec'), { sessionAffinity: 'ClientIP' }),
  ],
  [
    'external addresses',
    (object) => Object.assign(child(object, 'spec'), { externalIPs: ['1.2.3.4'] }),
  ],
];
for (const [what, edit] of edits) {
  test(`what somebody edits is put back: ${what}`, async () => {
    const world = await published();
    const before = world.shadowOf('shop/web')!;
    world.api.editByHand(NAME, edit);
    await world.converge(1_000);
    const after = world.shadowOf('shop/web')!;
    assert.equal(after.digest, before.digest);
    assert.equal(world.first.controller.problems().length, 1);
    assert.match(
      world.first.controller.problems()[0]?.message ?? '',
      /restored|writes it again|created again/,
    );
    const writes = world.api.writes.length;
    await world.converge(600_000);
    assert.equal(world.api.writes.length, writes);
    assert.deepEqual(world.first.controller.problems(), []);
  });
}

test('an edit while nobody leads is put back from what followers remember', async () => {
  const world = await published();
  const before = world.shadowOf('shop/web')!;
  world.lead(null);
  world.api.editByHand(NAME, (object) => {
    delete annotationsOf(object)['maesh.dev/service'];
    delete annotationsOf(object)['maesh.dev/state'];
  });
  await world.converge();
  world.lead(world.first);
  await world.converge();
  assert.equal(world.shadowOf('shop/web')?.digest, before.digest);
});

test('a stranger with the name of a shadow is told and left alone', async () => {
  const world = new World();
  world.api.createByHand(NAME, { spec: { ports: [{ port: 5 }] } });
  const before = structuredClone(world.api.objects.get(NAME));
  world.service('shop/web', [80]);
  world.lead(world.first);
  await world.converge(60_000);
  assert.deepEqual(world.api.objects.get(NAME), before);
  const [problem] = world.first.controller.problems();
  assert.equal(problem?.object, 'Service shop/web');
  assert.match(problem.message, /does not belong to maesh/);
  world.api.removeByHand(NAME);
  await world.converge(60_000);
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.deepEqual(world.first.controller.problems(), []);
});

test('a copy of a shadow under another name is told and left alone', async () => {
  const world = await published();
  const copy = structuredClone(world.api.objects.get(NAME)!);
  delete child(copy, 'spec')['clusterIPs'];
  world.api.createByHand('shadow-copy', copy);
  const before = structuredClone(world.api.objects.get('shadow-copy'));
  await world.converge(600_000);
  assert.deepEqual(world.api.objects.get('shadow-copy'), before);
  assert.match(world.first.controller.problems()[0]?.message ?? '', /leaves it alone/);
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
});

test('agents that do not answer in time are named, and the Service is published all the same', async () => {
  const world = new World();
  world.lead(world.first);
  world.service('shop/web', [80]);
  world.first.compile();
  await world.settle();
  world.first.watch();
  world.clock.advance(9_000);
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'announced');
  world.clock.advance(1_500);
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.match(world.first.controller.problems()[0]?.message ?? '', /n1\/agent/);
});

test('nothing is published while agents may be on their way to replicas that just started, and they are not late', async () => {
  const world = new World({ replicas: 2 });
  world.lead(world.first);
  world.service('shop/web', [80]);
  world.first.compile();
  await world.settle();
  // The agents of neither were told, and both forget everything: the leader last, so that another one goes on.
  const [first, second] = world.replicas;
  second?.controller.stop();
  second?.boot();
  world.lead(second ?? null);
  first?.controller.stop();
  first?.boot();
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'announced');
  second?.serve([0]);
  first?.serve();
  world.clock.advance(14_000);
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'announced', 'one agent is still on its way');
  second?.serve([1]);
  world.clock.advance(1_500);
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.deepEqual([world.violations, second?.controller.problems()], [[], []]);
});

test('agents that do not come back to a replica that started are late in the end', async () => {
  const world = new World();
  world.service('shop/web', [80]);
  world.first.compile();
  world.first.boot();
  world.lead(world.first);
  await world.settle();
  world.first.watch();
  world.clock.advance(24_000);
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'announced');
  world.clock.advance(1_500);
  await world.settle();
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.match(world.first.controller.problems()[0]?.message ?? '', /within 25 s.*n1\/agent/);
});

test('a range that is used up is told on the Service, and goes on when a port is free again', async () => {
  const world = new World({ range: { from: 10_000, to: 10_001 } });
  world.lead(world.first);
  world.service('shop/a', [80]);
  world.service('shop/b', [80]);
  await world.converge();
  world.service('shop/c', [80]);
  await world.converge();
  const [problem] = world.first.controller.problems();
  assert.equal(problem?.object, 'Service shop/c');
  assert.match(problem.message, /10000-10001 \(--proxy-ports\)/);
  // Agents have no such setting.
  assert.match(problem.remedy, /--proxy-ports of all controllers/);
  assert.equal(world.shadowOf('shop/c'), undefined);
  world.service('shop/a', []);
  await world.converge(290_000);
  assert.equal(world.shadowOf('shop/c'), undefined, 'the quarantine is not over');
  await world.converge(20_000);
  assert.equal(world.shadowOf('shop/c')?.state, 'published');
  assert.deepEqual(world.first.controller.problems(), []);
  assert.deepEqual(world.violations, []);
});

test('two shadows that claim one port end with a port each, without a gap', async () => {
  const world = await published();
  const proxyPort = world.shadowOf('shop/web')!.ports[0]!.proxyPort;
  world.service('shop/api', [80]);
  await world.converge();
  world.lead(null);
  world.api.editByHand(shadowName('shop/api'), (object) => {
    portsOf(object)[0]!['targetPort'] = proxyPort;
  });
  // A process that starts now knows nothing of what was there before.
  world.first.boot();
  world.lead(world.first);
  await world.converge(20_000);
  assert.equal(world.shadowOf('shop/web')?.ports[0]?.proxyPort, proxyPort);
  const moved = world.shadowOf('shop/api');
  assert.equal(moved?.state, 'published');
  assert.notEqual(moved.ports[0]?.proxyPort, proxyPort);
});

test('a shadow outside of the range moves into it', async () => {
  const world = await published();
  world.lead(null);
  world.api.editByHand(NAME, (object) => {
    portsOf(object)[0]!['targetPort'] = 40_000;
  });
  world.first.boot();
  world.lead(world.first);
  await world.converge(20_000);
  const after = world.shadowOf('shop/web');
  assert.ok(after !== undefined && after.ports[0]!.proxyPort < 30_000);
  assert.deepEqual(
    after.retiredPorts.map(({ proxyPort }) => proxyPort),
    [40_000],
  );
});

test('orphans of most Services are retired only after a while', async () => {
  const world = new World();
  for (let i = 0; i < 20; i++) world.service(`shop/s${i}`, [80]);
  world.lead(world.first);
  await world.converge();
  world.lead(null);
  for (let i = 0; i < 15; i++) world.service(`shop/s${i}`, []);
  world.first.boot();
  world.lead(world.first);
  await world.converge(29_000);
  assert.equal(world.shadowOf('shop/s3')?.state, 'published');
  assert.match(world.first.controller.problems()[0]?.message ?? '', /15 of 20/);
  await world.converge(2_000);
  assert.equal(world.shadowOf('shop/s3')?.state, 'retired');
  assert.equal(world.shadowOf('shop/s19')?.state, 'published');
  assert.deepEqual(world.first.controller.problems(), []);
});

test('most Services that vanish at once keep name and listeners until it lasted', async () => {
  const world = new World();
  for (let i = 0; i < 20; i++) world.service(`shop/s${i}`, [80]);
  world.lead(world.first);
  await world.converge();
  const agent = world.first.agents[0]!;
  for (let i = 0; i < 15; i++) world.service(`shop/s${i}`, []);
  await world.converge(28_000);
  assert.notEqual(agent.services.get('shop/s3')?.address, '');
  assert.equal(world.first.placer.problems().length, 1);
  world.service('shop/s3', [80]);
  await world.converge(3_000);
  assert.equal(world.shadowOf('shop/s4')?.state, 'retired');
  assert.equal(agent.services.get('shop/s4')?.address, '');
  assert.equal(world.shadowOf('shop/s3')?.state, 'published');
  assert.equal(world.first.placer.problems().length, 0);
});

test('a server that drops a field is told once and not asked again', async () => {
  const world = new World();
  world.api.drops = ['trafficDistribution'];
  world.service('shop/web', [80]);
  world.lead(world.first);
  await world.converge();
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  const writes = world.api.writes.length;
  await world.converge(700_000);
  assert.equal(world.api.writes.length, writes);
  assert.equal(world.first.controller.problems()[0]?.field, 'spec.trafficDistribution');
});

test('a refusal is tried again, and told when it goes on', async () => {
  const world = new World();
  world.api.faults = Array.from({ length: 5 }, () => 'refuse');
  world.service('shop/web', [80]);
  world.lead(world.first);
  await world.converge(3_000);
  assert.match(
    world.first.controller.problems()[0]?.message ?? '',
    /Cannot write shadow Service "maesh\/shadow-/,
  );
  await world.converge(40_000);
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.deepEqual(world.first.controller.problems(), []);
});

test('a write whose answer is lost is recognised', async () => {
  const world = new World();
  world.api.faults = ['lose-answer', 'lose-answer'];
  world.service('shop/web', [80]);
  world.lead(world.first);
  await world.converge(5_000);
  assert.equal(world.shadowOf('shop/web')?.state, 'published');
  assert.equal(world.api.idleWrites, 0);
  assert.deepEqual(world.first.controller.problems(), []);
});

test('a Service of two families has a shadow of two', async () => {
  const world = new World();
  world.families.set('shop/web', ['IPv6', 'IPv4']);
  world.service('shop/web', [80]);
  world.lead(world.first);
  await world.converge();
  const placed = world.first.agents[0]!.services.get('shop/web');
  assert.match(placed?.address ?? '', /^fd00/);
  assert.match(placed?.secondAddress ?? '', /^10\./);
});

test('a follower writes nothing, nor does a leader that stopped', async () => {
  const world = new World({ replicas: 2 });
  world.service('shop/web', [80]);
  await world.converge(1_000);
  assert.deepEqual(world.api.writes, []);
  world.lead(world.first);
  world.first.compile();
  world.lead(null);
  await world.converge(1_000);
  assert.deepEqual(world.api.writes, []);
});

/** Ports from 1 on. */
function many(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

test('a Service of 2,500 ports gets 256, is told once, and a restart neither damages it nor takes its ports', async () => {
  const world = await published(many(2_500));
  const shadow = world.shadowOf('shop/web');
  assert.equal(shadow?.ports.length, 256);
  assert.deepEqual(
    shadow.ports.map(({ port }) => port),
    many(256),
    'the first ones',
  );
  const problems = world.first.controller.problems();
  assert.equal(problems.length, 1);
  const [{ object, field, value, message, remedy }] = problems as [(typeof problems)[0]];
  assert.deepEqual([object, field], ['Service shop/web', 'spec.ports']);
  assert.equal(value, '257-2500');
  assert.match(message, /a Service gets at most 256 proxy ports$/);
  assert.match(remedy, /^split the Service/);

  const { length } = world.api.writes;
  world.lead(null);
  world.first.boot();
  world.lead(world.first);
  await world.converge(20_000);
  assert.deepEqual(world.api.writes.slice(length), [], 'a restart writes nothing');
  assert.equal(world.first.controller.problems().length, 1);
  world.service('bank/web', [80]);
  await world.converge();
  assert.deepEqual(world.shadowOf('shop/web')?.ports, shadow.ports);
  assert.deepEqual(world.violations, []);
});

test('what an older version gave a Service beyond that stays its own through a restart', async () => {
  const world = await published(many(3));
  world.service('shop/web', many(2_200));
  world.api.editByHand(NAME, (object) => {
    for (const port of many(2_200).slice(3)) {
      portsOf(object).push({ name: `p${port}`, port, protocol: 'TCP', targetPort: 20_000 + port });
    }
  });
  world.lead(null);
  world.first.boot();
  world.lead(world.first);
  await world.converge(20_000);
  assert.equal(world.shadowOf('shop/web')?.ports.length, 2_200);
  assert.deepEqual(world.first.controller.problems(), []);
  world.service('bank/web', many(200));
  await world.converge();
  const theirs = new Set(world.shadowOf('bank/web')?.ports.map(({ proxyPort }) => proxyPort));
  assert.equal(theirs.size, 200);
  for (const { proxyPort } of world.shadowOf('shop/web')?.ports ?? []) {
    assert.ok(!theirs.has(proxyPort));
  }
});

test('a namespace that wants all proxy ports does without some of them, and its neighbours do not notice', async () => {
  const world = new World({ range: { from: 10_000, to: 10_399 } });
  world.service('bank/old', [80, 443]);
  world.lead(world.first);
  await world.converge();
  const before = world.shadowOf('bank/old');
  for (let index = 0; index < 12; index++) world.service(`greedy/s${index}`, many(40));
  await world.converge();
  for (let index = 0; index < 30; index++) world.service(`team-${index}/web`, [80]);
  await world.converge();
  for (let index = 0; index < 30; index++) {
    assert.equal(world.shadowOf(`team-${index}/web`)?.state, 'published');
  }
  assert.deepEqual(world.shadowOf('bank/old')?.ports, before?.ports);
  const problems = world.first.controller.problems();
  assert.ok(problems.length > 0);
  for (const { object, message, remedy } of problems) {
    assert.match(object, /^Service greedy\//);
    assert.match(message, /namespace "greedy" has its share of 10000-10399 \(--proxy-ports\)/);
    assert.match(remedy, /maesh.dev\/mesh: disabled, or widen --proxy-ports/);
  }
  // It gives some back: those that had none get them, and nobody loses any.
  const kept = world.shadowOf('greedy/s0')?.ports;
  for (const { object } of problems.slice(1)) world.service(object.slice('Service '.length), []);
  for (let index = 1; index < 6; index++) world.service(`greedy/s${index}`, []);
  await world.converge(330_000);
  assert.deepEqual(world.first.controller.problems(), []);
  assert.deepEqual(world.shadowOf('greedy/s0')?.ports, kept);
  assert.deepEqual(world.violations, []);
});
