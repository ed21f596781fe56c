/**
 * What only one replica does: write shadow Services, the stanza of the cluster DNS, and Events. All replicas take part in
 * the election and say in a Lease of their own how far their agents are; the leader publishes a port when all of them are there.
 */

import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { textAt } from '../../base/record.ts';
import { orNull } from '../../kube/api/api-error.ts';
import { resourcePath } from '../../kube/api/path.ts';
import type { KubeClient } from '../../kube/api/client.ts';
import { CONTROLLER, PROBE_SERVICE } from '../../model/names.ts';
import type { Problem } from '../../model/service.ts';
import type { Trouble } from '../../model/trouble.ts';
import { ClusterDnsKeeper } from '../../cluster-dns/keeper.ts';
import { ClusterDnsWatch } from '../../cluster-dns/watch.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Regarding } from '../../events/event.ts';
import { EventRecorder } from '../../events/event-recorder.ts';
import { LeaderElection } from '../../leader/leader-election.ts';
import { ReplicaLeases } from '../../leader/replica-leases.ts';
import type { ControllerSettings } from './settings.ts';
import { AbilityGate } from '../../shadow/ability-gate.ts';
import { ShadowKeeper } from '../../shadow/keeper.ts';
import { trafficDistributionOf } from '../../shadow/render.ts';
import { TrafficProblems } from '../../monitor/traffic-problems.ts';
import type { ObjectReference } from '../../model/object-reference.ts';

export interface LeadershipOptions {
  readonly settings: ControllerSettings;
  readonly client: KubeClient;
  readonly plane: ControlPlane;
  /** The Pod of this replica; null outside of a cluster. */
  readonly owner: { readonly name: string; readonly uid: string } | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What a server that keeps its version to itself is taken for: a new one. */
const MINOR_UNKNOWN = 36;

export class Leadership {
  readonly dns: ClusterDnsKeeper;
  readonly #options: LeadershipOptions;
  readonly #keeper: ShadowKeeper;
  readonly #election: LeaderElection;
  readonly #replicas: ReplicaLeases;
  readonly #gate: AbilityGate;
  readonly #events: EventRecorder;
  readonly #dnsWatch: ClusterDnsWatch;
  readonly #traffic: TrafficProblems;
  /** What the cluster DNS was last told, or is being told. */
  #dnsAddresses = '';

  /** To be made once the version of the API server is known. */
  constructor(options: LeadershipOptions) {
    this.#options = options;
    const { settings, client, plane, clock, random, log } = options;
    const { namespace, identity } = settings;
    const common = { clock, random, log };
    this.#replicas = new ReplicaLeases({
      ...common,
      api: client,
      namespace,
      name: CONTROLLER,
      identity,
      owner: options.owner,
      isLeader: () => this.#election.isLeader,
      onChange: () => this.#onReplicas(),
    });
    this.#gate = new AbilityGate(clock, () => this.#keeper.abilitiesChanged());
    this.#keeper = new ShadowKeeper({
      ...common,
      api: client,
      namespace,
      trafficDistribution: trafficDistributionOf({
        major: 1,
        minor: plane.source.features?.minor ?? MINOR_UNKNOWN,
      }),
      placer: plane.placer,
      families: (key) => plane.families(key),
      proxyPorts: settings.proxyPorts,
      progressOfAll: () => [
        plane.progress.current,
        ...this.#replicas.others().map(({ progress }) => progress),
      ],
      abilities: this.#gate,
      laggards: () => laggards(plane),
      onChange: () => plane.onChange(),
    });
    this.dns = new ClusterDnsKeeper({
      ...common,
      api: client,
      mode: settings.dnsMode,
      domains: settings.domains,
      meshNamespace: namespace,
      addressesOf: () => plane.dnsAddresses,
      onConfigMaps: (names) => this.#dnsWatch.follow(names),
    });
    this.#dnsWatch = new ClusterDnsWatch({
      ...common,
      client,
      onChange: () => this.dns.reconcile(),
    });
    this.#events = new EventRecorder({
      ...common,
      api: client,
      identity,
      lookup: (ref) => plane.lookup(ref) ?? lookUpConfigMap(client, ref),
    });
    this.#traffic = this.#makeTraffic();
    this.#election = new LeaderElection({
      ...common,
      api: client,
      namespace,
      name: CONTROLLER,
      identity,
      onStart: () => this.#lead(),
      onStop: () => this.#follow(),
    });
  }

  get isLeader(): boolean {
    return this.#election.isLeader;
  }

  async start(): Promise<void> {
    const { plane } = this.#options;
    plane.watchOwn(this.#keeper);
    plane.onBack = () => this.#back();
    await this.#replicas.start();
    this.#election.start();
  }

  /** Lets another replica lead at once. */
  async resign(): Promise<void> {
    await this.#election.stop();
  }

  /** To be called when no agent is connected any more: until then the leader waits for them. */
  async stop(): Promise<void> {
    this.#gate.stop();
    await this.#replicas.stop();
  }

  /** Makes Events of problems; only at the leader. */
  tell(problems: readonly Problem[]): void {
    if (this.isLeader) this.#events.sync(problems);
  }

  /** Agents have got on, came or left; addresses of the DNS have changed. */
  changed(): void {
    const { plane } = this.#options;
    this.#replicas.report({
      progress: plane.progress.current,
      agents: plane.discovery.agentCount,
      abilities: plane.discovery.abilities(),
      troubles: distinct(plane.agents().flatMap(({ troubles }) => troubles)),
    });
    this.#onReplicas();
    const addresses = plane.dnsAddresses.join();
    if (addresses === this.#dnsAddresses) return;
    this.#dnsAddresses = addresses;
    this.dns.reconcile();
  }

  problems(): readonly Problem[] {
    return [...this.#keeper.problems(), ...this.dns.problems(), ...this.#traffic.problems()];
  }

  /** Of all agents, as far as other replicas have told of theirs. */
  #troubles(): readonly Trouble[] {
    const own = this.#options.plane.agents().flatMap(({ troubles }) => troubles);
    return [...own, ...this.#replicas.others().flatMap(({ troubles }) => troubles)];
  }

  /** What can be published may be different. */
  #onReplicas(): void {
    const { plane } = this.#options;
    const others = this.#replicas.others().map(({ abilities }) => abilities);
    this.#gate.update([plane.discovery.abilities(), ...others]);
    this.#keeper.progressed();
  }

  #makeTraffic(): TrafficProblems {
    const { plane, clock, settings } = this.#options;
    return new TrafficProblems({
      clock,
      snapshot: () => plane.snapshot(),
      // The check of the data path tells of it.
      except: `${settings.namespace}/${PROBE_SERVICE}`,
      troubles: () => this.#troubles(),
    });
  }

  #back(): void {
    this.#replicas.nudge();
    this.#dnsWatch.nudge();
    this.dns.reconcile();
  }

  #lead(): void {
    this.#keeper.start();
    this.dns.start();
    this.#events.start();
  }

  async #follow(): Promise<void> {
    this.#keeper.stop();
    await Promise.all([this.#stopDns(), this.#events.stop()]);
  }

  async #stopDns(): Promise<void> {
    // A look that ends says once more what to follow.
    await this.dns.stop();
    await this.#dnsWatch.stop();
  }
}

/** Of the cluster DNS; these are not in the store. */
async function lookUpConfigMap(
  client: KubeClient,
  ref: ObjectReference,
): Promise<Regarding | null> {
  if (ref.kind !== 'ConfigMap') return null;
  const { namespace, name } = ref;
  const path = resourcePath({ version: 'v1', plural: 'configmaps', namespace, name });
  const found = await orNull(client.get(path));
  return found === null ? null : { ...ref, uid: textAt(found, 'metadata', 'uid') };
}

/** Each once: the agents of several nodes see the same. */
function distinct(troubles: readonly Trouble[]): readonly Trouble[] {
  return [...new Map(troubles.map((trouble) => [JSON.stringify(trouble), trouble])).values()];
}

/** Agents of this replica that are behind, by name. */
function laggards(plane: ControlPlane): readonly string[] {
  const { version } = plane.placer;
  return plane
    .agents()
    .filter((agent) => agent.servedVersion < version)
    .map(({ agent, node }) => `${agent} on ${node}`);
}
