/** Replicas with agents around a fake API server, and what must never happen there. */

import assert from 'node:assert/strict';
import { nextTick } from 'node:process';
import { ManualClock } from '../base/clock.ts';
import type { Timer } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { seededRandom } from '../base/random.ts';
import { OF_MESH } from '../model/names.ts';
import { abilitiesOf } from '../discovery/abilities.ts';
import { carriageOf } from '../model/service.ts';
import type { Delta, Service } from '../model/service.ts';
import { AbilityGate } from './ability-gate.ts';
import { exampleService } from '../../test/support/model.ts';
import { annotationsOf, child, FakeApi, portsOf } from './api.fixture.ts';
import type { Json } from './api.fixture.ts';
import type { ShadowTimes } from './controller-options.ts';
import { ShadowController } from './shadow-controller.ts';
import { Placer } from './placer.ts';
import { AGENTS_RETURN_MS, Progress } from './progress.ts';
import { read } from './read.ts';
import type { IpFamily, Shadow } from './shadow.ts';

const QUARANTINE_MS = 300_000;
/** The longest that agents wait between two tries to reach a controller. */
const RECONNECT_MS = 10_000;
const EMPTY = { identities: [], removedIdentities: [] };

/** One node: serves what it applied, and listens on what that says. */
class TestAgent {
  services = new Map<string, Service>();
  version = 0;
  /** As its hello says; other ports it skips, and acknowledges all the same. */
  carries: readonly string[] = ['http'];

  apply(deltas: readonly Delta[], isAnew: boolean): void {
    if (isAnew) this.services = new Map();
    for (const delta of deltas) {
      for (const key of delta.removedServices) this.services.delete(key);
      for (const service of delta.services) this.services.set(service.key, service);
      this.version = delta.version;
    }
    const owners = new Map<number, string>();
    for (const service of this.services.values()) {
      for (const { proxyPort } of service.ports) {
        const owner = owners.get(proxyPort) ?? service.key;
        assert.equal(owner, service.key, `an agent listens on ${proxyPort} for two Services`);
        owners.set(proxyPort, service.key);
      }
    }
  }

  listens(key: string, port: number, proxyPort: number): boolean {
    const ports = this.services.get(key)?.ports ?? [];
    return ports.some(
      (item) =>
        item.port === port &&
        item.proxyPort === proxyPort &&
        this.carries.includes(carriageOf(item)),
    );
  }
}

export class Replica {
  readonly world: World;
  readonly agents = [new TestAgent(), new TestAgent()];
  placer!: Placer;
  controller!: ShadowController;
  progress!: Progress;
  gate!: AbilityGate;
  /** Agents that are not connected to it: their number counts from the end. */
  away = 0;
  /** Agents that came back since it started. */
  readonly #back = new Set<TestAgent>();
  #backTimer: Timer | null = null;
  deltas: Delta[] = [];
  /** Everything known to the compiler of this replica. */
  compiled = new Map<string, Service>();
  #cursor = 0;

  constructor(world: World) {
    this.world = world;
    this.boot();
  }

  /** A new process: it lists, and its agents come back one by one, with nothing acknowledged. */
  boot(): void {
    const { world } = this;
    this.#back.clear();
    this.#backTimer?.cancel();
    this.#backTimer = world.clock.after(RECONNECT_MS, () => this.#comeBack(this.agents));
    this.deltas = [];
    this.compiled = new Map(world.services);
    this.placer = new Placer({
      clock: world.clock,
      onDelta: (delta) => this.deltas.push(delta),
      onDue: () => this.flush(),
      onServices: (keys) => this.controller.compiled(keys),
    });
    this.progress?.stop();
    this.progress = new Progress({
      clock: world.clock,
      heldBack: () => this.placer.heldBack(),
      onReturned: () => this.#report(),
    });
    this.gate = new AbilityGate(world.clock, () => this.controller.abilitiesChanged());
    this.controller = new ShadowController({
      api: world.api,
      placer: this.placer,
      namespace: 'maesh',
      trafficDistribution: 'PreferSameNode',
      families: (key) => world.families.get(key) ?? ['IPv4'],
      proxyPorts: world.range,
      progressOfAll: () => world.replicas.map(({ progress }) => progress.current),
      abilities: this.gate,
      requirements: () => (port) => (port.protocol === 'udp' ? null : [carriageOf(port)]),
      laggards: () => ['n1/agent'],
      clock: world.clock,
      random: seededRandom(1),
      log: silentLog,
      times: world.times,
      writesPerSecond: 1_000_000,
    });
    this.#cursor = world.api.events.length;
    for (const [name, object] of world.api.objects) this.#feed(name, object);
    this.placer.compiled({
      version: 1,
      services: [...this.compiled.values()],
      removedServices: [],
      ...EMPTY,
    });
    this.placer.listed();
    this.progress.observe(world.api.resourceVersion, this.placer.flush());
    for (const agent of this.agents) agent.version = 0;
    this.progress.opened();
    this.gate.opened();
    this.#report();
  }

  /** The watch delivers, all of it or some. */
  watch(count = Infinity): void {
    const { events } = this.world.api;
    for (let done = 0; done < count && this.#cursor < events.length; done++) {
      const event = events[this.#cursor];
      assert.ok(event !== undefined);
      this.#cursor += 1;
      this.#feed(event.name, event.object);
      this.progress.observe(event.resourceVersion, this.placer.flush());
    }
    this.#report();
  }

  /** The compiler catches up with the Services of the cluster. */
  compile(): void {
    const { services } = this.world;
    const changed = [...services.values()].filter((item) => this.compiled.get(item.key) !== item);
    const removedServices = [...this.compiled.keys()].filter((key) => !services.has(key));
    if (changed.length + removedServices.length === 0) return;
    this.compiled = new Map(services);
    this.placer.compiled({ version: 0, services: changed, removedServices, ...EMPTY });
    this.flush();
  }

  flush(): void {
    this.placer.flush();
    this.#report();
  }

  /** Agents apply and acknowledge everything they were told. */
  serve(which: readonly number[] = [0, 1]): void {
    for (const index of which) {
      const agent = this.agents[index];
      assert.ok(agent !== undefined);
      this.#back.add(agent);
      agent.apply(
        this.deltas.filter((delta) => delta.version > agent.version),
        agent.version === 0,
      );
    }
    this.#report();
  }

  #feed(name: string, object: Json | null): void {
    // The watch selects by label.
    const labels = child(child(object, 'metadata'), 'labels');
    const isSelected = OF_MESH.split(',').every((pair) => {
      const [key = '', value] = pair.split('=');
      return labels[key] === value;
    });
    const value = isSelected ? read(structuredClone(object)) : null;
    this.placer.shadow(name, value);
    this.controller.shadow(name, value);
  }

  /** Agents come or go. */
  connect(count: number): void {
    this.away = this.agents.length - count;
    this.#report();
  }

  get connected(): readonly TestAgent[] {
    const { agents, away } = this;
    return agents.slice(0, agents.length - away).filter((agent) => this.#back.has(agent));
  }

  #comeBack(agents: readonly TestAgent[]): void {
    for (const agent of agents) this.#back.add(agent);
    this.#report();
  }

  #report(): void {
    const { connected } = this;
    const versions = connected.map(({ version }) => version);
    this.progress.served(versions.length === 0 ? null : Math.min(...versions));
    this.world.tellAbilities();
    for (const replica of this.world.replicas) replica.controller.progressed();
  }
}

export interface WorldOptions {
  readonly range?: { readonly from: number; readonly to: number };
  readonly times?: Partial<ShadowTimes>;
  readonly replicas?: number;
}

export class World {
  readonly clock = new ManualClock();
  readonly api = new FakeApi();
  readonly replicas: Replica[] = [];
  readonly services = new Map<string, Service>();
  readonly families = new Map<string, readonly IpFamily[]>();
  readonly range: { readonly from: number; readonly to: number };
  readonly times: Partial<ShadowTimes>;
  leader: Replica | null = null;
  readonly violations: string[] = [];
  /** Who heard what agents can do, and what that was. */
  #said: readonly unknown[] = [];
  /** By proxy port: to whom a name led last through it, and until when (Infinity while one does). */
  readonly #tenants = new Map<number, { owner: string; leftMs: number }>();

  constructor(options: WorldOptions = {}) {
    this.range = options.range ?? { from: 10_000, to: 29_999 };
    this.times = options.times ?? {};
    this.api.onWrite = (name, before, after) => this.#judge(name, before, after);
    this.api.onRemovedByHand = (name, before) => {
      for (const proxyPort of ledTo(before)) this.#leave(name, proxyPort);
    };
    for (let i = 0; i < (options.replicas ?? 1); i++) this.replicas.push(new Replica(this));
    this.clock.advance(AGENTS_RETURN_MS);
    for (const replica of this.replicas) replica.serve();
  }

  get first(): Replica {
    const [first] = this.replicas;
    assert.ok(first !== undefined);
    return first;
  }

  /** What replicas read in each other's Leases. The same once more would change nothing. */
  tellAbilities(): void {
    const said = this.replicas.flatMap(({ gate, connected }) => [
      gate,
      ...connected.map(({ carries }) => carries),
    ]);
    if (said.length === this.#said.length && said.every((each, i) => each === this.#said[i]))
      return;
    this.#said = said;
    const reports = this.replicas.map(({ connected }) =>
      abilitiesOf(
        connected.map(({ carries }, index) => ({
          carries,
          understands: [],
          description: `agent-${index}`,
        })),
      ),
    );
    for (const { gate } of this.replicas) gate.update(reports);
  }

  /** `ports` of 0 removes the Service. */
  service(key: string, ports: readonly number[], change: Partial<Service> = {}): void {
    if (ports.length === 0) {
      this.services.delete(key);
      return;
    }
    const service = { ...exampleService(key, { ports }), address: '', ...change };
    const named = service.ports.map((port) => ({
      ...port,
      name: ports.length === 1 ? '' : `p${port.port}`,
    }));
    this.services.set(key, { ...service, ports: named });
  }

  lead(replica: Replica | null): void {
    if (this.leader === replica) return;
    this.leader?.controller.stop();
    this.leader = replica;
    replica?.controller.start();
  }

  get #isBusy(): boolean {
    return this.api.busy > 0 || this.replicas.some(({ controller }) => controller.backlog > 0);
  }

  /** Until nothing is under way any more; the watch and the agents do not move by themselves. */
  async settle(): Promise<void> {
    let quiet = 0;
    for (let turn = 0; quiet < 3; turn++) {
      assert.ok(turn < 20_000, 'it never comes to rest');
      // While nothing is under way, only promises are left.
      await new Promise<void>(quiet === 0 && this.#isBusy ? setImmediate : nextTick);
      quiet = this.#isBusy ? 0 : quiet + 1;
    }
  }

  /** Everybody catches up, again and again; then `ms` go by, in steps after each of which they do. */
  async converge(ms = 0, stepMs = 1_000): Promise<void> {
    for (let round = 0; round < 12; round++) {
      for (const replica of this.replicas) {
        replica.compile();
        replica.watch();
        replica.serve();
      }
      await this.settle();
    }
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.advance(Math.min(left, stepMs));
      await this.settle();
      for (const replica of this.replicas) {
        replica.watch();
        replica.serve();
      }
      await this.settle();
    }
  }

  /** The shadow of a Service as the API server has it. */
  shadowOf(key: string): Shadow | undefined {
    for (const object of this.api.objects.values()) {
      const found = read(object);
      if (found?.kind === 'shadow' && found.service === key) return found;
    }
    return undefined;
  }

  /** What must hold of each write, whoever is the leader. */
  #judge(name: string, before: Json | null, after: Json | null): void {
    const nowMs = this.clock.nowMs();
    const led = ledTo(after);
    for (const proxyPort of ledTo(before)) {
      if (!led.has(proxyPort)) this.#leave(name, proxyPort);
    }
    for (const proxyPort of claimed(after)) {
      const tenant = this.#tenants.get(proxyPort);
      const isFree = tenant === undefined || nowMs - tenant.leftMs >= QUARANTINE_MS;
      if (tenant?.owner !== name && !isFree)
        this.violations.push(`${proxyPort} goes from ${tenant?.owner} to ${name}`);
      if (led.has(proxyPort)) this.#tenants.set(proxyPort, { owner: name, leftMs: Infinity });
    }
    if (after !== null) this.#judgePorts(before, after);
  }

  #leave(name: string, proxyPort: number): void {
    const tenant = this.#tenants.get(proxyPort);
    if (tenant?.owner === name && tenant.leftMs === Infinity) tenant.leftMs = this.clock.nowMs();
  }

  /** Nothing leads to a port before all agents listen there. */
  #judgePorts(before: Json | null, after: Json): void {
    const annotations = annotationsOf(after);
    const key = annotations['maesh.dev/service'] ?? '';
    if (annotations['maesh.dev/state'] !== 'published') {
      this.#published.delete(key);
      return;
    }
    const wasPublished =
      before !== null && annotationsOf(before)['maesh.dev/state'] === 'published';
    const known = wasPublished ? portsOf(before).map((port) => JSON.stringify(port)) : [];
    const alike = (port: Json): boolean =>
      known.some((text) => {
        const other = JSON.parse(text) as Json;
        return other['port'] === port['port'] && other['targetPort'] === port['targetPort'];
      });
    for (const port of portsOf(after)) {
      // What was published once may be put back after somebody's hand.
      if (alike(port) || this.#published.get(key)?.has(placeOf(port)) === true) continue;
      for (const agent of this.replicas.flatMap(({ agents }) => agents)) {
        if (!agent.listens(key, Number(port['port']), Number(port['targetPort'])))
          this.violations.push(`${key} ${JSON.stringify(port)} is published before agents listen`);
      }
    }
    this.#published.set(key, new Set(portsOf(after).map(placeOf)));
  }

  /** By Service, what maesh published last. */
  readonly #published = new Map<string, ReadonlySet<string>>();
}

function placeOf(port: Json): string {
  return JSON.stringify([port['port'], port['protocol'], port['targetPort']]);
}

/** Proxy ports that a name leads to. */
function ledTo(object: Json | null): ReadonlySet<number> {
  const isNamed = object !== null && annotationsOf(object)['maesh.dev/state'] === 'published';
  return new Set(isNamed ? portsOf(object).map((port) => Number(port['targetPort'])) : []);
}

/** Proxy ports that an object holds, those in quarantine among them. */
function claimed(object: Json | null): ReadonlySet<number> {
  const found = object === null ? null : read(object);
  if (found === null) return new Set();
  const { ports, announcedPorts, retiredPorts } = found.kind === 'damaged' ? found.salvage : found;
  return new Set([...ports, ...announcedPorts, ...retiredPorts].map(({ proxyPort }) => proxyPort));
}
