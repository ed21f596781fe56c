/** The annotations of time limits. */

import { DEFAULT_POLICIES } from '../../model/defaults.ts';
import { type AnnotationRow, row } from './row.ts';
import { duration } from './value.ts';

const { timeouts } = DEFAULT_POLICIES;
const DAY = 86_400_000;
const HOUR = 3_600_000;

const words = (text: string) => ({ words: text });

export const TIMEOUT_ROWS: readonly AnnotationRow[] = [
  row('timeout-connect', 'timeouts', 'connectMs', {
    type: duration(0, HOUR),
    default: timeouts.connectMs,
    text: 'Maximum time to connect to an endpoint.',
    example: '500ms',
  }),
  row('timeout-request', 'timeouts', 'requestMs', {
    type: duration(0, DAY),
    default: timeouts.requestMs,
    text: 'Maximum time from the end of the request head to the end of the response, retries included.',
    example: '30s',
  }),
  row('timeout-try', 'timeouts', 'tryMs', {
    type: duration(0, DAY),
    default: timeouts.tryMs,
    text: 'Maximum time of each try, from the end of the request (the endpoint has all of it) to the head of the response.',
    example: '2s',
  }),
  row('timeout-idle', 'timeouts', 'idleMs', {
    type: duration(0, DAY),
    default: timeouts.idleMs,
    text: 'Maximum time without a byte to or from either side while a request, a tunnel, a connection of a TCP port or a session of a UDP port is open. A slow but steady reader is not idle. The default for TCP ports is `24h`, for UDP ports `1m`.',
    example: '1m30s',
  }),
  row('timeout-tunnel', 'timeouts', 'tunnelMs', {
    type: duration(0, DAY),
    default: timeouts.tunnelMs,
    text: 'Maximum time that a WebSocket, another tunnel, a connection of a TCP port or a session of a UDP port stays open. A WebSocket is closed with 1001, the others are cut.',
    example: '1h',
  }),
  row('timeout-drain', 'timeouts', 'drainMs', {
    type: duration(0, DAY),
    default: timeouts.drainMs,
    text: 'How long connections of TCP ports, WebSockets and other tunnels may go on with an endpoint that is no longer one. Then a WebSocket is closed with 1001, the others are cut. 0: until one side ends them.',
    example: '10m',
  }),
  row('timeout-peer', 'timeouts', 'peerMs', {
    type: duration(0, 2 * HOUR),
    default: words('`--peer-timeout`'),
    text: 'A peer of a TCP port, caller or endpoint, that vanished without closing (its node lost power) is noticed after this time (TCP keep-alive), in whole seconds. `0s` turns this off.',
    example: '30s',
  }),
  row('timeout-unacknowledged', 'timeouts', 'unacknowledgedMs', {
    type: duration(0, HOUR),
    default: words('`--unacknowledged-timeout`'),
    text: 'A connection of a TCP port is closed when a peer has not taken waiting bytes for this long (`TCP_USER_TIMEOUT`), even if it is alive and does not read. `0s` leaves it to the kernel. Only with `--sockets system`.',
    example: '1m',
  }),
];
