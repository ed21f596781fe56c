/** What is counted for each endpoint. */

import {
  ENDPOINT_BUCKETS,
  ENDPOINT_OWN,
  ENDPOINT_WORD,
  HANDSHAKE_RESULTS,
} from '../ledger/layout.ts';
import type { MetricShape } from './metric.ts';

export const ENDPOINT_METRICS: readonly MetricShape[] = [
  {
    name: 'maesh_endpoint_requests_total',
    labels: ['code_class'],
    help: 'Finished tries at this endpoint, by first digit of the status, of gRPC as for requests; "none" means no complete response, and the endpoint was to blame.',
    reading: { kind: 'classes', cell: ENDPOINT_OWN.requests },
  },
  {
    name: 'maesh_endpoint_request_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'Time from when the endpoint had the whole request to the head of its response: the latency that breakers and balancing use.',
    reading: {
      kind: 'histogram',
      cell: ENDPOINT_OWN.buckets,
      buckets: ENDPOINT_BUCKETS,
      subBits: 0,
      sumCell: ENDPOINT_OWN.latencySumMs,
    },
  },
  {
    name: 'maesh_endpoint_errors_total',
    labels: ['kind'],
    help: 'Tries that ended without a response: the connection failed or was reset, or the time limit passed.',
    reading: {
      kind: 'named',
      cell: ENDPOINT_OWN.connectFailures,
      names: ['connect', 'reset', 'timeout'],
    },
  },
  {
    name: 'maesh_endpoint_tls_handshakes_total',
    labels: ['result', 'version'],
    help: 'TLS handshakes with this endpoint, by result (full, resumed or failed) and version; only where the mesh speaks TLS with it.',
    reading: { kind: 'counted', cell: ENDPOINT_OWN.handshakes, names: HANDSHAKE_RESULTS },
  },
  {
    name: 'maesh_endpoint_failed_total',
    help: 'Tries that passive health counts as failed.',
    reading: { kind: 'own', cell: ENDPOINT_OWN.failed },
  },
  {
    name: 'maesh_endpoint_abandoned_total',
    help: 'Tries that ended early without the endpoint being to blame: the caller left or broke its request, or the proxy stopped.',
    reading: { kind: 'own', cell: ENDPOINT_OWN.abandoned },
  },
  {
    name: 'maesh_endpoint_ejections_total',
    help: 'Times that the endpoint was ejected, for failed requests or by its health checks.',
    reading: { kind: 'word', cell: ENDPOINT_WORD.ejections },
  },
  {
    name: 'maesh_endpoint_healthy',
    type: 'gauge',
    help: '1 while the endpoint is in the rotation, 0 while it is ejected.',
    reading: { kind: 'is-zero', cell: ENDPOINT_WORD.health },
  },
  {
    name: 'maesh_endpoint_requests_in_flight',
    type: 'gauge',
    help: 'Tries in flight.',
    reading: { kind: 'word', cell: ENDPOINT_WORD.inFlight },
  },
  {
    name: 'maesh_endpoint_connections_opened_total',
    help: 'Connections opened to the endpoint.',
    reading: { kind: 'own', cell: ENDPOINT_OWN.connectionsOpened },
  },
  {
    name: 'maesh_endpoint_connections',
    type: 'gauge',
    help: 'Open connections to the endpoint, busy or idle.',
    reading: { kind: 'word', cell: ENDPOINT_WORD.connections },
  },
];
