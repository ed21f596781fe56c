/** Limits of the section "UDP" of docs/limits-full.md. */

import type { LimitSection } from './limit-section.ts';

export const UDP_LIMITS: LimitSection = {
  title: 'UDP',
  intro:
    'How many [sessions](tasks/udp.md) there may be, the Service says. All of a node have [half of what callers may hold](limits.md#what-callers-may-hold).',
  rows: [
    [
      'Time without a datagram of a session whose Service says nothing of it',
      'It is over; the next datagram begins another one',
      'model/stream-limits.ts SESSION_IDLE_MS',
    ],
    [
      'Time for which a session that waits for an answer is not given up for another one; of those without any answer the older half',
      'It may be given up',
      'proxy/udp/session.ts WAIT_MS',
    ],
    [
      'Time without a datagram of a session whose port closes',
      'It is over',
      'proxy/udp/session.ts LEAVING_IDLE_MS',
    ],
    [
      'Time of such a session in all, unless the proxy ends',
      'It is over',
      'proxy/udp/listener.ts LEAVING_MS',
    ],
    [
      'Lines of the access log about refused datagrams, per port, thread and second',
      'They are left out and counted in `maesh_access_log_lines_total{outcome="left_out"}`',
      'proxy/udp/listener.ts REFUSED_LINES_MAX',
    ],
    [
      'Sessions that are looked at to find one that can be given up',
      'One that nobody has answered yet is given up, or the new one is refused (`overloaded`)',
      'proxy/udp/session-room.ts LOOKS_MAX',
    ],
    [
      'Endpoints at their limit that are looked at for a session that can be given up',
      'The new session is refused (`no_healthy_endpoint`)',
      'proxy/udp/session.ts ENDPOINT_LOOKS_MAX',
    ],
  ],
};
