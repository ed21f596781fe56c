/** Every metric that maesh exports: name, meaning, labels, and the cell or figure that it is read from. */

import { CHECK_RESULTS } from '../../model/health-check.ts';
import {
  ENDPOINT_BUCKETS,
  HANDSHAKE_RESULTS,
  MIRROR_RESULTS,
  SERVICE_BUCKETS,
  SERVICE_OWN,
  SERVICE_WORD,
} from '../ledger/layout.ts';
import { SCARCE, STANDINGS } from '../net/caller-room.ts';
import { CERTIFICATE_METRICS } from './certificate-metrics.ts';
import { ENDPOINT_METRICS } from './endpoint-metrics.ts';
import { METHOD_METRICS } from './method-metrics.ts';
import type { Metric, MetricShape, Reading, Sample } from './metric.ts';
import type { MetricsSource } from './metrics-source.ts';
import { UDP_METRICS } from './udp-metrics.ts';

/** Values of `code_class`, in the order of the counters: `none` is a request that ended without a response. */
export const CODE_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

const BREAKER_STATES = ['closed', 'open', 'recovering'] as const;

function metric(scope: Metric['scope'], shape: MetricShape): Metric {
  return { type: 'counter', unit: '', labels: [], scope, ...shape };
}

const SERVICE_METRICS: readonly MetricShape[] = [
  {
    name: 'maesh_requests_total',
    labels: ['code_class'],
    help: 'Finished requests, by first digit of the status; "none" means no complete response; requests that the caller itself broke are "4xx". A call of gRPC counts as the HTTP status of its code (docs/tasks/grpc.md). A connection of TCP counts once an endpoint has accepted it, as "1xx", or when it is refused, as HTTP would answer it. A session of UDP counts when it begins, as "1xx"; a datagram that gets no endpoint counts as HTTP would answer it.',
    reading: { kind: 'classes', cell: SERVICE_OWN.requests },
  },
  {
    name: 'maesh_request_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the end of the request head to the end of the response, including retries and the time that the caller takes to send and to read; only requests that were sent to an endpoint. Of a connection of TCP the time until an endpoint accepted it, of a session of UDP the time until its first answer.',
    reading: {
      kind: 'histogram',
      cell: SERVICE_OWN.buckets,
      buckets: SERVICE_BUCKETS,
      subBits: 2,
      sumCell: SERVICE_OWN.latencySumMs,
    },
  },
  {
    name: 'maesh_failures_total',
    labels: ['reason'],
    help: 'Requests that the proxy itself ended, by reason (docs/errors.md); "rate_limited" and "route_rate_limited" count rate-limited requests.',
    reading: { kind: 'failures', cell: SERVICE_OWN.failures },
  },
  {
    name: 'maesh_mirrored_requests_total',
    labels: ['result'],
    help: 'Copies of requests to the Service for the mirrors of its routes, sent or not, by result (docs/decisions/routes.md).',
    reading: { kind: 'counted', cell: SERVICE_OWN.mirrored, names: MIRROR_RESULTS },
  },
  {
    name: 'maesh_health_checks_total',
    labels: ['result'],
    help: 'Active health checks of endpoints of the Service, by result (docs/tasks/health-checks.md); they are in no other figure.',
    reading: { kind: 'counted', cell: SERVICE_OWN.checks, names: CHECK_RESULTS },
  },
  {
    name: 'maesh_failed_over_requests_total',
    help: 'Requests for the Service that the Service of its failover took (docs/tasks/failover.md).',
    reading: { kind: 'own', cell: SERVICE_OWN.failedOver },
  },
  {
    name: 'maesh_redirects_total',
    help: 'Requests that a route redirected; no endpoint was asked.',
    reading: { kind: 'own', cell: SERVICE_OWN.redirects },
  },
  {
    name: 'maesh_retries_total',
    help: 'Tries after the first one.',
    reading: { kind: 'own', cell: SERVICE_OWN.retries },
  },
  {
    name: 'maesh_retries_denied_total',
    help: 'Retries that the retry budget prevented.',
    reading: { kind: 'own', cell: SERVICE_OWN.retriesDenied },
  },
  {
    name: 'maesh_requests_in_flight',
    type: 'gauge',
    help: 'Requests in flight, connections of TCP and sessions of UDP.',
    reading: { kind: 'word', cell: SERVICE_WORD.inFlight },
  },
  {
    name: 'maesh_breaker_state',
    type: 'gauge',
    labels: ['state'],
    help: 'State of the circuit breaker: 1 for the current state, 0 for the others; only Services with a breaker.',
    reading: { kind: 'state', cell: SERVICE_WORD.breakerState, names: BREAKER_STATES },
  },
  {
    name: 'maesh_request_bytes_total',
    unit: 'bytes',
    help: 'Bytes of request bodies, tunnels, connections of TCP and datagrams received from callers.',
    reading: { kind: 'own', cell: SERVICE_OWN.requestBytes },
  },
  {
    name: 'maesh_response_bytes_total',
    unit: 'bytes',
    help: 'Bytes of response bodies, tunnels, connections of TCP and datagrams sent to callers.',
    reading: { kind: 'own', cell: SERVICE_OWN.responseBytes },
  },
  {
    name: 'maesh_caller_connections_opened_total',
    help: 'Connections accepted from callers.',
    reading: { kind: 'own', cell: SERVICE_OWN.callerConnectionsOpened },
  },
  {
    name: 'maesh_caller_connections',
    type: 'gauge',
    help: 'Open connections from callers.',
    reading: { kind: 'own', cell: SERVICE_OWN.callerConnectionsActive },
  },
  {
    name: 'maesh_tls_handshakes_total',
    labels: ['result', 'version'],
    help: 'TLS handshakes with callers, by result (full, resumed, failed or timed_out) and version; only Services with a certificate (docs/tasks/tls.md).',
    reading: { kind: 'counted', cell: SERVICE_OWN.handshakes, names: HANDSHAKE_RESULTS },
  },
  {
    name: 'maesh_tls_handshake_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from the first byte of a caller to the end of its TLS handshake; only handshakes that succeeded.',
    reading: {
      kind: 'histogram',
      cell: SERVICE_OWN.handshakeBuckets,
      buckets: ENDPOINT_BUCKETS,
      subBits: 0,
      sumCell: SERVICE_OWN.handshakeSumMs,
    },
  },
  {
    name: 'maesh_upgrades',
    type: 'gauge',
    help: 'Open upgraded connections (WebSocket and the like).',
    reading: { kind: 'own', cell: SERVICE_OWN.upgradesActive },
  },
  ...UDP_METRICS,
];

type Read = (source: MetricsSource) => Iterable<Sample>;

const figure = (read: Read): Reading => ({ kind: 'figure', read });
const one = (read: (source: MetricsSource) => number): Reading =>
  figure((source) => [{ labels: [], value: read(source) }]);

const PROCESS_METRICS: readonly MetricShape[] = [
  {
    name: 'maesh_build_info',
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'Always 1; the labels name the version of maesh and of Node.',
    reading: figure((source) => [
      { labels: [source.build().version, source.build().node], value: 1 },
    ]),
  },
  {
    name: 'maesh_config_version',
    type: 'gauge',
    help: 'Version of the configuration that all threads run.',
    reading: one((source) => source.configVersion()),
  },
  {
    name: 'maesh_config_problems',
    type: 'gauge',
    labels: ['severity'],
    help: 'Problems in the configuration (/api/problems).',
    reading: figure((source) => {
      const problems = source.problems();
      const errors = problems.filter((problem) => problem.severity === 'error').length;
      return [
        { labels: ['error'], value: errors },
        { labels: ['warning'], value: problems.length - errors },
      ];
    }),
  },
  {
    name: 'maesh_identities',
    type: 'gauge',
    labels: ['state'],
    help: 'Source addresses that identify a Pod: `certain`, or in `doubt`; for access rules a caller in doubt is anonymous.',
    reading: figure((source) => source.identities()),
  },
  {
    name: 'maesh_identities_age_seconds',
    type: 'gauge',
    help: 'Time since a controller that receives Pod changes last confirmed the identities of callers; from `--identity-max-age` on, access rules treat all callers as anonymous.',
    reading: one((source) => source.identityAgeSeconds()),
  },
  {
    name: 'maesh_proxy_threads',
    type: 'gauge',
    help: 'Proxy threads that are alive.',
    reading: one((source) => source.threads().alive),
  },
  {
    name: 'maesh_proxy_thread_restarts_total',
    help: 'Proxy threads that died and were replaced.',
    reading: one((source) => source.threads().restarts),
  },
  {
    name: 'maesh_defects_total',
    labels: ['part'],
    help: 'Bugs in maesh that cost one datagram, one connection or the restart of a part; the log has the stack of each.',
    reading: figure(function* (source) {
      for (const [part, count] of source.defects()) yield { labels: [part], value: count };
    }),
  },
  {
    name: 'maesh_listeners',
    type: 'gauge',
    help: 'Service ports that are open.',
    reading: one((source) => source.listeners()),
  },
  {
    name: 'maesh_listen_failures',
    type: 'gauge',
    labels: ['service'],
    help: 'Ports of a Service that cannot be opened now (/api/problems says why); only Services with such ports.',
    reading: figure(function* (source) {
      const counts = new Map<string, number>();
      for (const { service } of source.listenFailures()) {
        counts.set(service, (counts.get(service) ?? 0) + 1);
      }
      for (const [service, count] of counts) yield { labels: [service], value: count };
    }),
  },
  {
    name: 'maesh_dns_queries_total',
    labels: ['type', 'rcode'],
    help: 'Answered DNS queries by type and response code.',
    reading: figure(function* (source) {
      for (const { type, rcode, count } of source.dnsQueries()) {
        yield { labels: [type, rcode], value: count };
      }
    }),
  },
  {
    name: 'maesh_access_log_lines_total',
    labels: ['outcome'],
    help: 'Access log lines that were written, dropped because the disk was slow or full, or left out because there were too many about refused datagrams.',
    reading: figure((source) => {
      const { written, dropped, leftOut } = source.accessLog();
      return [
        { labels: ['dropped'], value: dropped },
        { labels: ['left_out'], value: leftOut },
        { labels: ['written'], value: written },
      ];
    }),
  },
  {
    name: 'maesh_caller_connections_shed_total',
    labels: ['scarce', 'what'],
    help: 'Caller connections that were refused or closed because connections, memory or file descriptors ran short; "what" is what they were doing.',
    reading: figure(function* (source) {
      const { shed } = source.callers();
      for (const [row, scarce] of SCARCE.entries()) {
        for (const [column, what] of STANDINGS.entries()) {
          yield { labels: [scarce, what], value: shed[row * STANDINGS.length + column] ?? 0 };
        }
      }
    }),
  },
  {
    name: 'maesh_broken_rules_total',
    labels: ['by', 'rule'],
    help: 'Messages that broke a rule of HTTP, by sender (caller or endpoint) and rule; only rules that were broken.',
    reading: figure(function* (source) {
      for (const { by, rule, count } of source.brokenRules())
        yield { labels: [by, rule], value: count };
    }),
  },
  {
    name: 'maesh_caller_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory used for callers: connections, incomplete heads, stored bodies, and data that slow readers have not taken.',
    reading: one((source) => source.callers().bytes),
  },
  {
    name: 'maesh_event_loop_delay_seconds',
    type: 'gauge',
    unit: 'seconds',
    labels: ['thread', 'stat'],
    help: 'Delay of timers since the last report of the thread; "stat" is p50, p99 or max.',
    reading: figure(function* (source) {
      for (const { thread, p50Ms, p99Ms, maxMs } of source.eventLoops()) {
        yield { labels: [thread, 'p50'], value: p50Ms / 1000 };
        yield { labels: [thread, 'p99'], value: p99Ms / 1000 };
        yield { labels: [thread, 'max'], value: maxMs / 1000 };
      }
    }),
  },
  {
    name: 'maesh_sockets_info',
    type: 'gauge',
    labels: ['thread', 'kind'],
    help: 'Always 1; "kind" is who makes the system calls for the connections of the thread: system or runtime (--sockets).',
    reading: figure(function* (source) {
      for (const { thread, kind } of source.sockets()) yield { labels: [thread, kind], value: 1 };
    }),
  },
  {
    name: 'maesh_spliced_bytes_total',
    unit: 'bytes',
    help: 'Bytes of bodies and tunnels that were passed on inside the kernel, without being copied (--splice-from).',
    reading: one((source) => source.splicedBytes()),
  },
  {
    name: 'maesh_heap_used_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'JavaScript heap used by the main thread.',
    reading: one((source) => source.process().heapUsedBytes),
  },
  {
    name: 'maesh_external_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory outside the JavaScript heap: buffers and memory shared by the threads.',
    reading: one((source) => source.process().externalBytes),
  },
  {
    name: 'maesh_metrics_omitted',
    type: 'gauge',
    labels: ['scope'],
    help: 'Services and endpoints with traffic whose series are left out because a limit was reached.',
    reading: { kind: 'omitted' },
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    unit: 'bytes',
    help: 'Memory of the whole process, all threads.',
    reading: one((source) => source.process().residentBytes),
  },
  {
    name: 'process_cpu_seconds_total',
    unit: 'seconds',
    help: 'User and system time of the whole process, all threads.',
    reading: one((source) => source.process().cpuSeconds),
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    unit: 'seconds',
    help: 'Unix time at which the process started.',
    reading: one((source) => source.process().startTimeSeconds),
  },
];

/** Sorted by name. */
export const METRICS: readonly Metric[] = [
  ...SERVICE_METRICS.map((shape) => metric('service', shape)),
  ...ENDPOINT_METRICS.map((shape) => metric('endpoint', shape)),
  ...METHOD_METRICS,
  ...[...PROCESS_METRICS, ...CERTIFICATE_METRICS].map((shape) => metric('process', shape)),
].sort((a, b) => (a.name < b.name ? -1 : 1));
