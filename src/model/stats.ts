/** Figures of the last seconds, as the admin API and the terminal view show them. */

import type { CheckFacts } from './health-check.ts';

export type BreakerState = 'closed' | 'open' | 'recovering';
export type EndpointHealth = 'healthy' | 'ejected' | 'probing';

/** Lower and upper edge in milliseconds, the last upper edge null, and how many requests lay between. */
export type LatencyBucket = readonly [fromMs: number, toMs: number | null, count: number];

/** Counts over the window: those of several agents may be added up, as ratios and quantiles may not. */
export interface WindowCounts {
  /** Milliseconds that the figures cover; 0 until the second sample. */
  readonly windowMs: number;
  readonly requests: number;
  /** Of them, those that were answered with 5xx or not at all. */
  readonly failed: number;
  /** In rising order, without those that are empty. */
  readonly latency: readonly LatencyBucket[];
}

/** Per second and ratios over the window; null where there was no request to tell from. */
export interface ServiceStats extends WindowCounts {
  readonly requestsPerSecond: number;
  /** Share of requests that were answered with a status below 500. */
  readonly successRatio: number | null;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly retriesPerSecond: number;
  readonly rateLimitedPerSecond: number;
  /** Those that another Service took, since too few endpoints are usable here. */
  readonly failedOverPerSecond: number;
  readonly breaker: BreakerState;
  readonly inFlight: number;
}

export interface EndpointStats extends WindowCounts {
  readonly requestsPerSecond: number;
  readonly successRatio: number | null;
  readonly p50Ms: number | null;
  readonly health: EndpointHealth;
  readonly inFlight: number;
  /** Open ones, of all threads. */
  readonly connections: number;
  /** Failures that still count when an endpoint is picked, by how much they have faded. */
  readonly recentFailures: number;
  /** Null where no check was made. */
  readonly check: CheckFacts | null;
}

/** What an endpoint has and had since it joined. */
export interface EndpointFigures {
  readonly health: EndpointHealth;
  readonly inFlight: number;
  /** Tries that ended. */
  readonly requests: number;
  readonly ejections: number;
  /** Connections that are open. */
  readonly connections: number;
}
