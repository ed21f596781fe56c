/**
 * The shadow Services, for everybody outside of this room. Every replica takes in what is compiled and what is seen of them, and
 * gives Deltas with addresses to its agents; the leader also has them written.
 *
 *   compiled ──► Placer ──► Delta with addresses      Progress: up to where agents serve them
 *   seen ──────►   └─────► ShadowController, of the leader ◄── others: progress and abilities of the other replicas
 */

import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { type Observable, Signal } from '../base/signal.ts';
import type { Abilities } from '../discovery/abilities.ts';
import type { Sink } from '../kube/api/reflector.ts';
import type { Delta, Problem } from '../model/service.ts';
import { AbilityGate } from './ability-gate.ts';
import { ShadowFeed } from './shadow-feed.ts';
import { ShadowController } from './shadow-controller.ts';
import { Placer } from './placer.ts';
import type { PortRange } from './ports.ts';
import { Progress } from './progress.ts';
import { trafficDistributionOf } from './render.ts';
import type { Damaged, IpFamily, Shadow } from './shadow.ts';
import type { ShadowApi } from './writer.ts';

/** What a server that keeps its version to itself is taken for: a new one. */
const MINOR_UNKNOWN = 36;

export interface ShadowServicesOptions {
  readonly api: ShadowApi;
  readonly namespace: string;
  readonly proxyPorts: PortRange;
  /** Of the API server, 36 of 1.36; null when it is not known. */
  readonly minor: () => number | null;
  /** `familiesOf()` the cluster IPs of the Service with that key. */
  readonly families: (service: string) => readonly IpFamily[];
  readonly agents: AgentsOfReplica;
  /** The other replicas that live. */
  readonly others: () => readonly OtherReplica[];
  readonly onDelta: (delta: Delta) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Those that are connected to this replica. */
export interface AgentsOfReplica {
  /** The least version that one of them serves; null without any. */
  minServedVersion(): number | null;
  abilities(): Abilities;
  /** By name. */
  laggards(version: number): readonly string[];
}

export interface OtherReplica {
  /** As `ShadowServices.progress` of that one. */
  readonly progress: string;
  readonly abilities: Abilities;
}

export class ShadowServices {
  readonly #options: ShadowServicesOptions;
  readonly #placer: Placer;
  readonly #progress: Progress;
  readonly #gate: AbilityGate;
  readonly #controller: ShadowController;
  readonly #feed: ShadowFeed;
  readonly #changes = new Signal();
  #isLeading = false;
  #flush: Timer | null = null;

  constructor(options: ShadowServicesOptions) {
    const { clock, agents } = options;
    this.#options = options;
    this.#placer = new Placer({
      clock,
      onDelta: options.onDelta,
      onDue: () => this.#flushSoon(),
      onServices: (keys) => this.#controller.compiled(keys),
    });
    this.#progress = new Progress({
      clock,
      heldBack: () => this.#placer.heldBack(),
      onReturned: () => this.#changes.tell(),
    });
    this.#gate = new AbilityGate(clock, () => this.#controller.abilitiesChanged());
    this.#controller = new ShadowController({
      ...options,
      // The server tells its version after this was made, and an upgrade may change it.
      get trafficDistribution() {
        return trafficDistributionOf({ major: 1, minor: options.minor() ?? MINOR_UNKNOWN });
      },
      placer: this.#placer,
      progressOfAll: () => [this.progress, ...options.others().map(({ progress }) => progress)],
      abilities: this.#gate,
      laggards: () => agents.laggards(this.version),
    });
    this.#feed = new ShadowFeed({
      placer: this.#placer,
      controller: this.#controller,
      progress: this.#progress,
      onChange: () => this.#flushSoon(),
    });
  }

  /** `progress` or `version` may be different. */
  get changes(): Observable {
    return this.#changes;
  }

  /** False until the first compile and the first list of shadow Services are in: nothing is told or decided before. */
  get ready(): boolean {
    return this.#placer.ready;
  }

  /** Of the last Delta; 0 before the first. */
  get version(): number {
    return this.#placer.version;
  }

  /** Opaque: up to where all agents of this replica serve what shadow Services say. */
  get progress(): string {
    return this.#progress.current;
  }

  get isLeading(): boolean {
    return this.#isLeading;
  }

  /** What the watch of shadow Services sees, as `read()` makes it. */
  get seen(): Sink<Shadow | Damaged> {
    return this.#feed;
  }

  /** What the compiler says, null for nothing; `services` are those whose objects changed. What comes in one turn is one Delta. */
  compiled(delta: Delta | null, services: readonly string[]): void {
    if (delta !== null) this.#placer.compiled(delta);
    // A change of its cluster IPs is none for agents, and one for its shadow.
    this.#controller.compiled(services);
    this.#flushSoon();
  }

  /** Agents can connect from now on. */
  opened(): void {
    this.#progress.opened();
    this.#gate.opened();
  }

  /** They came, left, or serve another version. */
  agentsChanged(): void {
    this.#progress.served(this.#options.agents.minServedVersion());
    this.#changes.tell();
  }

  /** `others()` is different, or what the own agents can do: other ports can be published. */
  replicasChanged(): void {
    const { agents, others } = this.#options;
    this.#gate.update([agents.abilities(), ...others().map(({ abilities }) => abilities)]);
    this.#controller.progressed();
  }

  /** Writes from here on. */
  lead(): void {
    this.#isLeading = true;
    this.#controller.start();
  }

  /** Writes nothing from here on. */
  follow(): void {
    this.#isLeading = false;
    this.#controller.stop();
  }

  /** Those of a leader among them. */
  problems(): readonly Problem[] {
    return [...this.#placer.problems(), ...this.#controller.problems()];
  }

  stop(): void {
    this.#flush?.cancel();
    this.#progress.stop();
    this.#gate.stop();
  }

  #flushSoon(): void {
    this.#flush ??= this.#options.clock.after(0, () => {
      this.#flush = null;
      this.#feed.flush();
      this.agentsChanged();
    });
  }
}
