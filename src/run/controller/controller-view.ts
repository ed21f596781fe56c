/** What the admin API shows of a controller: the configuration that it gives out, and to whom. */

import type { AdminView, ConnectedAgent, OutsideService, ThreadsView } from '../../admin/view.ts';
import type { Clock } from '../../base/clock.ts';
import { readVersion } from '../../base/version.ts';
import type { Problem, Snapshot } from '../../model/service.ts';
import type { DataPath } from './data-path.ts';
import type { ControlPlane } from './control-plane.ts';
import type { Leadership } from './leadership.ts';
import { renderControllerMetrics } from './metrics.ts';

export interface ControllerViewOptions {
  readonly plane: ControlPlane;
  /** null where it is not checked, and before the start. */
  readonly dataPath: () => DataPath | null;
  /** null before the cluster was read. */
  readonly leadership: () => Leadership | null;
  readonly domains: readonly string[];
  readonly clock: Clock;
}

/** What only the proxies know. */
const UNKNOWN = {
  windowMs: 0,
  requests: 0,
  failed: 0,
  latency: [],
  requestsPerSecond: 0,
  successRatio: null,
  p50Ms: null,
  inFlight: 0,
} as const;
const UNKNOWN_SERVICE = {
  ...UNKNOWN,
  p95Ms: null,
  p99Ms: null,
  retriesPerSecond: 0,
  rateLimitedPerSecond: 0,
  failedOverPerSecond: 0,
  breaker: 'closed',
} as const;

export class ControllerView implements AdminView {
  readonly domains: readonly string[];
  readonly #options: ControllerViewOptions;

  constructor(options: ControllerViewOptions) {
    this.#options = options;
    this.domains = options.domains;
  }

  readonly figures: AdminView['figures'] = {
    breaker: () => 'closed',
    inFlight: () => 0,
    endpoint: () => ({ health: 'healthy', inFlight: 0, requests: 0, ejections: 0, connections: 0 }),
    serviceStats: () => UNKNOWN_SERVICE,
    endpointStats: () => ({
      ...UNKNOWN,
      health: 'healthy',
      connections: 0,
      recentFailures: 0,
      check: null,
    }),
  };

  readiness(): { readonly ready: boolean; readonly pending: readonly string[] } {
    return this.#options.plane.readiness();
  }

  snapshot(): Snapshot {
    return this.#options.plane.snapshot();
  }

  problems(): readonly Problem[] {
    const { plane, leadership, dataPath } = this.#options;
    return [
      ...plane.problems(),
      ...(leadership()?.problems() ?? []),
      ...(dataPath()?.problems() ?? []),
    ];
  }

  outside(namespace: string): Iterable<OutsideService> {
    return this.#options.plane.outside(namespace);
  }

  threads(): ThreadsView {
    return { restarts: 0, threads: [] };
  }

  dataPath(): string {
    return this.#options.dataPath()?.tell() ?? '';
  }

  agents(): readonly ConnectedAgent[] {
    const { plane, clock, dataPath } = this.#options;
    const now = clock.nowMs();
    return plane.agents().map((agent) => ({
      agent: agent.agent,
      node: agent.node,
      build: agent.build,
      remote: agent.remote,
      connectedMs: Math.round(now - agent.connectedAtMs),
      sentVersion: agent.sentVersion,
      servedVersion: agent.servedVersion,
      failures: agent.listenFailures,
      lagMs: Math.round(agent.lagMs),
      carries: agent.carries,
      dataPath: dataPath()?.tellAgent(agent.agent) ?? '',
      notServed: agent.notServed.map(({ key, unknown }) => ({ service: key, unknown })),
    }));
  }

  async *metrics(): AsyncIterable<string> {
    const { plane, leadership, dataPath } = this.#options;
    const { version, services } = plane.snapshot();
    yield renderControllerMetrics({
      version: readVersion(),
      isLeader: leadership()?.isLeader ?? false,
      configVersion: version,
      services: services.size,
      agents: plane.agents(),
      problems: this.problems(),
      watches: plane.source
        .status()
        .map(({ kind, synced, lastError }) => ({ kind, isOpen: synced && lastError === null })),
      dataPath: dataPath()?.figures() ?? null,
      residentBytes: process.memoryUsage.rss(),
    });
  }
}
