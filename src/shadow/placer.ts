/**
 * Puts what the compiler says and what shadow Services say together: Deltas for the agents, with addresses and proxy ports.
 * Runs on every replica, from the same objects, so that all agents are told the same.
 *
 * What leaves is still listened on for a while, without a name, so that callers that know it can go; and a Service
 * whose shadow somebody deleted stays as it is for that while, since the leader brings the shadow back.
 */

import type { Clock } from '../base/clock.ts';
import { aboutText } from '../model/object-reference.ts';
import type { Identity } from '../model/endpoint.ts';
import { isCarried } from '../model/service.ts';
import type { Delta, Problem, Service, ServicePort } from '../model/service.ts';
import { portId, shadowName } from './names.ts';
import { Claims, claimsOf } from './ports.ts';
import type { Claim } from './ports.ts';
import { isBefore } from './progress.ts';
import type { Damaged, Shadow } from './shadow.ts';
import { kubeProtocolOf } from './wanted.ts';

export const DEFAULT_LEAVE_MS = 15_000;
/** How long the loss of most Services must last to be believed. */
export const DEFAULT_LOSS_MS = 30_000;
/** So many Services may vanish at once without a doubt. */
export const UNDOUBTED_LOSS = 10;

export interface PlacerOptions {
  readonly clock: Clock;
  readonly onDelta: (delta: Delta) => void;
  /** Time has passed for something: `flush()` has work. */
  readonly onDue?: () => void;
  /** These Services came, changed or went, as of `services`: for the controller. */
  readonly onServices?: (keys: readonly string[]) => void;
  /** Default 15,000. */
  readonly leaveMs?: number;
  /** Default 30,000. */
  readonly lossMs?: number;
}

interface PlacedPort {
  readonly port: ServicePort;
  /** When its listener closes; null while it is wanted. */
  readonly leaveAtMs: number | null;
}

interface PlacedService {
  readonly name: string;
  /** As compiled; null when it is gone. */
  service: Service | null;
  /** Gone, but not believed before this time. */
  lostUntilMs: number | null;
  shadow: Shadow | null;
  /** Somebody deleted the shadow: forgotten at this time. */
  vanishAtMs: number | null;
  /** By port and proxy port. */
  ports: ReadonlyMap<string, PlacedPort>;
  /** What agents have. */
  placed: Service | null;
  /** What `placed` was made from. */
  source: Service | null;
}

export class Placer {
  readonly #clock: Clock;
  readonly #options: PlacerOptions;
  readonly #leaveMs: number;
  readonly #lossMs: number;
  readonly #entries = new Map<string, PlacedService>();
  readonly #services = new Map<string, Service>();
  readonly #claims = new Claims();
  readonly #dirty = new Set<string>();
  readonly #lost = new Set<string>();
  readonly #unplaced = new Map<string, string>();
  readonly #identities = new Map<string, Identity | null>();
  #isCompiled = false;
  #isListed = false;
  #version = 0;

  constructor(options: PlacerOptions) {
    this.#clock = options.clock;
    this.#options = options;
    this.#leaveMs = options.leaveMs ?? DEFAULT_LEAVE_MS;
    this.#lossMs = options.lossMs ?? DEFAULT_LOSS_MS;
  }

  /** False until the first compile and the first list of shadow Services are in: nothing is told or decided before. */
  get ready(): boolean {
    return this.#isCompiled && this.#isListed;
  }

  /** Of the last Delta; 0 before the first. */
  get version(): number {
    return this.#version;
  }

  /** Services as compiled, with those whose loss is not believed yet. */
  get services(): ReadonlyMap<string, Service> {
    return this.#services;
  }

  /** What the compiler says; told to agents with the next `flush()`. */
  compiled(delta: Delta): void {
    for (const service of delta.services) {
      const entry = this.#entry(shadowName(service.key));
      entry.service = service;
      entry.lostUntilMs = null;
      this.#lost.delete(entry.name);
      this.#services.set(service.key, service);
      this.#dirty.add(entry.name);
    }
    const removed = delta.removedServices.filter((key) => this.#services.has(key));
    const isDoubted = removed.length > UNDOUBTED_LOSS && removed.length * 2 > this.#services.size;
    for (const key of removed) this.#lose(key, isDoubted);
    for (const identity of delta.identities) this.#identities.set(identity.address, identity);
    for (const address of delta.removedIdentities) this.#identities.set(address, null);
    this.#isCompiled = true;
    const changed = [...delta.services.map(({ key }) => key), ...(isDoubted ? [] : removed)];
    if (changed.length > 0) this.#options.onServices?.(changed);
  }

  /** A shadow Service as it is now, null when it is gone; told to agents with the next `flush()`. */
  shadow(name: string, value: Shadow | Damaged | null): void {
    if (value?.kind === 'damaged' && value.isMisnamed) return;
    const entry = this.#entry(name);
    if (value === null) {
      if (entry.shadow === null || entry.vanishAtMs !== null) return;
      entry.vanishAtMs = this.#clock.nowMs() + this.#leaveMs;
      this.#wake(name, this.#leaveMs);
      if (entry.service !== null) return;
      entry.shadow = null;
    } else {
      // What a person broke is repaired by the leader; until then the last good one counts.
      const isKept = value.kind === 'damaged' && entry.shadow?.uid === value.salvage.uid;
      if (!isKept) entry.shadow = value.kind === 'damaged' ? value.salvage : value;
      entry.vanishAtMs = null;
    }
    this.#dirty.add(name);
  }

  /** The first list of shadow Services is in. */
  listed(): void {
    this.#isListed = true;
  }

  /** Tells what changed since the last time, in one Delta, or in none when nothing did. Returns the version. */
  flush(): number {
    if (!this.ready) return this.#version;
    this.#claimAll();
    const { services, removedServices } = this.#placeAll();
    const identities = [...this.#identities.values()].filter((identity) => identity !== null);
    const removedIdentities = [...this.#identities].flatMap(([address, identity]) =>
      identity === null ? [address] : [],
    );
    this.#identities.clear();
    const count =
      services.length + removedServices.length + identities.length + removedIdentities.length;
    if (count === 0 && this.#version > 0) return this.#version;
    this.#version += 1;
    this.#options.onDelta({
      version: this.#version,
      services,
      removedServices,
      identities,
      removedIdentities,
    });
    return this.#version;
  }

  /**
   * The oldest resource version of a shadow Service that asks for listeners which agents were not told of, because this
   * replica has not seen the Service that it is for; null when there is none. As of the last `flush()`.
   */
  heldBack(): string | null {
    let oldest: string | null = null;
    for (const version of this.#unplaced.values()) {
      if (oldest === null || isBefore(version, oldest)) oldest = version;
    }
    return oldest;
  }

  problems(): readonly Problem[] {
    if (this.#lost.size === 0) return [];
    return [
      {
        severity: 'warning',
        ...aboutText('Cluster'),
        field: 'services',
        value: String(this.#lost.size),
        message: `${this.#lost.size} of ${this.#services.size} Services of the mesh disappeared at once; maesh waits ${this.#lossMs / 1_000} s before acting on it, and they keep their names and addresses until then`,
        remedy:
          'if you deleted them, wait; if not, check what the API server lost, and the scope of the mesh (--watch-namespace, --ignore-namespace)',
        location: '',
      },
    ];
  }

  #lose(key: string, isDoubted: boolean): void {
    const entry = this.#entry(shadowName(key));
    if (isDoubted) {
      entry.lostUntilMs = this.#clock.nowMs() + this.#lossMs;
      this.#lost.add(entry.name);
      this.#wake(entry.name, this.#lossMs);
      return;
    }
    entry.service = null;
    entry.lostUntilMs = null;
    this.#lost.delete(entry.name);
    this.#services.delete(key);
    this.#dirty.add(entry.name);
  }

  #entry(name: string): PlacedService {
    let entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    entry = {
      name,
      service: null,
      lostUntilMs: null,
      shadow: null,
      vanishAtMs: null,
      ports: new Map(),
      placed: null,
      source: null,
    };
    this.#entries.set(name, entry);
    return entry;
  }

  #wake(name: string, delayMs: number): void {
    this.#clock.after(delayMs, () => {
      const entry = this.#entries.get(name);
      if (entry === undefined) return;
      const nowMs = this.#clock.nowMs();
      if (entry.vanishAtMs !== null && entry.vanishAtMs <= nowMs) {
        entry.shadow = null;
        entry.vanishAtMs = null;
      }
      if (entry.lostUntilMs !== null && entry.lostUntilMs <= nowMs && entry.service !== null) {
        const { key } = entry.service;
        this.#lose(key, false);
        this.#options.onServices?.([key]);
      }
      this.#dirty.add(name);
      this.#options.onDue?.();
    });
  }

  /** Where two shadows claim one port, a change of one may give it to the other. */
  #claimAll(): void {
    for (const name of Array.from(this.#dirty)) {
      const entry = this.#entries.get(name);
      const claims = entry === undefined ? [] : claimsWith(entry);
      for (const other of this.#claims.set(name, claims)) this.#dirty.add(other);
    }
  }

  #placeAll(): Pick<Delta, 'services' | 'removedServices'> {
    const services: Service[] = [];
    const removedServices: string[] = [];
    for (const name of this.#dirty) {
      const entry = this.#entries.get(name);
      if (entry === undefined) continue;
      const before = entry.placed;
      this.#place(entry);
      // Listeners that just closed claim nothing any more.
      this.#claims.set(name, claimsWith(entry));
      if (entry.placed === null && before !== null) removedServices.push(before.key);
      else if (entry.placed !== null && entry.placed !== before) services.push(entry.placed);
      if (entry.placed === null && entry.service === null && entry.shadow === null)
        this.#entries.delete(name);
    }
    this.#dirty.clear();
    return { services, removedServices };
  }

  #place(entry: PlacedService): void {
    const { service, shadow } = entry;
    const nowMs = this.#clock.nowMs();
    const wanted = this.#wantedPorts(entry);
    const ports = new Map<string, PlacedPort>();
    for (const port of wanted) ports.set(placeOf(port), { port, leaveAtMs: null });
    for (const [place, { port, leaveAtMs }] of entry.ports) {
      if (ports.has(place)) continue;
      const untilMs = leaveAtMs ?? nowMs + this.#leaveMs;
      if (leaveAtMs === null) this.#wake(entry.name, this.#leaveMs);
      if (untilMs > nowMs && this.#isFreeFor(entry.name, port))
        ports.set(place, { port: currentOf(port, service), leaveAtMs: untilMs });
    }
    entry.ports = ports;
    this.#noteUnplaced(entry);
    const isNamed = service !== null && shadow?.state === 'published' && wanted.length > 0;
    setPlaced(entry, isNamed ? shadow.clusterIPs : []);
  }

  /**
   * The ports of the Service on each proxy port that its shadow gives them and that leads to nobody else. Which ports can be
   * carried is for the leader to know, which gives the others no proxy port, and for the agents, which may be of another version.
   */
  #wantedPorts({ name, service, shadow }: PlacedService): readonly ServicePort[] {
    if (service === null || shadow === null) return [];
    const given = Map.groupBy([...shadow.ports, ...shadow.announcedPorts], portId);
    return service.ports.flatMap((port) => {
      const id = portId({ port: port.port, protocol: kubeProtocolOf(port) });
      return (given.get(id) ?? [])
        .filter((item) => this.#claims.holds(name, item))
        .map(({ proxyPort }) => ({ ...port, proxyPort }));
    });
  }

  #isFreeFor(name: string, port: ServicePort): boolean {
    const winner = this.#claims.of(port.proxyPort)[0];
    return winner === undefined || winner.owner === name;
  }

  #noteUnplaced({ name, shadow, ports }: PlacedService): void {
    this.#unplaced.delete(name);
    if (shadow === null || shadow.state === 'retired') return;
    const asked =
      shadow.state === 'announced'
        ? [...shadow.ports, ...shadow.announcedPorts]
        : shadow.announcedPorts;
    const isTold = asked.every(
      (item) => ports.get(`${portId(item)} ${item.proxyPort}`)?.leaveAtMs === null,
    );
    if (!isTold) this.#unplaced.set(name, shadow.resourceVersion);
  }
}

/** Replaces what agents have where something of it is different. */
function setPlaced(entry: PlacedService, addresses: readonly string[]): void {
  const [address = '', secondAddress = ''] = addresses;
  const ports = [...entry.ports.values()].map(({ port }) => port);
  const source = entry.service ?? entry.source;
  if (ports.length === 0 || source === null) {
    entry.placed = null;
    entry.source = null;
    return;
  }
  const before = entry.placed;
  const isUnchanged =
    before !== null &&
    source === entry.source &&
    before.address === address &&
    before.secondAddress === secondAddress &&
    before.ports.map(placeOf).join() === ports.map(placeOf).join();
  entry.source = source;
  if (!isUnchanged) entry.placed = { ...source, address, secondAddress, ports };
}

/** What the shadow says and, after all that, the ports that still have a listener. */
function claimsWith({ name, shadow, ports }: PlacedService): readonly Claim[] {
  const createdAt = shadow?.createdAt ?? '';
  const claims = shadow === null ? [] : claimsOf(name, shadow, createdAt);
  const claimed = new Set(claims.map(({ proxyPort }) => proxyPort));
  for (const { port } of ports.values()) {
    if (claimed.has(port.proxyPort)) continue;
    const id = portId({ port: port.port, protocol: kubeProtocolOf(port) });
    claims.push({ owner: name, port: id, proxyPort: port.proxyPort, rank: 'leaving', createdAt });
    claimed.add(port.proxyPort);
  }
  return claims;
}

/** A port that leaves one proxy port for another still follows its Service. */
function currentOf(port: ServicePort, service: Service | null): ServicePort {
  const current = service?.ports.find(
    (other) => other.port === port.port && other.protocol === port.protocol && isCarried(other),
  );
  return current === undefined ? port : { ...current, proxyPort: port.proxyPort };
}

function placeOf(port: ServicePort): string {
  return `${port.port}/${kubeProtocolOf(port)} ${port.proxyPort}`;
}
