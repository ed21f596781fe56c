/** Every annotation there is: the one place from which they are read, checked, suggested and documented. */

import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../model/defaults.ts';
import { RETRY_CONDITIONS } from '../../model/policy.ts';
import { BREAKER_ROWS } from './breaker.ts';
import { CALLER_TLS_ROWS } from './caller-tls.ts';
import { ENDPOINT_TLS_ROWS, scheme, strictScheme } from './endpoint-tls.ts';
import { FAILOVER_ROWS } from './failover.ts';
import { GRPC_WEB_ROWS } from './grpc-web.ts';
import { HEALTH_CHECK_ROWS } from './health-check.ts';
import { PROXY_PROTOCOL_ROWS } from './proxy-protocol.ts';
import { cookieName, requestKey } from './request-key.ts';
import { ROUTES_ROWS } from './routes.ts';
import { type AnnotationRow, type AnnotationSection, plainRow, row } from './row.ts';
import { TIMEOUT_ROWS } from './timeouts.ts';
import {
  choice,
  duration,
  durationSeconds,
  flag,
  ipv4,
  listOf,
  orNone,
  ratio,
  size,
  wholeNumber,
} from './value.ts';

/** Prefixes in the order in which they win. */
export const LEGACY_PREFIXES = ['mesh.traefik.io/', 'maesh.containo.us/'] as const;

/** Values of `RateLimitPolicy` where only the average is given. */
export const DEFAULT_RATE = { periodMs: 1_000, per: 'service', callersMax: 10_000 } as const;

const DAY = 86_400_000;
const HOUR = 3_600_000;
const SECOND = 1_000;

const words = (text: string) => ({ words: text });

const MESH_ROWS: readonly AnnotationRow[] = [
  {
    ...plainRow('mesh', 'mesh', {
      type: choice('enabled', 'disabled'),
      default: 'enabled',
      text: 'Whether the Service, or every Service of the Namespace, is in the mesh. The Service overrides its Namespace. A label of this name works too; the annotation wins over the label.',
      example: 'disabled',
    }),
    on: ['Service', 'Namespace'],
    perPort: false,
  },
  {
    ...plainRow('weight', 'weight', {
      type: wholeNumber(0, 1_000),
      default: 100,
      text: 'Weight of this Pod among the endpoints of its Services. A Pod with 0 gets no traffic while another endpoint has more; if all have 0, they share equally. Weights apply across the cluster only with `locality: none`; otherwise each node prefers its own Pods.',
      example: '10',
    }),
    on: ['Pod'],
    perPort: false,
  },
  {
    ...plainRow('address', 'address', {
      type: listOf(ipv4, 'IPv4 addresses, separated by commas'),
      default: words('an address of `--pods`'),
      text: 'Address of a Pod, for manifests without a cluster (`maesh up`). In the Pod template of a workload, give one address for each of its Pods. A Pod with `status.podIP` needs none. Has no effect in a cluster.',
      example: '127.1.10.1,127.1.10.2',
    }),
    on: ['Pod'],
    perPort: false,
  },
];

const SERVICE_ROWS: readonly AnnotationRow[] = [
  plainRow('traffic-type', 'protocol', {
    type: choice('http', 'tcp', 'udp'),
    default: words('what the port says, else `--default-mode`'),
    text: 'Protocol of the TCP ports of the Service. UDP ports are always UDP.',
    example: 'tcp',
    legacy: true,
  }),
  plainRow('scheme', 'scheme', {
    type: scheme,
    default: words('what the port says, else http'),
    strict: strictScheme,
    text: 'What the proxy speaks to the endpoints: HTTP/1.1 (`http`), HTTP/2 (`h2c`), HTTP/1.1 over TLS (`https`) or HTTP/2 over TLS (`h2`). On a port that says HTTP/2 or gRPC, `https` is `h2`. A value that cannot be read is an error, and means `https`: what TLS was meant for does not leave without it.',
    example: 'h2c',
    legacy: true,
  }),
];

const RETRY_ROWS: readonly AnnotationRow[] = [
  row('retry-attempts', 'retry', 'attempts', {
    type: wholeNumber(1, 10),
    default: words(
      `no retries; ${DEFAULT_RETRY.attempts} once another \`retry-\` annotation is set`,
    ),
    text: 'Maximum number of tries, the first one included. 1 turns retries off.',
    example: '3',
    legacy: true,
    lifts: true,
  }),
  row('retry-on', 'retry', 'on', {
    type: listOf(
      choice(...RETRY_CONDITIONS),
      `some of ${RETRY_CONDITIONS.join(', ')}, separated by commas`,
    ),
    default: DEFAULT_RETRY.on,
    text: 'Conditions for a retry. `timeout` means that `timeout-try` expired. `status` means a status in `retry-statuses`. `cancelled`, `deadline-exceeded`, `internal`, `resource-exhausted` and `unavailable` are codes of gRPC ([gRPC](tasks/grpc.md#retries)).',
    example: 'connect-failure,reset,status',
  }),
  row('retry-statuses', 'retry', 'statuses', {
    type: listOf(wholeNumber(400, 599), 'statuses from 400 to 599, separated by commas'),
    default: DEFAULT_RETRY.statuses,
    text: 'Response statuses to retry. If `retry-on` is not set, this adds `status` to the conditions.',
    example: '502,503',
  }),
  row('retry-backoff', 'retry', 'backoffMs', {
    type: duration(0, 60 * SECOND),
    default: DEFAULT_RETRY.backoffMs,
    text: 'Maximum wait before the second try. It doubles with each try. The actual wait is random, from 0 to this value (full jitter).',
    example: '50ms',
  }),
  row('retry-backoff-max', 'retry', 'backoffMaxMs', {
    type: duration(0, 60 * SECOND),
    default: DEFAULT_RETRY.backoffMaxMs,
    text: 'Maximum wait before any try. If this is not set, a longer `retry-backoff` raises it.',
    example: '1s',
  }),
  row('retry-budget', 'retry', 'budgetRatio', {
    type: ratio,
    default: DEFAULT_RETRY.budgetRatio,
    text: 'Maximum ratio of retries to requests over the last 10 s.',
    example: '0.1',
  }),
  row('retry-budget-min', 'retry', 'budgetMinPerSecond', {
    type: wholeNumber(0, 100_000),
    default: DEFAULT_RETRY.budgetMinPerSecond,
    text: 'Retries per second that are allowed even beyond `retry-budget`.',
    example: '5',
  }),
  row('retry-body-bytes', 'retry', 'bodyBytes', {
    type: size(0, 16_777_216),
    default: DEFAULT_RETRY.bodyBytes,
    text: 'How much of a request body is buffered for a retry. A request with a longer body is not retried.',
    example: '256Ki',
  }),
  row('retry-non-idempotent', 'retry', 'nonIdempotent', {
    type: flag,
    default: DEFAULT_RETRY.nonIdempotent,
    text: 'Whether POST, PATCH and the like are retried after they were sent. Connect failures are always retried.',
    example: 'true',
  }),
];

const { balance, ejection, limits } = DEFAULT_POLICIES;

const BALANCE_ROWS: readonly AnnotationRow[] = [
  row('balance', 'balance', 'algorithm', {
    type: choice('least-request', 'round-robin', 'weighted', 'peak-ewma', 'consistent-hash'),
    default: balance.algorithm,
    text: 'Algorithm that chooses the endpoint of a request.',
    example: 'peak-ewma',
  }),
  row('hash-key', 'balance', 'hashKey', {
    type: requestKey,
    default: words('source'),
    text: 'Requests with the same value of this key go to the same endpoint (`consistent-hash`). Requests without that header or cookie are balanced by `least-request`.',
    example: 'header:x-user',
  }),
  row('locality', 'balance', 'locality', {
    type: choice('none', 'prefer-node', 'prefer-zone'),
    default: balance.locality,
    text: "Which endpoints are preferred. `prefer-node`: those on the caller's node, then those in its zone. `prefer-zone`: those in its zone. `none`: no preference.",
    example: 'prefer-zone',
  }),
  row('spill-over', 'balance', 'spillOverInFlight', {
    type: wholeNumber(1, 1_000_000),
    default: balance.spillOverInFlight,
    text: 'Traffic spills to farther endpoints when near ones average more in-flight requests than this.',
    example: '20',
  }),
  row('slow-start', 'balance', 'slowStartMs', {
    type: duration(0, HOUR),
    default: balance.slowStartMs,
    text: 'An endpoint that is new, or back, starts with a tenth of its share and reaches its full share after this time.',
    example: '30s',
  }),
];

const AFFINITY_ROWS: readonly AnnotationRow[] = [
  row('affinity-cookie', 'affinity', 'cookie', {
    type: cookieName,
    default: words('no affinity'),
    text: 'Name of a cookie. The proxy sets it to keep a session on its endpoint.',
    example: 'shop-session',
    lifts: true,
  }),
  row('affinity-max-age', 'affinity', 'maxAgeSeconds', {
    type: durationSeconds(0, 365 * DAY),
    default: 0,
    text: 'Lifetime of the cookie. 0: until the browser closes.',
    example: '1h',
  }),
];

const EJECTION_ROWS: readonly AnnotationRow[] = [
  row('eject-consecutive-failures', 'ejection', 'consecutiveFailures', {
    type: orNone(wholeNumber(0, 10_000), 0),
    default: ejection.consecutiveFailures,
    text: 'Number of consecutive failures that eject an endpoint: it gets no requests for a while. 0 is off. A response that is cut in its body is a failure. A whole response, or one that has lasted 5 s, resets the count.',
    example: '3',
  }),
  row('eject-error-rate', 'ejection', 'errorRate', {
    type: orNone(ratio, 0),
    default: ejection.errorRate,
    text: 'Error rate over 10 s that ejects an endpoint. 0 is off.',
    example: '0.5',
  }),
  row('eject-error-rate-min-requests', 'ejection', 'errorRateMinRequests', {
    type: wholeNumber(1, 1_000_000),
    default: ejection.errorRateMinRequests,
    text: 'Minimum number of requests in 10 s. With fewer, `eject-error-rate` ejects no endpoint.',
    example: '50',
  }),
  row('eject-base', 'ejection', 'baseMs', {
    type: duration(1, HOUR),
    default: ejection.baseMs,
    text: 'Duration of the first ejection. It doubles with each consecutive ejection.',
    example: '10s',
  }),
  row('eject-max', 'ejection', 'maxMs', {
    type: duration(1, DAY),
    default: ejection.maxMs,
    text: 'Maximum duration of an ejection. If this is not set, a longer `eject-base` raises it.',
    example: '2m',
  }),
  row('eject-max-ratio', 'ejection', 'maxEjectedRatio', {
    type: ratio,
    default: ejection.maxEjectedRatio,
    text: 'Maximum share of endpoints that may be ejected at a time; never all of them. Beyond it, no more are ejected.',
    example: '0.3',
  }),
];

const RATE_ROWS: readonly AnnotationRow[] = [
  row('ratelimit-average', 'rateLimit', 'average', {
    type: wholeNumber(1, 10_000_000),
    default: words('no rate limit'),
    text: 'Average number of requests allowed per period.',
    example: '100',
    legacy: true,
    lifts: true,
  }),
  row('ratelimit-burst', 'rateLimit', 'burst', {
    type: wholeNumber(1, 10_000_000),
    default: words('`ratelimit-average`'),
    text: 'Maximum number of requests at once after a quiet time.',
    example: '200',
    legacy: true,
  }),
  row('ratelimit-period', 'rateLimit', 'periodMs', {
    type: duration(1, HOUR),
    default: DEFAULT_RATE.periodMs,
    text: 'The period of `ratelimit-average`.',
    example: '1m',
  }),
  row('ratelimit-per', 'rateLimit', 'per', {
    type: choice('service', 'caller'),
    default: DEFAULT_RATE.per,
    text: '`service`: one limit for all callers together. `caller`: one limit for each source address. Each node counts on its own.',
    example: 'caller',
  }),
  row('ratelimit-callers', 'rateLimit', 'callersMax', {
    type: wholeNumber(8, 1_000_000),
    default: DEFAULT_RATE.callersMax,
    text: 'Maximum number of callers tracked at a time with `ratelimit-per: caller`.',
    example: '1000',
  }),
];

const LIMIT_ROWS: readonly AnnotationRow[] = [
  row('limit-connections-per-endpoint', 'limits', 'connectionsPerEndpoint', {
    type: wholeNumber(1, 1_000_000),
    default: limits.connectionsPerEndpoint,
    text: 'Maximum number of connections from one node to one endpoint. In TCP all count, in UDP sessions, and in HTTP/1.1 those in use, one for each in-flight request. In HTTP/2 those that take requests count, and each proxy thread may have at least one.',
    example: '100',
  }),
  row('limit-requests-per-endpoint', 'limits', 'requestsPerEndpoint', {
    type: orNone(wholeNumber(0, 10_000_000), 0),
    default: limits.requestsPerEndpoint,
    text: 'Maximum number of in-flight requests from one node to one endpoint, however many connections they share. 0 means no limit. In HTTP/1.1 the lower one of this and `limit-connections-per-endpoint` holds.',
    example: '50',
  }),
  row('limit-requests-in-flight', 'limits', 'requestsInFlight', {
    type: wholeNumber(1, 10_000_000),
    default: limits.requestsInFlight,
    text: 'Maximum number of in-flight requests from one node to the Service. Further requests get 503 at once. On TCP ports each connection counts, and further ones are reset. On UDP ports each session counts, and the most silent one makes room. Callers share it: who has more than an equal share makes room for others first.',
    example: '500',
  }),
  row('limit-connections-per-caller', 'limits', 'connectionsPerCaller', {
    type: orNone(wholeNumber(0, 1_000_000), 0),
    default: limits.connectionsPerCaller,
    text: 'Maximum number of connections from one source address to the TCP ports of the Service, on one node. Further ones are reset. 0 means no limit.',
    example: '20',
  }),
  row('limit-idle-connections', 'limits', 'idleConnectionsPerEndpoint', {
    type: wholeNumber(0, 100_000),
    default: limits.idleConnectionsPerEndpoint,
    text: 'Maximum number of idle connections per endpoint and thread.',
    example: '16',
  }),
  row('idle-connection-time', 'limits', 'idleConnectionMs', {
    type: duration(1, DAY),
    default: limits.idleConnectionMs,
    text: 'How long to keep an idle connection to an endpoint.',
    example: '20s',
  }),
  row('connection-age', 'limits', 'connectionAgeMs', {
    type: duration(0, DAY),
    default: limits.connectionAgeMs,
    text: 'How long a connection of HTTP/2 to an endpoint takes requests, or up to a tenth less. It closes after its last response. 0 means no limit.',
    example: '10m',
  }),
  row('limit-request-body', 'limits', 'requestBodyBytes', {
    type: orNone(size(0, 1_099_511_627_776), 0),
    default: limits.requestBodyBytes,
    text: 'Maximum size of a request body. A larger one gets 413. 0 is unlimited.',
    example: '10Mi',
  }),
];

export const SECTIONS: readonly AnnotationSection[] = [
  { title: 'Membership and weight', without: 'the default applies', rows: MESH_ROWS },
  { title: 'Protocol', without: 'the default applies', rows: SERVICE_ROWS },
  { title: 'Routes', without: 'all connections are reset', rows: ROUTES_ROWS },
  { title: 'TLS to endpoints', without: 'the default applies', rows: ENDPOINT_TLS_ROWS },
  { title: 'TLS from callers', without: 'the default applies', rows: CALLER_TLS_ROWS },
  { title: 'gRPC-Web', without: 'no page may call', rows: GRPC_WEB_ROWS },
  { title: 'Retries', without: 'the Service has no retries', rows: RETRY_ROWS },
  { title: 'Time limits', without: 'the Service has the default time limits', rows: TIMEOUT_ROWS },
  { title: 'Balancing', without: 'the default balancing applies', rows: BALANCE_ROWS },
  { title: 'Session affinity', without: 'the Service has no affinity', rows: AFFINITY_ROWS },
  { title: 'Passive health', without: 'the default ejection applies', rows: EJECTION_ROWS },
  {
    title: 'Active health checks',
    without: 'the Service has no active health checks',
    rows: HEALTH_CHECK_ROWS,
  },
  { title: 'Failover', without: 'the Service has no failover', rows: FAILOVER_ROWS },
  { title: 'Circuit breaker', without: 'the Service has no circuit breaker', rows: BREAKER_ROWS },
  { title: 'Rate limit', without: 'the Service has no rate limit', rows: RATE_ROWS },
  { title: 'Limits', without: 'the Service has the default limits', rows: LIMIT_ROWS },
  { title: 'PROXY protocol', without: 'the default applies', rows: PROXY_PROTOCOL_ROWS },
];

export const ROWS: ReadonlyMap<string, AnnotationRow> = new Map(
  SECTIONS.flatMap((section) => section.rows.map((each) => [each.name, each])),
);

const WITHOUT: ReadonlyMap<AnnotationRow, string> = new Map(
  SECTIONS.flatMap((section) => section.rows.map((each) => [each, section.without])),
);

/** What applies as long as a value of this row is bad. */
export function withoutIt(row: AnnotationRow): string {
  return WITHOUT.get(row) ?? 'the default applies';
}
