/** Where an agent of a cluster gets its configuration: the stream of a controller, and the last good copy on disk. */

import { readFile } from 'node:fs/promises';
import type { Agent } from './agent.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Env } from '../../base/command.ts';
import type { Log } from '../../base/log.ts';
import { systemRandom } from '../../base/random.ts';
import { readVersion } from '../../base/version.ts';
import { DiscoveryClient } from '../../discovery/client.ts';
import { KubeClient } from '../../kube/api/client.ts';
import { loadConnection } from '../../kube/api/connection.ts';
import { CONTROLLER } from '../../model/names.ts';
import type { Problem, Snapshot } from '../../model/service.ts';
import { LISTEN_FAILURES_MAX } from '../../model/shortcomings.ts';
import type { Trouble } from '../../model/trouble.ts';
import { Bundle } from './bundle.ts';
import { identityProblem } from './identity-problem.ts';
import { refusedProblems } from './refused-problems.ts';
import type { NodeSettings } from './settings.ts';

export interface AgentFeedOptions {
  readonly settings: NodeSettings;
  readonly env: Env;
  readonly agent: Agent;
  readonly clock: Clock;
  readonly log: Log;
}

/** As often as a controller says that it lives. */
const TRUST_MS = 5_000;
/** Before the start. */
const NOTHING: Snapshot = { version: 0, services: new Map(), identities: new Map() };

export class AgentFeed {
  /** Resolves when the first configuration is served, wherever it came from. */
  readonly firstServed: Promise<void>;
  readonly #options: AgentFeedOptions;
  #client: DiscoveryClient | null = null;
  #kube: KubeClient | null = null;
  #served: () => void = () => undefined;
  #trusting: Timer | null = null;

  constructor(options: AgentFeedOptions) {
    this.#options = options;
    this.firstServed = new Promise((resolve) => (this.#served = resolve));
    // Who callers are is not known before it was told.
    options.agent.threads.trust.untilMs = -Infinity;
  }

  async start(): Promise<void> {
    const { settings, env, agent, clock, log } = this.#options;
    const connection = await loadConnection({ kubeconfig: settings.kubeconfig, env });
    this.#kube = new KubeClient(connection, { clock, log });
    const bundle = new Bundle({ client: this.#kube, ...settings });
    this.#client = new DiscoveryClient({
      address: settings.controller,
      serverName: CONTROLLER,
      ca: () => bundle.read(),
      token: async () => (await readFile(settings.tokenFile, 'utf8')).trim(),
      hello: { node: settings.node, pod: settings.pod, build: readVersion() },
      stateDir: settings.stateDir,
      clock,
      random: systemRandom,
      log,
      onDelta: (delta) => agent.apply(delta),
      onCredentials: (change) => agent.applyCredentials(change),
      // What changed is told to the controller even when nothing changes for the proxies.
      onRefused: () => this.acknowledge(),
    });
    await this.#client.start();
    this.#trust();
    this.#trusting = clock.every(TRUST_MS, () => this.#trust());
  }

  /** Connects again. */
  restart(): void {
    this.#client?.restart();
  }

  async stop(): Promise<void> {
    this.#trusting?.cancel();
    await this.#client?.stop();
    this.#kube?.close();
  }

  /** What the agent was told. */
  snapshot(): Snapshot {
    return this.#client?.snapshot() ?? NOTHING;
  }

  /** Services that this version of maesh does not serve, since they say what it does not know; identities that are too old. */
  problems(): readonly Problem[] {
    const { identityMaxAgeMs } = this.#options.settings;
    const refused = refusedProblems(this.#client?.refused() ?? [], readVersion());
    const isOld = this.snapshot().version > 0 && this.identityAgeMs() >= identityMaxAgeMs;
    return isOld ? [...refused, identityProblem(identityMaxAgeMs)] : refused;
  }

  /** For the admin API. */
  readonly shown = {
    snapshot: (): Snapshot => this.snapshot(),
    identityAgeMs: (): number => this.identityAgeMs(),
  };

  /** For how long it was not confirmed who callers are; Infinity when it never was. */
  identityAgeMs(): number {
    const confirmedAtMs = this.#client?.status().confirmedAtMs ?? -Infinity;
    return Math.max(this.#options.clock.nowMs() - confirmedAtMs, 0);
  }

  /** Moves on until when the proxy threads believe who callers are. */
  #trust(): void {
    const { agent, clock, settings } = this.#options;
    agent.threads.trust.untilMs = clock.nowMs() - this.identityAgeMs() + settings.identityMaxAgeMs;
  }

  /** Tells the controller which Services fail callers of this node. */
  report(troubles: readonly Trouble[]): void {
    this.#client?.report(troubles);
  }

  /** Tells the controller what the threads serve now. */
  acknowledge(): void {
    const { servedVersion, failures } = this.#options.agent.threads;
    if (servedVersion === 0) return;
    this.#served();
    const texts = failures
      .slice(0, LISTEN_FAILURES_MAX)
      .map(({ service, port, code }) => `port ${port} for ${service}: ${code}`);
    this.#client?.acknowledge(servedVersion, texts);
  }
}
