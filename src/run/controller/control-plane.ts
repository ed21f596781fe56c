/**
 * What every replica of the controller does: watch, compile, place, and tell the agents.
 *
 *   API server ──► ClusterSource ──► Store ──► Compiler ──► ShadowServices ──► DiscoveryServer ──► agents
 *       ├────────► OwnServices ─────────────────────────────────┘   │
 *       └──► ReplicaLeases: those of the others, and the own ◄──────┘ progress
 *
 * What only one replica does is in leadership.ts.
 */

import { randomUUID } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { type Observable, Signal } from '../../base/signal.ts';
import { readVersion } from '../../base/version.ts';
import { isForMesh } from '../../compile/annotation/read.ts';
import { Compiler } from '../../compile/compiler.ts';
import { DiscoveryServer } from '../../discovery/server.ts';
import type { AgentStatus } from '../../discovery/session.ts';
import type { KubeClient } from '../../kube/api/client.ts';
import { ClusterSource } from '../../kube/api/source.ts';
import { type ObjectRef, Store } from '../../kube/store.ts';
import { AGENT, CONTROLLER, PROBE_SERVICE } from '../../model/names.ts';
import type { Delta, Problem, Snapshot } from '../../model/service.ts';
import type { Trouble } from '../../model/trouble.ts';
import { ReplicaLeases } from '../../leader/replica-leases.ts';
import { notServedProblems } from '../../monitor/agent-problems.ts';
import { Authority } from '../../authority/authority.ts';
import { tokenAuthenticator } from '../../authority/token.ts';
import { DnsProbe } from '../../monitor/dns/probe.ts';
import { OwnServices } from './own-services.ts';
import { PodsAge } from './pods-age.ts';
import type { ControllerSettings } from './settings.ts';
import { familiesOf, type IpFamily } from '../../shadow/shadow.ts';
import { ShadowServices } from '../../shadow/shadow-services.ts';
import type { Regarding } from '../../events/event.ts';
import type { ObjectReference } from '../../model/object-reference.ts';

export interface ControlPlaneOptions {
  readonly settings: ControllerSettings;
  readonly client: KubeClient;
  /** The Pod of this replica; null outside of a cluster. */
  readonly owner: { readonly name: string; readonly uid: string } | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Kinds that problems are about, and that are in the store. */
const REFERABLE = ['Service', 'Pod', 'Namespace', 'Endpoints', 'EndpointSlice'] as const;

/** A resolver of the cluster answers within milliseconds, or not at all. */
const RESOLVER = { timeout: 2_000, tries: 2 };
/** Of the tokens that agents prove themselves with; the chart projects them for it. */
const AUDIENCE = 'maesh-discovery';

export class ControlPlane {
  readonly shadows: ShadowServices;
  readonly discovery: DiscoveryServer;
  readonly source: ClusterSource;
  readonly #options: ControlPlaneOptions;
  readonly #store = new Store();
  readonly #compiler: Compiler;
  readonly #authority: Authority;
  readonly #own: OwnServices;
  readonly #replicas: ReplicaLeases;
  readonly #podsAge: PodsAge;
  readonly #probe: DnsProbe;
  readonly #dnsChanges = new Signal();
  readonly #back = new Signal();
  #isSourceReady = false;
  #isServing = false;
  #isStopped = false;
  #listening: Promise<void> = Promise.resolve();
  #hasCredentials = false;
  #recompile: Timer | null = null;

  constructor(options: ControlPlaneOptions) {
    const { settings, client, clock, random, log } = options;
    this.#options = options;
    const { namespace } = settings;
    const isProbed = settings.probe !== null;
    this.#compiler = new Compiler(this.#store, {
      serviceCidr: null,
      defaultMode: settings.defaultMode,
      scope: {
        ...settings.scope,
        ...(isProbed ? { always: `${namespace}/${PROBE_SERVICE}` } : {}),
      },
      meshAccount: `${settings.namespace}/${AGENT}`,
      secretNamespaces: settings.secretNamespaces,
    });
    this.source = new ClusterSource({
      keepAnnotation: isForMesh,
      client,
      store: this.#store,
      clock,
      random,
      log,
      namespaces: settings.scope.watchNamespaces,
      ignoreNamespaces: settings.scope.ignoreNamespaces,
      secretNamespaces: settings.secretNamespaces,
      ...(isProbed ? { extra: { namespace, name: PROBE_SERVICE } } : {}),
      onNotice: (text) => log.info(text),
      onChange: () => this.#podsAge.update(),
      onBack: () => this.#onBack(),
    });
    this.shadows = this.#makeShadows();
    this.shadows.changes.subscribe(() => this.#report());
    this.#podsAge = new PodsAge(clock, () => this.source.status());
    this.discovery = makeDiscovery(options, () => this.#podsAge.ms);
    this.discovery.changes.subscribe(() => this.shadows.agentsChanged());
    this.#authority = this.#makeAuthority();
    this.#own = this.#makeOwn();
    this.#replicas = this.#makeReplicas();
    this.#probe = new DnsProbe({
      clock,
      random,
      resolver: () => new Resolver(RESOLVER),
      domains: settings.domains,
    });
  }

  /** Resolves when the cluster was read and compiled and the other replicas are known; what is away is tried again until it is there. */
  async start(): Promise<void> {
    void this.#authority.start();
    this.#store.subscribe((changed) => this.#compile(changed));
    await this.source.start();
    // A cluster without any object to watch is a configuration too: the empty one.
    if (this.#compiler.snapshot().version === 0) this.#compile([]);
    this.#isSourceReady = true;
    this.#recompileSoon();
    // It may have been refused by a server that was starting.
    if (!this.#authority.isReady) this.#authority.refresh();
    // Whoever wants it off has callers ask another resolver than this Pod does.
    if (this.#options.settings.dnsMode !== 'off') this.#probe.start();
    this.#own.start();
    await this.#replicas.start();
  }

  /** `dnsAddresses` is different. */
  get dnsChanges(): Observable {
    return this.#dnsChanges;
  }

  /** The API server answers again: who waits for it need not any longer. */
  get back(): Observable {
    return this.#back;
  }

  /** Cluster IPs of the Service in front of the agents' DNS; none while there is none. */
  get dnsAddresses(): readonly string[] {
    return this.#own.dnsAddresses;
  }

  /** Address families of a Service, in order; empty when it is headless or gone. */
  #families(key: string): readonly IpFamily[] {
    const [namespace = '', name = ''] = key.split('/');
    return familiesOf(this.#store.get('Service', namespace, name)?.clusterIPs ?? []);
  }

  /** The object as Events name it; null when there is none (any more), or its kind is not read. */
  lookup(ref: ObjectReference): Regarding | null {
    const kind = REFERABLE.find((each) => each === ref.kind);
    const found = kind && this.#store.get(kind, ref.namespace, ref.name);
    return found === undefined ? null : { ...ref, uid: found.meta.uid };
  }

  /** Addresses of the Pod `namespace/name`; empty when it is not known, or not there for callers (any more). */
  readyAddresses(key: string): readonly string[] {
    const [namespace = '', name = ''] = key.split('/');
    const pod = this.#store.get('Pod', namespace, name);
    return pod?.ready === true && pod.meta.deletionTimestamp === '' ? pod.podIPs : [];
  }

  /** Sends the agents to another replica and ends. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#listening;
    await this.discovery.drain();
    this.#probe.stop();
    this.shadows.stop();
    this.#recompile?.cancel();
    await Promise.all([this.source.stop(), this.#own.stop(), this.#authority.stop()]);
    // Until no agent is connected any more, the leader waits for them.
    await this.#replicas.stop();
  }

  readiness(): { readonly ready: boolean; readonly pending: readonly string[] } {
    const pending: string[] = [];
    for (const { kind, isOptional, synced, lastError } of this.source.status()) {
      if (!synced && !isOptional)
        pending.push(`${kind} objects were not read yet: ${lastError ?? 'under way'}`);
    }
    if (!this.#isSourceReady && pending.length === 0) pending.push('the cluster was not read yet');
    if (!this.shadows.ready) pending.push('shadow Services were not read yet');
    if (!this.#authority.isReady) pending.push('there is no certificate yet');
    if (!this.#isServing) pending.push('agents are not served yet');
    return { ready: pending.length === 0, pending };
  }

  /** What agents are told. */
  snapshot(): Snapshot {
    return this.discovery.snapshot();
  }

  agents(): readonly AgentStatus[] {
    return this.discovery.agents();
  }

  /** Of all agents, as far as other replicas have told of theirs. */
  troubles(): readonly Trouble[] {
    const own = this.agents().flatMap(({ troubles }) => troubles);
    return [...own, ...this.#replicas.others().flatMap(({ troubles }) => troubles)];
  }

  problems(): readonly Problem[] {
    return [
      ...this.source.problems(),
      ...this.#compiler.problems(),
      ...this.#compiler.certificateProblems(this.#options.clock.wallMs()),
      ...this.shadows.problems(),
      ...notServedProblems(this.agents()),
      ...this.#authority.problems(),
      ...this.#probe.problems(),
    ];
  }

  /** Services that are not part of the mesh, as `Compiler.outside`. */
  outside(namespace: string): ReturnType<Compiler['outside']> {
    return this.#compiler.outside(namespace);
  }

  #makeShadows(): ShadowServices {
    const { settings, client, clock, random, log } = this.#options;
    return new ShadowServices({
      api: client,
      namespace: settings.namespace,
      proxyPorts: settings.proxyPorts,
      minor: () => this.source.features?.minor ?? null,
      families: (key) => this.#families(key),
      agents: {
        minServedVersion: () => this.discovery.minServedVersion(),
        abilities: () => this.discovery.abilities(),
        laggards: (version) => laggards(this.agents(), version),
      },
      others: () => this.#replicas.others(),
      onDelta: (delta) => this.#publish(delta),
      clock,
      random,
      log,
    });
  }

  #makeOwn(): OwnServices {
    const { settings, client, clock, random, log } = this.#options;
    return new OwnServices({
      client,
      namespace: settings.namespace,
      clock,
      random,
      log,
      shadows: this.shadows.seen,
      onDnsAddresses: () => this.#dnsChanges.tell(),
      onAddresses: (name, addresses) => {
        this.#compiler.setMeshService(name, addresses);
        this.#recompileSoon();
      },
    });
  }

  #makeReplicas(): ReplicaLeases {
    const { settings, client, owner, clock, random, log } = this.#options;
    return new ReplicaLeases({
      api: client,
      namespace: settings.namespace,
      name: CONTROLLER,
      identity: settings.identity,
      owner,
      clock,
      random,
      log,
      isLeader: () => this.shadows.isLeading,
      onChange: () => this.shadows.replicasChanged(),
    });
  }

  #makeAuthority(): Authority {
    const { settings, client, clock, random, log } = this.#options;
    const { namespace, clusterDomain } = settings;
    const host = `${CONTROLLER}.${namespace}.svc`;
    return new Authority({
      api: client,
      namespace,
      serviceDnsNames: [CONTROLLER, host, `${host}.${clusterDomain}`],
      clock,
      random,
      log,
      onCredentials: (credentials) => {
        this.discovery.setCredentials(credentials);
        this.#hasCredentials = true;
        this.#serve();
      },
    });
  }

  #onBack(): void {
    this.#own.nudge();
    this.#replicas.nudge();
    this.#authority.refresh();
    this.#back.tell();
  }

  #compile(changed: readonly ObjectRef[]): void {
    const services = changed.filter(isService).map(({ namespace, name }) => `${namespace}/${name}`);
    const delta = this.#compiler.update(changed);
    const { changed: came = [], removed = [] } = this.#compiler.takeCredentials() ?? {};
    if (came.length > 0) this.discovery.publishCredentials({ changed: came, removed: [] });
    this.shadows.compiled(delta, services);
    if (removed.length > 0) this.discovery.publishCredentials({ changed: [], removed });
  }

  /** Endpoints may be addresses of the mesh now, or none of it any more. Before the first compile that sees to it itself. */
  #recompileSoon(): void {
    if (!this.#isSourceReady) return;
    this.#recompile ??= this.#options.clock.after(0, () => {
      this.#recompile = null;
      this.#compile([]);
    });
  }

  #publish(delta: Delta): void {
    this.discovery.publish(delta);
    this.#serve();
  }

  /** What this replica says to the others, and to itself. */
  #report(): void {
    const { discovery, shadows } = this;
    this.#replicas.report({
      progress: shadows.progress,
      agents: discovery.agentCount,
      abilities: discovery.abilities(),
      troubles: distinct(this.agents().flatMap(({ troubles }) => troubles)),
    });
    shadows.replicasChanged();
  }

  /** Agents are let in when there is a certificate to show and something to tell. */
  #serve(): void {
    if (this.#isServing || this.#isStopped) return;
    if (this.shadows.version === 0 || !this.#hasCredentials) return;
    this.#isServing = true;
    this.#listening = this.#listen();
  }

  async #listen(): Promise<void> {
    const { log } = this.#options;
    try {
      const { host, port } = await this.discovery.start();
      log.info('Serving agents', { host, port });
      this.shadows.opened();
    } catch (error) {
      this.#isServing = false;
      log.error('Cannot serve agents', { error });
    }
  }
}

function makeDiscovery(options: ControlPlaneOptions, ageMs: () => number): DiscoveryServer {
  const { settings, client, clock, random, log } = options;
  return new DiscoveryServer({
    listen: settings.discovery,
    epoch: randomUUID(),
    build: readVersion(),
    authenticate: tokenAuthenticator({
      api: client,
      audience: AUDIENCE,
      serviceAccount: `system:serviceaccount:${settings.namespace}:${AGENT}`,
      clock,
    }),
    ageMs,
    clock,
    random,
    log,
  });
}

function isService({ kind }: ObjectRef): boolean {
  return kind === 'Service';
}

/** Each once: the agents of several nodes see the same. */
function distinct(troubles: readonly Trouble[]): readonly Trouble[] {
  return [...new Map(troubles.map((trouble) => [JSON.stringify(trouble), trouble])).values()];
}

/** Agents that are behind, by name. */
function laggards(agents: readonly AgentStatus[], version: number): readonly string[] {
  return agents
    .filter(({ servedVersion }) => servedVersion < version)
    .map(({ agent, node }) => `${agent} on ${node}`);
}
