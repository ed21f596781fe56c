/** What a Service gets that says nothing. Safe in the sense of: never worse than kube-proxy. */

import type { FailoverPolicy, HealthCheckPolicy, Policies, RetryPolicy } from './policy.ts';

/** What `retry-attempts` starts from. */
export const DEFAULT_RETRY: RetryPolicy = {
  attempts: 2,
  on: ['connect-failure', 'reset'],
  statuses: [502, 503, 504],
  backoffMs: 25,
  backoffMaxMs: 250,
  budgetRatio: 0.2,
  budgetMinPerSecond: 10,
  bodyBytes: 65_536,
  nonIdempotent: false,
};

/** What `health-check` starts from. */
export const DEFAULT_HEALTH_CHECK: HealthCheckPolicy = {
  kind: 'http',
  path: '/',
  statuses: ['200-399'],
  host: '',
  grpcService: '',
  port: 0,
  intervalMs: 10_000,
  timeoutMs: 2_000,
  failures: 3,
  successes: 2,
  ejects: true,
};

/** What `failover` starts from. */
export const DEFAULT_FAILOVER: FailoverPolicy = { service: '', below: 0, returnMs: 10_000 };

export const DEFAULT_POLICIES: Policies = {
  retry: null,
  timeouts: {
    connectMs: 2_000,
    requestMs: 0,
    tryMs: 0,
    idleMs: 300_000,
    tunnelMs: 0,
    drainMs: 0,
    peerMs: null,
    unacknowledgedMs: null,
  },
  balance: {
    algorithm: 'least-request',
    hashKey: null,
    locality: 'prefer-node',
    spillOverInFlight: 100,
    slowStartMs: 0,
  },
  affinity: null,
  ejection: {
    consecutiveFailures: 5,
    errorRate: 0,
    errorRateMinRequests: 20,
    baseMs: 5_000,
    maxMs: 300_000,
    maxEjectedRatio: 0.5,
  },
  breaker: null,
  rateLimit: null,
  limits: {
    connectionsPerEndpoint: 1_024,
    requestsInFlight: 10_000,
    idleConnectionsPerEndpoint: 64,
    idleConnectionMs: 60_000,
    requestBodyBytes: 0,
    requestsPerEndpoint: 0,
    connectionAgeMs: 3_600_000,
    connectionsPerCaller: 0,
  },
  sourceAffinity: null,
  healthCheck: null,
  failover: null,
  grpcWeb: null,
  proxyProtocol: { send: 'none', accept: false },
};
