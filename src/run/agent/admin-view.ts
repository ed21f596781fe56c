/** What the admin server shows of an agent: its readiness, figures and threads, and the configuration it was given. */

import type { AdminView, ConnectedAgent, OutsideService, ThreadsView } from '../../admin/view.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { readVersion } from '../../base/version.ts';
import type { Problem, Service, Snapshot } from '../../model/service.ts';
import type {
  AccessLines,
  BrokenRuleCount,
  DnsQueryCount,
  MetricsSource,
} from '../../proxy/telemetry/metrics-source.ts';
import type { MethodFigures } from '../../proxy/telemetry/method-counts.ts';
import { LedgerFigures } from '../../proxy/telemetry/ledger-figures.ts';
import {
  EventLoopMonitor,
  type ProcessFigures,
  readProcessFigures,
} from '../../proxy/telemetry/process-figures.ts';
import { renderMetrics } from '../../proxy/telemetry/prometheus.ts';
import { StatsSampler } from '../../proxy/telemetry/service-stats.ts';
import type { Ledger } from '../../proxy/ledger/ledger.ts';
import type { Agent, Readiness } from './agent.ts';

/** Period of the samples that rates and quantiles come from, while somebody looks … */
const SAMPLE_MS = 500;
/** … and else: sampling a thousand Services takes milliseconds of the core that requests run on. */
const UNWATCHED_SAMPLE_MS = 5_000;
/** Somebody looks who asked within this time. */
const WATCHED_MS = 10_000;

export interface AgentViewOptions {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly domains: readonly string[];
  /** The configuration as it was given. */
  readonly snapshot: () => Snapshot;
  /** All problems, the agent's included. */
  readonly problems: () => readonly Problem[];
  /** For how long it was not confirmed who callers are, in milliseconds; Infinity when it never was. Default 0. */
  readonly identityAgeMs?: () => number;
}

export class AgentView implements AdminView, MetricsSource {
  readonly domains: readonly string[];
  readonly figures: LedgerFigures;
  readonly ledger: Ledger;
  readonly #options: AgentViewOptions;
  readonly #sampler: StatsSampler;
  readonly #eventLoop = new EventLoopMonitor();
  readonly #timer: Timer;
  #sampledAtMs = -Infinity;

  constructor(options: AgentViewOptions) {
    const { agent, clock } = options;
    this.#options = options;
    this.domains = options.domains;
    this.ledger = agent.ledger;
    this.#sampler = new StatsSampler(agent.ledger, clock);
    this.figures = new LedgerFigures(agent.ledger, this.#sampler);
    this.#timer = clock.every(SAMPLE_MS, () => this.#sample());
  }

  #sample(): void {
    const now = this.#options.clock.nowMs();
    const watched = now - this.#sampler.readAtMs < WATCHED_MS;
    if (!watched && now - this.#sampledAtMs < UNWATCHED_SAMPLE_MS) return;
    this.#sampledAtMs = now;
    this.#sampler.sample();
  }

  stop(): void {
    this.#timer.cancel();
    this.#eventLoop.stop();
  }

  readiness(): Readiness {
    return this.#options.agent.readiness();
  }

  snapshot(): Snapshot {
    return this.#options.snapshot();
  }

  metrics(): AsyncIterable<string> {
    return renderMetrics(this, this.#options.clock);
  }

  services(): Iterable<Service> {
    return this.#options.snapshot().services.values();
  }

  configVersion(): number {
    return this.#options.agent.threads.servedVersion;
  }

  problems(): readonly Problem[] {
    return this.#options.problems();
  }

  dataPath(): string {
    return '';
  }

  agents(): readonly ConnectedAgent[] {
    return [];
  }

  outside(): readonly OutsideService[] {
    return [];
  }

  threads(): ThreadsView & { readonly alive: number } {
    const { threads } = this.#options.agent;
    return { alive: threads.alive, restarts: threads.restarts, threads: threads.states() };
  }

  listeners(): number {
    return this.#options.agent.threads.listeners;
  }

  identities(): ReturnType<MetricsSource['identities']> {
    const { identities } = this.#options.snapshot();
    let doubtful = 0;
    for (const { doubt } of identities.values()) if (doubt !== '') doubtful += 1;
    return [
      { labels: ['certain'], value: identities.size - doubtful },
      { labels: ['doubt'], value: doubtful },
    ];
  }

  identityAgeSeconds(): number {
    return (this.#options.identityAgeMs?.() ?? 0) / 1_000;
  }

  defects(): Iterable<readonly [string, number]> {
    return this.#options.agent.guard.counts;
  }

  listenFailures(): Iterable<{ readonly service: string }> {
    return this.#options.agent.threads.failures;
  }

  dnsQueries(): Iterable<DnsQueryCount> {
    return this.#options.agent.dns?.stats.responses.values() ?? [];
  }

  accessLog(): AccessLines {
    return this.#options.agent.threads.accessLog;
  }

  brokenRules(): readonly BrokenRuleCount[] {
    return this.#options.agent.threads.brokenRules;
  }

  methods(service: string): Iterable<MethodFigures> {
    return this.#options.agent.threads.methods.of(service);
  }

  splicedBytes(): number {
    return this.#options.agent.threads.splicedBytes;
  }

  callers(): { readonly shed: readonly number[]; readonly bytes: number } {
    const { shed, callerBytes } = this.#options.agent.threads;
    return { shed, bytes: callerBytes };
  }

  *eventLoops(): ReturnType<MetricsSource['eventLoops']> {
    yield { thread: 'main', ...this.#eventLoop.read() };
    yield* this.#options.agent.threads.eventLoops();
  }

  sockets(): ReturnType<MetricsSource['sockets']> {
    return this.#options.agent.threads.sockets();
  }

  process(): ProcessFigures {
    return readProcessFigures(this.#options.clock.wallMs());
  }

  build(): { readonly version: string; readonly node: string } {
    return { version: readVersion(), node: process.version };
  }
}
