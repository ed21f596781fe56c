/** The annotations of active health checks, and the values that only they have. */

import { DEFAULT_HEALTH_CHECK } from '../../model/defaults.ts';
import { type AnnotationRow, row } from './row.ts';
import { choice, duration, flag, listOf, type ValueType, wholeNumber } from './value.ts';

const HOUR = 3_600_000;
const SECOND = 1_000;
const MINUTE = 60_000;

/** Characters of a target in origin form (RFC 9112 §3.2.1); what is not among them is percent-encoded. */
const PATH = /^\/[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]{0,1023}$/;
const HOST =
  /^(?:[0-9A-Za-z](?:[-.0-9A-Z_a-z]{0,252}[0-9A-Za-z])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/;
const GRPC_SERVICE = /^[A-Za-z_][\w./-]{0,254}$/;

function text(name: string, pattern: RegExp, message: string): ValueType<string> {
  return {
    name,
    read: (value) => (pattern.test(value) ? { ok: true, value } : { ok: false, message }),
    print: (value) => value,
  };
}

const path = text(
  'a path that begins with / and has up to 1,024 characters, percent-encoded where needed',
  PATH,
  'is not a path',
);
const host = text('the name or address of a host, with or without a port', HOST, 'is not a host');
const grpcService = text(
  'the name of a gRPC service, such as shop.v1.Cart',
  GRPC_SERVICE,
  'is not the name of a gRPC service',
);

/** One status, or the first and the last of several. */
const statusRange: ValueType<string> = {
  name: 'a status or a range of them',
  read(value) {
    const [, from = '', to = from] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(value) ?? [];
    if (from === '') return { ok: false, message: 'is not a status or a range such as 200-399' };
    return from <= to ? { ok: true, value } : { ok: false, message: 'ends before it begins' };
  },
  print: (value) => value,
};

const NEEDED = 'health-check';

export const HEALTH_CHECK_ROWS: readonly AnnotationRow[] = [
  row(NEEDED, 'healthCheck', 'kind', {
    type: choice('http', 'tcp', 'grpc'),
    default: { words: 'no active health checks' },
    text: 'Each node asks the endpoints of the Service how they are, while it has callers there. `http`: a GET. `tcp`: a connection, and nothing is sent. `grpc`: a call of `grpc.health.v1.Health/Check`. `http` speaks the version of HTTP that requests get.',
    example: 'http',
    lifts: true,
  }),
  row('health-check-path', 'healthCheck', 'path', {
    type: path,
    default: DEFAULT_HEALTH_CHECK.path,
    text: 'Path of an `http` check.',
    example: '/healthz',
  }),
  row('health-check-status', 'healthCheck', 'statuses', {
    type: listOf(statusRange, 'statuses or ranges of them such as 200-399, separated by commas'),
    default: DEFAULT_HEALTH_CHECK.statuses,
    text: 'Statuses that pass an `http` check. A redirect is not followed: its status counts.',
    example: '200-299,401',
  }),
  row('health-check-host', 'healthCheck', 'host', {
    type: host,
    default: { words: 'the name of the Service and its namespace, as in `web.shop`' },
    text: 'Host that an `http` or `grpc` check asks for.',
    example: 'shop.example',
  }),
  row('health-check-grpc-service', 'healthCheck', 'grpcService', {
    type: grpcService,
    default: { words: 'none: the server as a whole' },
    text: 'Name that a `grpc` check asks the health service about.',
    example: 'shop.v1.Cart',
  }),
  row('health-check-port', 'healthCheck', 'port', {
    type: wholeNumber(1, 65_535),
    default: { words: 'the port of the endpoint' },
    text: 'Port of the Pod that is checked.',
    example: '8081',
  }),
  row('health-check-interval', 'healthCheck', 'intervalMs', {
    type: duration(SECOND, HOUR),
    default: DEFAULT_HEALTH_CHECK.intervalMs,
    text: 'Time between two checks of an endpoint by one node, give or take a tenth. While the last result speaks against where the endpoint stands, checks come five times as often, at most every second.',
    example: '5s',
  }),
  row('health-check-timeout', 'healthCheck', 'timeoutMs', {
    type: duration(1, MINUTE),
    default: DEFAULT_HEALTH_CHECK.timeoutMs,
    text: 'Maximum time of a check, from the dial to the end of the answer.',
    example: '500ms',
  }),
  row('health-check-failures', 'healthCheck', 'failures', {
    type: wholeNumber(1, 100),
    default: DEFAULT_HEALTH_CHECK.failures,
    text: 'Number of consecutive failed checks after which an endpoint counts as failing.',
    example: '2',
  }),
  row('health-check-successes', 'healthCheck', 'successes', {
    type: wholeNumber(1, 100),
    default: DEFAULT_HEALTH_CHECK.successes,
    text: 'Number of consecutive passed checks after which an ejected endpoint gets requests again. One that was ejected for failed requests also waits until the time of its ejection is over.',
    example: '3',
  }),
  row('health-check-eject', 'healthCheck', 'ejects', {
    type: flag,
    default: DEFAULT_HEALTH_CHECK.ejects,
    text: 'Whether a failing endpoint is ejected, within `eject-max-ratio`. `false`: only endpoints that were ejected for failed requests are checked, and the checks decide when they come back.',
    example: 'false',
  }),
];
