/** The table of all settings of `maesh up`: flags, variables, the configuration file and docs/settings.md come from it. */

import type { UpSettings } from '../run/up/settings.ts';
import { MeshError } from '../base/error.ts';
import { type ProxySettings, SOCKET_CHOICES } from '../model/settings.ts';
import { list, one, type Setting } from './setting.ts';
import type { SettingReader } from './setting-reader.ts';
import { STANDARD_INPUT } from './standard-input.ts';
import {
  bytes,
  bytesOrOff,
  CIDR,
  DOMAIN,
  duration,
  integer,
  LISTEN,
  LISTEN_OR_OFF,
  MEMORY,
  oneOf,
  PATH,
  POD_CIDR,
  RATIO,
  SERVICE_CIDR,
  STATUS_MIN,
  SWITCH,
  THREADS,
} from './value.ts';

const protocol = oneOf('http', 'tcp', 'udp');
const logLevel = oneOf('debug', 'info', 'warn', 'error');
const logFormat = oneOf('common', 'json');
const socketChoice = oneOf(...SOCKET_CHOICES);
const accessLogFormat = oneOf('off', 'json', 'common');

export const SETTINGS = {
  files: list(
    'Mesh',
    [
      'file',
      PATH,
      '',
      'Manifest file or folder; repeatable. `maesh up` needs at least one, and watches them for changes.',
    ],
    'f',
  ),
  serviceCidr: one('Mesh', [
    'service-cidr',
    SERVICE_CIDR,
    '127.77.0.0/16',
    'Address range for Services. Every Service gets its own address.',
  ]),
  pods: one('Mesh', [
    'pods',
    POD_CIDR,
    '127.78.0.0/16',
    'Address range for Pods that have no address in their manifest, Pods of Deployments included. `off` gives them none.',
  ]),
  defaultMode: one('Mesh', [
    'default-mode',
    protocol,
    'http',
    'Protocol of Services that do not set one.',
  ]),
  takeOver: one('Mesh', [
    'take-over',
    SWITCH,
    'false',
    'Start although another mesh serves the same addresses, to take over from it. By default, `maesh up` refuses to start then.',
  ]),
  acl: one('Mesh', [
    'acl',
    SWITCH,
    'false',
    'Deny requests that no access rule allows. Access rules are not built yet, so this has no effect now.',
  ]),
  dns: one('DNS', [
    'dns',
    LISTEN_OR_OFF,
    '127.0.0.1:5353',
    "Address and port of the mesh's DNS server, UDP and TCP.",
  ]),
  domains: list('DNS', [
    'domain',
    DOMAIN,
    'maesh,traefik.mesh',
    'Domain of mesh names (`service.namespace.DOMAIN`); repeatable. The first one is shown in output.',
  ]),
  dnsTtl: one('DNS', [
    'dns-ttl',
    duration('0s', '1h', 1_000),
    '5s',
    'How long resolvers may cache an answer, negative answers included.',
  ]),
  admin: one('Administration', [
    'admin',
    LISTEN,
    '127.0.0.1:9000',
    'Address and port of health, metrics and the API. Must be loopback, unless `--admin-allow-remote` is set.',
  ]),
  adminAllowRemote: one('Administration', [
    'admin-allow-remote',
    SWITCH,
    'false',
    'Allow `--admin` to listen on an address that other machines can reach. Everyone there can read the whole configuration.',
  ]),
  headBytesMax: one('Proxy', [
    'head-bytes-max',
    bytes(1_024, 262_144),
    '32KiB',
    'Maximum size of a request head (else 431) or response head (else 502).',
  ]),
  headFieldsMax: one('Proxy', [
    'head-fields-max',
    integer(1, 1_000),
    '100',
    'Maximum number of header fields in a request. Responses are limited only in bytes.',
  ]),
  grpcMethodsMax: one('Proxy', [
    'grpc-methods-max',
    integer(0, 1_000),
    '100',
    'Maximum number of gRPC methods per Service that have metrics of their own. The others share the series of the method `other`.',
  ]),
  headTimeout: one('Proxy', [
    'head-timeout',
    duration('100ms', '10m'),
    '10s',
    'Maximum time from the first byte of a request, or from accepting the connection, to the end of the request head (else 408). Also of the hello of TLS, where a port routes by it.',
  ]),
  callerIdleTimeout: one('Proxy', [
    'caller-idle-timeout',
    duration('1s', '24h'),
    '3m',
    'Close a caller connection that has had no request for this long.',
  ]),
  peerTimeout: one('Proxy', [
    'peer-timeout',
    duration('0s', '2h', 1_000),
    '2m',
    'Close a connection whose peer vanished without closing it, as when its node loses power, after this time (TCP keep-alive). `0s` turns this off.',
  ]),
  unacknowledgedTimeout: one('Proxy', [
    'unacknowledged-timeout',
    duration('0s', '1h'),
    '0s',
    'Close a connection whose peer has not taken waiting bytes for this long (`TCP_USER_TIMEOUT`), even if it is alive and does not read. If set, it replaces `--peer-timeout` as the end of a silent peer. `0s` leaves it to the kernel: some 15 minutes. Only with `--sockets system`.',
  ]),
  callerConnectionsMax: one('Proxy', [
    'caller-connections-max',
    integer(1, 1_000_000),
    '16384',
    'Maximum caller connections per thread. Beyond it, connections of source addresses and Services with more than their share are closed.',
  ]),
  callerMemoryMax: one('Proxy', [
    'caller-memory-max',
    MEMORY,
    'auto',
    'Maximum memory for all callers. `auto` is a quarter of the memory limit of the process. Beyond it, callers with more than their share are disconnected.',
  ]),
  trustedSources: list('Proxy', [
    'trusted-source',
    CIDR,
    '',
    'Keep `X-Forwarded-*` and similar fields from these callers; repeatable. From all others they are dropped. Default: trust nobody.',
  ]),
  halfClosedCallers: one('Proxy', [
    'half-closed-callers',
    SWITCH,
    'false',
    'Answer a caller that closes its sending side after its request. By default, closing it cancels the request.',
  ]),
  forwardedHeaders: {
    ...one('Proxy', [
      'forwarded-headers',
      SWITCH,
      'true',
      'Add `X-Forwarded-For`, `-Proto` and `-Host` to requests. If `false`, none are added; those of callers are still dropped.',
    ]),
    offDoc:
      'Do not add `X-Forwarded-For`, `-Proto` and `-Host` to requests. Those of callers are still dropped.',
  },
  sockets: one('Proxy', [
    'sockets',
    socketChoice,
    'auto',
    'Who makes the system calls for connections: `system` is the proxy itself, which costs less CPU; `runtime` is Node. `auto` is `system` where a self-test at the start passes, else `runtime`.',
  ]),
  spliceFrom: one('Proxy', [
    'splice-from',
    bytesOrOff(65_536, 1_073_741_824),
    '64KiB',
    'Pass a body on inside the kernel, without copying it, if its length is known and at least this much is still to come. `off` copies all bodies, and tunnels too. Only with `--sockets system`.',
  ]),
  accessLog: one('Access log', [
    'access-log',
    accessLogFormat,
    'off',
    'Log one line per request, in this format.',
  ]),
  accessLogPath: one('Access log', [
    'access-log-path',
    PATH,
    '-',
    'File of the access log, or `-` for standard output.',
  ]),
  accessLogSample: one('Access log', [
    'access-log-sample',
    RATIO,
    '1',
    'Fraction of requests to log. Failures of the proxy itself are always logged.',
  ]),
  accessLogStatusMin: one('Access log', [
    'access-log-status-min',
    STATUS_MIN,
    '0',
    'Log only responses with at least this status.',
  ]),
  accessLogQuery: one('Access log', [
    'access-log-query',
    SWITCH,
    'false',
    'Log the query string too. Query strings often contain secrets.',
  ]),
  threads: one('Process', ['threads', THREADS, 'cores', 'Worker threads of the proxy.']),
  drainTimeout: one('Process', [
    'drain-timeout',
    duration('0s', '1h'),
    '30s',
    'How long to wait for running requests after SIGTERM.',
  ]),
  logLevel: one('Process', ['log-level', logLevel, 'info', 'Lowest level that is logged.']),
  logFormat: one('Process', [
    'log-format',
    logFormat,
    'common',
    'Format of the log on standard error.',
  ]),
} as const;

/** `--file` of the commands that read manifests once, and serve nothing. */
export const FILES_TO_READ: typeof SETTINGS.files = {
  ...SETTINGS.files,
  doc: 'Manifest file or folder, - for standard input; repeatable.',
};

/** All settings in the order of the documentation. */
export const ALL_SETTINGS: readonly Setting<unknown>[] = Object.values(SETTINGS);

/**
 * Everything `maesh up` is told.
 * @throws MeshError `invalid_setting` with one line for each thing that is wrong.
 */
export function readUpSettings(reader: SettingReader): UpSettings {
  const settings: UpSettings = {
    files: reader.list(SETTINGS.files),
    serviceCidr: reader.one(SETTINGS.serviceCidr),
    podCidr: reader.one(SETTINGS.pods),
    dns: reader.one(SETTINGS.dns),
    domains: reader.list(SETTINGS.domains),
    dnsTtlSeconds: reader.one(SETTINGS.dnsTtl) / 1_000,
    admin: reader.one(SETTINGS.admin),
    threads: reader.one(SETTINGS.threads),
    defaultMode: reader.one(SETTINGS.defaultMode),
    takeOver: reader.one(SETTINGS.takeOver),
    acl: reader.one(SETTINGS.acl),
    drainTimeoutMs: reader.one(SETTINGS.drainTimeout),
    logLevel: reader.one(SETTINGS.logLevel),
    logFormat: reader.one(SETTINGS.logFormat),
    proxy: readProxySettings(reader),
  };
  const errors = [...reader.errors, ...conflicts(settings, reader.one(SETTINGS.adminAllowRemote))];
  if (errors.length > 0) throw new MeshError('invalid_setting', errors.join('\n'));
  return settings;
}

/** What a proxy is told, wherever it runs. */
export function readProxySettings(reader: SettingReader): ProxySettings {
  return {
    node: '',
    meshAccount: '',
    headBytesMax: reader.one(SETTINGS.headBytesMax),
    headFieldsMax: reader.one(SETTINGS.headFieldsMax),
    grpcMethodsMax: reader.one(SETTINGS.grpcMethodsMax),
    headTimeoutMs: reader.one(SETTINGS.headTimeout),
    callerIdleMs: reader.one(SETTINGS.callerIdleTimeout),
    peerTimeoutMs: reader.one(SETTINGS.peerTimeout),
    unacknowledgedTimeoutMs: reader.one(SETTINGS.unacknowledgedTimeout),
    callerConnectionsMax: reader.one(SETTINGS.callerConnectionsMax),
    callerMemoryBytes: reader.one(SETTINGS.callerMemoryMax),
    trustedSources: reader.list(SETTINGS.trustedSources),
    halfClosedCallers: reader.one(SETTINGS.halfClosedCallers),
    forwardedHeaders: reader.one(SETTINGS.forwardedHeaders),
    sockets: reader.one(SETTINGS.sockets),
    spliceBytes: reader.one(SETTINGS.spliceFrom),
    accessLog: {
      format: reader.one(SETTINGS.accessLog),
      path: reader.one(SETTINGS.accessLogPath),
      sample: reader.one(SETTINGS.accessLogSample),
      statusMin: reader.one(SETTINGS.accessLogStatusMin),
      query: reader.one(SETTINGS.accessLogQuery),
    },
  };
}

function conflicts(settings: UpSettings, adminAllowRemote: boolean): readonly string[] {
  const found: string[] = [];
  if (settings.files.length === 0) {
    found.push('Cannot start without manifests: give a file or folder with -f PATH');
  }
  if (settings.files.includes(STANDARD_INPUT)) {
    found.push(
      'Cannot start with the manifests of standard input: they are watched for changes; write them to a file',
    );
  }
  return [...found, ...adminConflicts(settings.admin.host, adminAllowRemote)];
}

/** The admin API has no access control, so it is opened to others on purpose or not at all. */
export function adminConflicts(host: string, allowRemote: boolean): readonly string[] {
  if (allowRemote || isLoopback(host)) return [];
  return [
    `Cannot serve the admin API on "${host}": it is not a loopback address and has no access control; give one in 127.0.0.0/8, or --admin-allow-remote`,
  ];
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || host.toLowerCase().startsWith('::ffff:127.');
}
