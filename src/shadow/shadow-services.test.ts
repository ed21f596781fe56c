import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { exampleService } from '../../test/support/model.ts';
import { ManualClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { abilitiesOf } from '../discovery/abilities.ts';
import type { Delta, Service } from '../model/service.ts';
import { child, FakeApi } from './api.fixture.ts';
import { shadowName } from './names.ts';
import { read } from './read.ts';
import { ShadowServices } from './shadow-services.ts';

const KEY = 'shop/web';
const NAME = shadowName(KEY);

/** A replica with one agent, which serves what it is told unless it is stuck. */
class Replica {
  readonly shadows: ShadowServices;
  readonly deltas: Delta[] = [];
  changes = 0;
  isStuck = false;
  #served = 0;
  #seen = 0;
  readonly #api: FakeApi;

  constructor(api: FakeApi, clock: ManualClock, others: () => readonly Replica[]) {
    this.#api = api;
    this.shadows = new ShadowServices({
      api,
      namespace: 'maesh',
      proxyPorts: { from: 10_000, to: 10_009 },
      minor: () => 33,
      families: () => ['IPv4'],
      agents: {
        minServedVersion: () => this.#served,
        abilities: () => abilitiesOf([]),
        laggards: () => ['the agent'],
      },
      others: () =>
        others().map(({ shadows }) => ({
          progress: shadows.progress,
          abilities: abilitiesOf([]),
        })),
      onDelta: (delta) => this.deltas.push(delta),
      clock,
      random: seededRandom(1),
      log: silentLog,
    });
    this.shadows.changes.subscribe(() => (this.changes += 1));
    this.shadows.seen.replace([]);
    this.shadows.opened();
  }

  /** Its agent serves what it was told, and its watch sees what was written. */
  turn(): void {
    if (!this.isStuck && this.#served !== this.shadows.version) {
      this.#served = this.shadows.version;
      this.shadows.agentsChanged();
    }
    const { events } = this.#api;
    for (const { name, object } of events.slice(this.#seen)) {
      const shadow = object === null ? null : read(structuredClone(object));
      if (shadow !== null) this.shadows.seen.set(shadow);
      else this.shadows.seen.delete({ namespace: 'maesh', name });
    }
    this.#seen = events.length;
    this.shadows.replicasChanged();
  }

  get service(): Service | undefined {
    return this.deltas.flatMap(({ services }) => services).findLast(({ key }) => key === KEY);
  }
}

function setUp() {
  const api = new FakeApi();
  const clock = new ManualClock();
  const all: Replica[] = [];
  const make = (): Replica => {
    const replica: Replica = new Replica(api, clock, () => all.filter((each) => each !== replica));
    all.push(replica);
    return replica;
  };
  const [leader, other] = [make(), make()] as const;
  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 50) {
      clock.advance(50);
      for (const replica of all) replica.turn();
      for (let i = 0; i < 5; i++) await nextTurn();
    }
  };
  const compile = (): void => {
    const none = { removedServices: [], identities: [], removedIdentities: [] };
    const services = [exampleService(KEY)];
    for (const { shadows } of all) shadows.compiled({ version: 1, services, ...none }, [KEY]);
  };
  const state = (): unknown => {
    const object = api.objects.get(NAME) ?? null;
    return child(child(object, 'metadata'), 'annotations')['maesh.dev/state'];
  };
  return { api, leader, other, pass, compile, state };
}

test('a Service gets its address once the agents of all replicas listen, and all are told', async () => {
  const { api, leader, other, pass, compile, state } = setUp();
  compile();
  await pass(16_000);
  assert.deepEqual([leader.shadows.ready, leader.shadows.isLeading, api.writes], [true, false, []]);
  other.isStuck = true;
  leader.shadows.lead();
  await pass(3_000);
  assert.equal(state(), 'announced');
  assert.equal(leader.service?.address, '');
  assert.equal(child(api.objects.get(NAME) ?? null, 'spec')['trafficDistribution'], 'PreferClose');
  other.isStuck = false;
  await pass(1_000);
  assert.equal(state(), 'published');
  for (const { service } of [leader, other]) {
    assert.notEqual(service?.address, '');
    assert.equal(service?.ports[0]?.proxyPort, leader.service?.ports[0]?.proxyPort);
  }
  assert.deepEqual(leader.shadows.problems(), []);
});

test('who follows writes nothing, and the next leader goes on', async () => {
  const { api, leader, other, pass, compile, state } = setUp();
  leader.shadows.lead();
  leader.shadows.follow();
  compile();
  await pass(16_000);
  assert.deepEqual(api.writes, []);
  other.shadows.lead();
  await pass(2_000);
  assert.equal(state(), 'published');
  const { changes } = leader;
  other.shadows.stop();
  leader.shadows.stop();
  await pass(1_000);
  assert.equal(leader.changes, changes);
});
