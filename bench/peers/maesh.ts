/** maesh itself: 1,000 Services, metrics on, every policy of the measured Service in force. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../children.ts';
import { crowd, manifest, type ServiceShape } from '../manifests.ts';
import type { Lab } from '../lab.ts';
import { freePorts } from '../../test/support/ports.ts';
import { ask, untilAnswers } from '../probe.ts';
import type { Identity } from '../tls.ts';
import { oneCore, type Peer, type RunningPeer, type Size } from './peer.ts';

export const SERVICES = 1_000;
/** All Services listen on the same port, each on its own address. */
export const SERVICE_PORT = 8_080;

const PREFIX = 'mesh.traefik.io';
export const RETRY = { [`${PREFIX}/retry-attempts`]: '2' };
export const BREAKER = {
  [`${PREFIX}/circuit-breaker-expression`]:
    'NetworkErrorRatio() > 0.30 || ResponseCodeRatio(500, 600, 0, 600) > 0.30 || LatencyAtQuantileMS(50.0) > 1000',
};
/** High enough never to refuse: what is measured is the counting. */
export const RATE_LIMIT = {
  [`${PREFIX}/ratelimit-average`]: '1000000',
  [`${PREFIX}/ratelimit-burst`]: '1000000',
};
const ENDPOINTS_OF_HTTP2 = { 'maesh.dev/scheme': 'h2c' };
/** Idle connections count, too. */
const AS_TCP = {
  'maesh.dev/traffic-type': 'tcp',
  'maesh.dev/limit-connections-per-endpoint': '100000',
};
export const AFFINITY = { 'maesh.dev/affinity-cookie': 'maesh' };

export interface MaeshOptions {
  readonly name: string;
  /** Manifest files by name. */
  readonly files: Readonly<Record<string, string>>;
  /** Further flags of `maesh up`. */
  readonly flags: readonly string[];
  readonly readyTimeoutMs: number;
  /** Its command line; that of the lab when missing. */
  readonly command?: string;
  /** One thread on the proxy's core when missing. */
  readonly size?: Size;
  /** Called when the process runs and is not ready yet. */
  readonly whileStarting?: (child: Child) => void;
}

export interface RunningMaesh {
  readonly child: RunningPeer['child'];
  readonly readyMs: number;
  /** The folder that it watches. */
  readonly manifests: string;
  /** The address of a Service, by `namespace/name`. */
  address(service: string): string;
  stop(): Promise<void>;
}

/** Retries, circuit breaker and rate limit. */
export const maesh = makeMaesh('maesh', 'usual');

/** The same with affinity by cookie and an access log in a file. */
export const maeshAll = makeMaesh('maesh-all', 'all');

/** Calls of gRPC have no figures by method. */
export const maeshUncounted = makeMaesh('maesh-no-methods', 'uncounted');

/** `command` is that of another build; '' for the one of the lab. */
export function makeMaesh(
  name: string,
  features: 'usual' | 'all' | 'uncounted',
  command = '',
): Peer {
  const all = features === 'all';
  return {
    name,
    async start(lab, size) {
      const policies = { ...RETRY, ...BREAKER, ...RATE_LIMIT, ...(all ? AFFINITY : {}) };
      const running = await startMaesh(lab, {
        name,
        files: {
          'crowd.json': manifest(
            crowd({ services: SERVICES - 1, endpointsEach: 2, port: SERVICE_PORT }),
          ),
          'web.json': manifest([benchService(lab, 'web', policies)]),
          ...(lab.tls === null ? {} : { 'tls.json': JSON.stringify(secretOf(lab.tls.identity)) }),
        },
        flags: [
          ...(all
            ? ['--access-log', 'json', '--access-log-path', join(lab.dir, `${name}.access.log`)]
            : []),
          ...(features === 'uncounted' ? ['--grpc-methods-max', '0'] : []),
        ],
        readyTimeoutMs: 20_000,
        size,
        ...(command === '' ? {} : { command }),
      });
      const target = { host: running.address('bench/web'), port: SERVICE_PORT };
      return {
        ...target,
        child: running.child,
        headers: all ? await cookieHeader(target) : '',
        readyMs: running.readyMs,
        stop: () => running.stop(),
      };
    },
  };
}

/** The cookie of a caller that has been here before. */
export async function cookieHeader(target: {
  readonly host: string;
  readonly port: number;
}): Promise<string> {
  const answer = await ask({ host: target.host, port: target.port, path: '/small' });
  const [cookie] = answer?.setCookie[0]?.split(';') ?? [];
  if (cookie === undefined) {
    throw new Error(`Cannot measure affinity: status ${answer?.status} and no Set-Cookie`);
  }
  return `Cookie: ${cookie}\r\n`;
}

/** A Service of namespace `bench` in front of the upstream. */
export function benchService(
  lab: Lab,
  name: string,
  annotations: Readonly<Record<string, string>>,
): ServiceShape {
  const isUdp = lab.upstream.transport === 'udp';
  const isH2 = lab.upstream.version === 'h2';
  return {
    namespace: 'bench',
    name,
    port: SERVICE_PORT,
    // Those policies are of requests.
    annotations: isUdp
      ? {}
      : {
          ...annotations,
          ...(isH2 ? ENDPOINTS_OF_HTTP2 : {}),
          ...(lab.carries === 'tcp' ? AS_TCP : {}),
          ...tlsOf(lab),
        },
    ...(isUdp && { protocol: 'UDP' }),
    endpoints: lab.upstream.addresses,
    targetPort: lab.upstream.port,
  };
}

function tlsOf({ tls }: Lab): ServiceShape['annotations'] {
  if (tls === null) return {};
  if (tls.side === 'callers') return { 'maesh.dev/tls-secret': SECRET };
  return {
    'maesh.dev/scheme': 'https',
    'maesh.dev/upstream-ca': `secret/${SECRET}`,
    'maesh.dev/upstream-server-name': tls.identity.name,
  };
}

const SECRET = 'web-tls';

function secretOf({ cert, key, ca }: Identity): object {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/tls',
    metadata: { name: SECRET, namespace: 'bench' },
    data: { 'tls.crt': base64(cert), 'tls.key': base64(key), 'ca.crt': base64(ca) },
  };
}

let started = 0;

export async function startMaesh(lab: Lab, options: MaeshOptions): Promise<RunningMaesh> {
  started += 1;
  const size = options.size ?? oneCore(lab);
  const manifests = join(lab.dir, `${options.name}-${started}`);
  mkdirSync(manifests, { recursive: true });
  for (const [file, text] of Object.entries(options.files)) {
    writeFileSync(join(manifests, file), text);
  }
  const [adminPort = 0] = await freePorts(1);
  const child = lab.children.spawn({
    name: options.name,
    core: size.cores,
    command: options.command ?? lab.maesh,
    args: [
      'up',
      '-f',
      manifests,
      '--threads',
      `${size.threads}`,
      // A range of its own for each process, so that two of them never want the same address and port.
      '--service-cidr',
      `127.${80 + ((process.pid + started) % 40)}.0.0/16`,
      '--dns',
      '127.0.0.1:0',
      '--admin',
      `127.0.0.1:${adminPort}`,
      ...options.flags,
    ],
  });
  options.whileStarting?.(child);
  const admin = { host: '127.0.0.1', port: adminPort };
  const readyAt = await untilAnswers({
    ...admin,
    path: '/readyz',
    child,
    timeoutMs: options.readyTimeoutMs,
  });
  const services = await ask({ ...admin, path: '/api/services' }, 10_000);
  const addresses = readAddresses(services?.body ?? '');
  return {
    child,
    readyMs: readyAt - child.startedAtMs,
    manifests,
    address(service) {
      const address = addresses.get(service);
      if (address === undefined) throw new Error(`Cannot find Service ${service} in /api/services`);
      return address;
    },
    stop: () => child.stop(),
  };
}

interface ListedService {
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
}

function readAddresses(body: string): Map<string, string> {
  const { services }: { services: readonly ListedService[] } = JSON.parse(body);
  return new Map(services.map((s) => [`${s.namespace}/${s.name}`, s.address]));
}
