/** Every annotation there is: the one place from which they are read, checked, suggested and documented. */

import { DEFAULT_POLICIES, DEFAULT_RETRY } from '../../model/defaults.ts';
import { breakerExpression, cookieName, requestKey } from './request-key.ts';
import { type AnnotationRow, plainRow, row } from './row.ts';
import {
  choice,
  duration,
  durationSeconds,
  flag,
  ipv4,
  listOf,
  ratio,
  size,
  wholeNumber,
} from './value.ts';

/** Prefixes in the order in which they win. */
export const PREFIX = 'maesh.dev/';
export const LEGACY_PREFIXES = ['mesh.traefik.io/', 'maesh.containo.us/'] as const;

/** Values of `BreakerPolicy` where only the expression is given; Traefik's own. */
export const DEFAULT_BREAKER = { checkPeriodMs: 100, openMs: 10_000, recoveryMs: 10_000 } as const;
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
      text: 'Whether the Service, or every Service of the Namespace, is part of the mesh. A Service may say otherwise than its Namespace. May be a label too; the annotation wins.',
      example: 'disabled',
    }),
    on: ['Service', 'Namespace'],
  },
  {
    ...plainRow('weight', 'weight', {
      type: wholeNumber(0, 1_000),
      default: 100,
      text: 'Share of traffic that this Pod takes against the other endpoints of its Services; 0 takes none as long as another one has more; when all have 0, they share equally. Each node shares among its own Pods first, unless `locality` is `none`.',
      example: '10',
    }),
    on: ['Pod'],
  },
  {
    ...plainRow('address', 'address', {
      type: listOf(ipv4, 'IPv4 addresses with commas between'),
      default: words('an address of `--pods`'),
      text: 'Where a Pod is, for manifests without a cluster (`maesh up`). In the Pod template of a workload: one address for each of its Pods. A Pod with `status.podIP` needs none. Without effect in a cluster.',
      example: '127.1.10.1,127.1.10.2',
    }),
    on: ['Pod'],
  },
];

const SERVICE_ROWS: readonly AnnotationRow[] = [
  plainRow('traffic-type', 'protocol', {
    type: choice('http', 'tcp', 'udp'),
    default: words('`--default-mode`'),
    text: 'How the TCP ports of the Service are carried. UDP ports are always carried as UDP.',
    example: 'tcp',
    legacy: true,
  }),
  plainRow('scheme', 'scheme', {
    type: choice('http', 'h2c', 'https'),
    default: words('by `appProtocol` of the port, else http'),
    text: 'What the proxy speaks to the endpoints.',
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
    text: 'Tries in all, the first one included; 1 never retries.',
    example: '3',
    legacy: true,
  }),
  row('retry-on', 'retry', 'on', {
    type: listOf(
      choice('connect-failure', 'reset', 'timeout', 'status'),
      'some of connect-failure, reset, timeout, status with commas between',
    ),
    default: DEFAULT_RETRY.on,
    text: 'What is worth another try. `timeout` is that of one try; `status` is one of `retry-statuses`.',
    example: 'connect-failure,reset,status',
  }),
  row('retry-statuses', 'retry', 'statuses', {
    type: listOf(wholeNumber(400, 599), 'statuses from 400 to 599 with commas between'),
    default: DEFAULT_RETRY.statuses,
    text: 'Response statuses worth another try. Without `retry-on` it adds `status` to the conditions.',
    example: '502,503',
  }),
  row('retry-backoff', 'retry', 'backoffMs', {
    type: duration(0, 60 * SECOND),
    default: DEFAULT_RETRY.backoffMs,
    text: 'Longest wait before the second try; doubles with each try, with full jitter.',
    example: '50ms',
  }),
  row('retry-backoff-max', 'retry', 'backoffMaxMs', {
    type: duration(0, 60 * SECOND),
    default: DEFAULT_RETRY.backoffMaxMs,
    text: 'Longest wait before any try. A longer `retry-backoff` raises it when it is not set.',
    example: '1s',
  }),
  row('retry-budget', 'retry', 'budgetRatio', {
    type: ratio,
    default: DEFAULT_RETRY.budgetRatio,
    text: 'Retries may be at most this share of the requests of the last 10 s.',
    example: '0.1',
  }),
  row('retry-budget-min', 'retry', 'budgetMinPerSecond', {
    type: wholeNumber(0, 100_000),
    default: DEFAULT_RETRY.budgetMinPerSecond,
    text: 'Retries a second that are allowed whatever the share is.',
    example: '5',
  }),
  row('retry-body-bytes', 'retry', 'bodyBytes', {
    type: size(0, 16_777_216),
    default: DEFAULT_RETRY.bodyBytes,
    text: 'Request body kept for another try; a request with a longer one is not retried.',
    example: '256Ki',
  }),
  row('retry-non-idempotent', 'retry', 'nonIdempotent', {
    type: flag,
    default: DEFAULT_RETRY.nonIdempotent,
    text: 'Whether POST, PATCH and the like are retried once they were sent. Connect failures are always retried.',
    example: 'true',
  }),
];

const { timeouts, balance, ejection, limits } = DEFAULT_POLICIES;

const TIMEOUT_ROWS: readonly AnnotationRow[] = [
  row('timeout-connect', 'timeouts', 'connectMs', {
    type: duration(0, HOUR),
    default: timeouts.connectMs,
    text: 'Connecting to an endpoint.',
    example: '500ms',
  }),
  row('timeout-request', 'timeouts', 'requestMs', {
    type: duration(0, DAY),
    default: timeouts.requestMs,
    text: 'From the end of the request head to the end of the response, retries included.',
    example: '30s',
  }),
  row('timeout-try', 'timeouts', 'tryMs', {
    type: duration(0, DAY),
    default: timeouts.tryMs,
    text: 'From the end of the request, when the endpoint has all of it, to the head of the response. Of each try.',
    example: '2s',
  }),
  row('timeout-idle', 'timeouts', 'idleMs', {
    type: duration(0, DAY),
    default: timeouts.idleMs,
    text: 'Without a byte to or from either side while a request or a tunnel is open. A reader that is slow and steady is not idle.',
    example: '1m30s',
  }),
];

const BALANCE_ROWS: readonly AnnotationRow[] = [
  row('balance', 'balance', 'algorithm', {
    type: choice('least-request', 'round-robin', 'weighted', 'peak-ewma', 'consistent-hash'),
    default: balance.algorithm,
    text: 'How an endpoint is chosen for a request.',
    example: 'peak-ewma',
  }),
  row('hash-key', 'balance', 'hashKey', {
    type: requestKey,
    default: words('source'),
    text: 'What `consistent-hash` keeps on one endpoint. Requests without that header or cookie are balanced by `least-request`.',
    example: 'header:x-user',
  }),
  row('locality', 'balance', 'locality', {
    type: choice('none', 'prefer-node', 'prefer-zone'),
    default: balance.locality,
    text: "Which endpoints are preferred: those of the caller's node, then of its zone; of its zone only; or none.",
    example: 'prefer-zone',
  }),
  row('spill-over', 'balance', 'spillOverInFlight', {
    type: wholeNumber(1, 1_000_000),
    default: balance.spillOverInFlight,
    text: 'Near endpoints are left when they have more requests in flight than this, in the mean.',
    example: '20',
  }),
  row('slow-start', 'balance', 'slowStartMs', {
    type: duration(0, HOUR),
    default: balance.slowStartMs,
    text: 'A new endpoint takes a tenth of its share at first and all of it after this time.',
    example: '30s',
  }),
];

const AFFINITY_ROWS: readonly AnnotationRow[] = [
  row('affinity-cookie', 'affinity', 'cookie', {
    type: cookieName,
    default: words('no affinity'),
    text: 'Name of a cookie that the proxy sets to keep a session on its endpoint.',
    example: 'shop-session',
  }),
  row('affinity-max-age', 'affinity', 'maxAgeSeconds', {
    type: durationSeconds(0, 365 * DAY),
    default: 0,
    text: 'How long the cookie lasts; 0 until the browser closes.',
    example: '1h',
  }),
];

const EJECTION_ROWS: readonly AnnotationRow[] = [
  row('eject-consecutive-failures', 'ejection', 'consecutiveFailures', {
    type: wholeNumber(0, 10_000),
    default: ejection.consecutiveFailures,
    text: 'Failures in a row after which an endpoint gets no requests for a while; 0 is off. A response that is cut in its body is a failure. The row ends with a whole response, or with one that has lasted 5 s.',
    example: '3',
  }),
  row('eject-error-rate', 'ejection', 'errorRate', {
    type: ratio,
    default: ejection.errorRate,
    text: 'Share of failed requests in 10 s after which an endpoint gets none for a while; 0 is off.',
    example: '0.5',
  }),
  row('eject-error-rate-min-requests', 'ejection', 'errorRateMinRequests', {
    type: wholeNumber(1, 1_000_000),
    default: ejection.errorRateMinRequests,
    text: 'Fewer requests in 10 s than this say nothing about the error rate.',
    example: '50',
  }),
  row('eject-base', 'ejection', 'baseMs', {
    type: duration(1, HOUR),
    default: ejection.baseMs,
    text: 'How long the first ejection lasts; doubles with each one in a row.',
    example: '10s',
  }),
  row('eject-max', 'ejection', 'maxMs', {
    type: duration(1, DAY),
    default: ejection.maxMs,
    text: 'How long an ejection lasts at most. A longer `eject-base` raises it when it is not set.',
    example: '2m',
  }),
  row('eject-max-ratio', 'ejection', 'maxEjectedRatio', {
    type: ratio,
    default: ejection.maxEjectedRatio,
    text: 'When more than this share would be ejected, all endpoints are used again.',
    example: '0.3',
  }),
];

const BREAKER_ROWS: readonly AnnotationRow[] = [
  row('circuit-breaker-expression', 'breaker', 'text', {
    type: breakerExpression,
    default: words('no circuit breaker'),
    text: "When the circuit breaker opens, in Traefik's language.",
    example: 'NetworkErrorRatio() > 0.3 || LatencyAtQuantileMS(50) > 500',
    legacy: true,
  }),
  row('breaker-check-period', 'breaker', 'checkPeriodMs', {
    type: duration(10, HOUR),
    default: DEFAULT_BREAKER.checkPeriodMs,
    text: 'How often the expression is looked at.',
    example: '1s',
  }),
  row('breaker-open', 'breaker', 'openMs', {
    type: duration(1, HOUR),
    default: DEFAULT_BREAKER.openMs,
    text: 'How long it stays open before it recovers.',
    example: '30s',
  }),
  row('breaker-recovery', 'breaker', 'recoveryMs', {
    type: duration(1, HOUR),
    default: DEFAULT_BREAKER.recoveryMs,
    text: 'How long it takes from no to all requests while it recovers.',
    example: '5s',
  }),
];

const RATE_ROWS: readonly AnnotationRow[] = [
  row('ratelimit-average', 'rateLimit', 'average', {
    type: wholeNumber(1, 10_000_000),
    default: words('no rate limit'),
    text: 'Requests per period in the long run.',
    example: '100',
    legacy: true,
  }),
  row('ratelimit-burst', 'rateLimit', 'burst', {
    type: wholeNumber(1, 10_000_000),
    default: words('`ratelimit-average`'),
    text: 'Requests that may come at once after a quiet time.',
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
    text: 'One limit for all callers together, or one for each (by source address). It counts per node.',
    example: 'caller',
  }),
  row('ratelimit-callers', 'rateLimit', 'callersMax', {
    type: wholeNumber(8, 1_000_000),
    default: DEFAULT_RATE.callersMax,
    text: 'Callers told apart at a time with `ratelimit-per: caller`.',
    example: '1000',
  }),
];

const LIMIT_ROWS: readonly AnnotationRow[] = [
  row('limit-connections-per-endpoint', 'limits', 'connectionsPerEndpoint', {
    type: wholeNumber(1, 1_000_000),
    default: limits.connectionsPerEndpoint,
    text: 'Connections from one node to one endpoint.',
    example: '100',
  }),
  row('limit-requests-in-flight', 'limits', 'requestsInFlight', {
    type: wholeNumber(1, 10_000_000),
    default: limits.requestsInFlight,
    text: 'Requests in flight from one node to the Service; more get 503 at once.',
    example: '500',
  }),
  row('limit-idle-connections', 'limits', 'idleConnectionsPerEndpoint', {
    type: wholeNumber(0, 100_000),
    default: limits.idleConnectionsPerEndpoint,
    text: 'Idle connections kept per endpoint and thread.',
    example: '16',
  }),
  row('idle-connection-time', 'limits', 'idleConnectionMs', {
    type: duration(1, DAY),
    default: limits.idleConnectionMs,
    text: 'How long an idle connection to an endpoint is kept.',
    example: '20s',
  }),
  row('limit-request-body', 'limits', 'requestBodyBytes', {
    type: size(0, 1_099_511_627_776),
    default: limits.requestBodyBytes,
    text: 'Largest request body; a larger one gets 413. 0 is unlimited.',
    example: '10Mi',
  }),
];

export interface AnnotationSection {
  readonly title: string;
  /** What a bad value in this section costs, to follow "until then". */
  readonly without: string;
  readonly rows: readonly AnnotationRow[];
}

export const SECTIONS: readonly AnnotationSection[] = [
  { title: 'Membership and weight', without: 'the default holds', rows: MESH_ROWS },
  { title: 'Protocol', without: 'the default holds', rows: SERVICE_ROWS },
  { title: 'Retries', without: 'the Service has no retries', rows: RETRY_ROWS },
  { title: 'Time limits', without: 'the Service has the default time limits', rows: TIMEOUT_ROWS },
  { title: 'Balancing', without: 'the Service is balanced by default', rows: BALANCE_ROWS },
  { title: 'Session affinity', without: 'the Service has no affinity', rows: AFFINITY_ROWS },
  { title: 'Passive health', without: 'endpoints are ejected by default', rows: EJECTION_ROWS },
  { title: 'Circuit breaker', without: 'the Service has no circuit breaker', rows: BREAKER_ROWS },
  { title: 'Rate limit', without: 'the Service has no rate limit', rows: RATE_ROWS },
  { title: 'Limits', without: 'the Service has the default limits', rows: LIMIT_ROWS },
];

export const ROWS: ReadonlyMap<string, AnnotationRow> = new Map(
  SECTIONS.flatMap((section) => section.rows.map((each) => [each.name, each])),
);

const WITHOUT: ReadonlyMap<AnnotationRow, string> = new Map(
  SECTIONS.flatMap((section) => section.rows.map((each) => [each, section.without])),
);

/** What holds as long as a value of this row is bad. */
export function withoutIt(row: AnnotationRow): string {
  return WITHOUT.get(row) ?? 'the default holds';
}
