/** What is counted of ports of UDP, beside what requests, connections and sessions have in common. */

import { DATAGRAM_DROPS, DATAGRAM_WAYS, SERVICE_OWN, SESSION_ENDS } from '../ledger/layout.ts';
import type { MetricShape } from './metric.ts';

export const UDP_METRICS: readonly MetricShape[] = [
  {
    name: 'maesh_udp_datagrams_total',
    labels: ['direction'],
    help: 'Datagrams received from callers, and answers sent to them; their bytes are in maesh_request_bytes_total and maesh_response_bytes_total.',
    reading: { kind: 'counted', cell: SERVICE_OWN.datagrams, names: DATAGRAM_WAYS },
  },
  {
    name: 'maesh_udp_dropped_datagrams_total',
    labels: ['reason'],
    help: 'Datagrams that were lost in the proxy, by reason (docs/tasks/udp.md).',
    reading: { kind: 'counted', cell: SERVICE_OWN.datagramsDropped, names: DATAGRAM_DROPS },
  },
  {
    name: 'maesh_udp_sessions_opened_total',
    help: 'Sessions of UDP that began.',
    reading: { kind: 'own', cell: SERVICE_OWN.sessionsOpened },
  },
  {
    name: 'maesh_udp_sessions',
    type: 'gauge',
    help: 'Sessions of UDP that go on.',
    reading: { kind: 'own', cell: SERVICE_OWN.sessionsActive },
  },
  {
    name: 'maesh_udp_sessions_ended_total',
    labels: ['reason'],
    help: 'Sessions of UDP that ended, by reason (docs/tasks/udp.md).',
    reading: { kind: 'counted', cell: SERVICE_OWN.sessionsEnded, names: SESSION_ENDS },
  },
];
