/** What a Service asks of the proxy beyond plain forwarding. Plain data: times in milliseconds, sizes in bytes. */

import type { Expression } from './expression.ts';

export const RETRY_CONDITIONS = [
  'connect-failure',
  'reset',
  'timeout',
  'status',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

/** From `cancelled` on: codes of gRPC, in an answer that has nothing else. */
export type RetryCondition = (typeof RETRY_CONDITIONS)[number];

export interface RetryPolicy {
  /** Tries in all, the first included: 1 never retries. 1 to 10. */
  readonly attempts: number;
  /** What is worth another try. `status` uses `statuses`. */
  readonly on: readonly RetryCondition[];
  /** Response statuses that are retried when `on` has `status`, 400 to 599. */
  readonly statuses: readonly number[];
  /** First back-off; doubles per try up to `backoffMaxMs`, with full jitter. 0 retries at once. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** Retries may be at most this share (0 to 1) of the requests of the last 10 s … */
  readonly budgetRatio: number;
  /** … or this many a second, whichever is more. */
  readonly budgetMinPerSecond: number;
  /** Request body kept for another try; a longer body makes the request final. */
  readonly bodyBytes: number;
  /** Retry methods that are not idempotent (POST, PATCH) after the request was sent. Connect failures always may. */
  readonly nonIdempotent: boolean;
}

/** 0 switches a time limit off. */
export interface TimeoutPolicy {
  /** TCP connect to an endpoint. */
  readonly connectMs: number;
  /** From the end of the request head to the end of the response, retries included. */
  readonly requestMs: number;
  /** From when the endpoint has the whole request to the response head. */
  readonly tryMs: number;
  /** Without a byte to or from either side while a request or a tunnel is open. */
  readonly idleMs: number;
  /** From the 101, or the answer to Extended CONNECT, to the end of the tunnel. */
  readonly tunnelMs: number;
  /** From when an endpoint left to the end of the tunnels and connections of TCP that it still has. */
  readonly drainMs: number;
  /** A peer that does not answer the kernel for this long is gone; null is as the proxy has it for all. */
  readonly peerMs: number | null;
  /** A peer that takes nothing for this long, though bytes wait for it, is gone; null likewise. */
  readonly unacknowledgedMs: number | null;
}

export type BalanceAlgorithm =
  | 'least-request'
  | 'round-robin'
  | 'weighted'
  | 'peak-ewma'
  | 'consistent-hash';

/** What a hash or a rate-limit bucket is keyed by. */
export type RequestKey =
  | { readonly kind: 'source' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

export interface BalancePolicy {
  readonly algorithm: BalanceAlgorithm;
  /** Only for `consistent-hash`; a request without the header or cookie is balanced as by `least-request`. */
  readonly hashKey: RequestKey | null;
  /** Prefer endpoints on the caller's node, then in its zone. `require-node` takes those of its node and no others. */
  readonly locality: 'none' | 'prefer-node' | 'prefer-zone' | 'require-node';
  /** A near tier is left when its mean in-flight requests per endpoint exceed this many (spill-over). */
  readonly spillOverInFlight: number;
  /** A new endpoint's share grows over this time from a tenth to its whole weight; 0 is off. */
  readonly slowStartMs: number;
}

/** Session affinity by a cookie that the proxy sets. */
export interface AffinityPolicy {
  readonly cookie: string;
  /** `Max-Age` of the cookie in seconds; 0 makes a session cookie. */
  readonly maxAgeSeconds: number;
}

/** Session affinity by the source address: `sessionAffinity: ClientIP` of a Service. */
export interface SourceAffinityPolicy {
  /** A source that has been quiet for longer is balanced anew. */
  readonly timeoutMs: number;
}

/** Passive health: when an endpoint leaves the rotation and how it comes back. */
export interface EjectionPolicy {
  /** Failures in a row (connect failure, reset, timeout, 502/503/504, bad response); 0 is off. */
  readonly consecutiveFailures: number;
  /** Share of failed requests in 10 s, against `errorRateMinRequests`; 0 is off. */
  readonly errorRate: number;
  readonly errorRateMinRequests: number;
  /** First ejection; doubles with each one in a row up to `maxMs`. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** At most this share (0 to 1) of a backend is ejected at a time; beyond it all are used (panic threshold). */
  readonly maxEjectedRatio: number;
}

/** Active health: what each node asks the endpoints, and what it makes of their answers. */
export interface HealthCheckPolicy {
  readonly kind: 'http' | 'tcp' | 'grpc';
  /** HTTP: path and query. */
  readonly path: string;
  /** HTTP: what is good, each a status or a range: `204`, `200-399`. */
  readonly statuses: readonly string[];
  /** Host that is asked for; '' is `name.namespace` of the Service. */
  readonly host: string;
  /** gRPC: the service that the health service is asked about; '' is the server as a whole. */
  readonly grpcService: string;
  /** 0 is that of the endpoint. */
  readonly port: number;
  readonly intervalMs: number;
  /** From the dial to the end of the answer. */
  readonly timeoutMs: number;
  /** Checks in a row after which the endpoint counts as failing … */
  readonly failures: number;
  /** … and as well again. */
  readonly successes: number;
  /** What fails is ejected; else checks decide only when an endpoint comes back that failed requests. */
  readonly ejects: boolean;
}

/** Another Service that takes over. */
export interface FailoverPolicy {
  /** `namespace/name`. */
  readonly service: string;
  /** It takes over when a smaller share of the endpoints is usable, or none is. */
  readonly below: number;
  /** Time over which requests come back. */
  readonly returnMs: number;
}

/** Calls of gRPC-Web go on as gRPC. */
export interface GrpcWebPolicy {
  /** As browsers say them, `*` for all: pages of others may not call. Empty for nobody. */
  readonly origins: readonly string[];
}

/** Traefik's circuit breaker. */
export interface BreakerPolicy {
  /** The text as the user wrote it. */
  readonly text: string;
  readonly expression: Expression;
  readonly checkPeriodMs: number;
  /** How long it stays open before it recovers. */
  readonly openMs: number;
  /** How long the linear recovery from no to all traffic takes. */
  readonly recoveryMs: number;
}

/** Exact token bucket, shared by all threads of the node. */
export interface RateLimitPolicy {
  /** Tokens per period. */
  readonly average: number;
  readonly periodMs: number;
  /** Bucket size, at least 1. */
  readonly burst: number;
  /** One bucket for the Service, or one per caller (source address). */
  readonly per: 'service' | 'caller';
  /** Callers told apart at a time when `per` is `caller`. */
  readonly callersMax: number;
}

export interface LimitPolicy {
  /**
   * Connections to one endpoint from one node, over all its threads: in HTTP/1.1 those in use, one for each request in flight; in
   * HTTP/2 those that take requests.
   */
  readonly connectionsPerEndpoint: number;
  /** Requests in flight to one endpoint from one node, over all its threads and whatever connections they share; 0 is unlimited. */
  readonly requestsPerEndpoint: number;
  /** Requests in flight to one Service from one node; more get 503 at once. */
  readonly requestsInFlight: number;
  /** Connections of TCP from one source address to one Service on one node; 0 is unlimited. */
  readonly connectionsPerCaller: number;
  /** Idle connections kept per endpoint and thread. */
  readonly idleConnectionsPerEndpoint: number;
  /** An idle connection is closed after this time. */
  readonly idleConnectionMs: number;
  /** A connection that requests share takes no more of them after this time; 0 is without end. */
  readonly connectionAgeMs: number;
  /** Largest request body; 0 is unlimited. */
  readonly requestBodyBytes: number;
}

/** The PROXY protocol of HAProxy: who a connection is for, said in front of its bytes. */
export interface ProxyProtocolPolicy {
  /** To endpoints, of callers of TCP. */
  readonly send: 'none' | 'v1' | 'v2';
  /** From callers that are trusted sources: each of their connections begins with it. */
  readonly accept: boolean;
}

export interface Policies {
  readonly retry: RetryPolicy | null;
  readonly timeouts: TimeoutPolicy;
  readonly balance: BalancePolicy;
  readonly affinity: AffinityPolicy | null;
  /** Asked after `affinity`: a cookie tells callers behind one address apart. */
  readonly sourceAffinity: SourceAffinityPolicy | null;
  readonly ejection: EjectionPolicy;
  readonly healthCheck: HealthCheckPolicy | null;
  readonly failover: FailoverPolicy | null;
  readonly breaker: BreakerPolicy | null;
  readonly rateLimit: RateLimitPolicy | null;
  readonly limits: LimitPolicy;
  readonly grpcWeb: GrpcWebPolicy | null;
  readonly proxyProtocol: ProxyProtocolPolicy;
}

export type PolicyName = keyof Policies;
