/** Annotations that say something of a port that they cannot be said of, or of a port that is not there. */

import { nearest } from '../../base/nearest.ts';
import { isRecord } from '../../base/record.ts';
import type { ObjectRef } from '../../kube/store.ts';
import { ANNOTATION_PREFIX } from '../../model/names.ts';
import type { PolicyName } from '../../model/policy.ts';
import type { ServicePort } from '../../model/service.ts';
import { printPortKey } from '../annotation/port-key.ts';
import type { Annotation, Annotations } from '../annotation/read.ts';
import type { ObjectProblem } from '../object-problem.ts';

type Port = Pick<ServicePort, 'port' | 'protocol' | 'because' | 'backend'>;

/** Policies, and names of others, that only HTTP has. */
const HTTP_POLICIES: ReadonlySet<PolicyName | null> = new Set([
  'retry',
  'affinity',
  'breaker',
  'grpcWeb',
]);
const HTTP_NAMES: ReadonlySet<string> = new Set([
  'scheme',
  'timeout-request',
  'timeout-try',
  'limit-request-body',
  'limit-requests-per-endpoint',
  'limit-idle-connections',
  'idle-connection-time',
  'connection-age',
]);
/** What only HTTP inside TLS has. */
const TLS_NAMES: ReadonlySet<string> = new Set([
  'upstream-ca',
  'upstream-server-name',
  'upstream-verify',
  'upstream-client-secret',
]);
/** What only TCP has: connections to endpoints of HTTP are of several callers, and X-Forwarded-For names them. */
export const TCP_NAMES: ReadonlySet<string> = new Set([
  'routes',
  'proxy-protocol',
  'limit-connections-per-caller',
  'timeout-peer',
  'timeout-unacknowledged',
]);
/** What TCP has in common with HTTP, and datagrams have not: nothing accepts them, and no check tells. */
const STREAM_NAMES: ReadonlySet<string> = new Set([
  'timeout-connect',
  'tls-secret',
  'accept-proxy-protocol',
  'timeout-drain',
]);
/** Active checks are not made on a port of UDP. */
const CHECK_POLICY: PolicyName = 'healthCheck';

function isOfHttp({ policy, name }: Annotation['row']): boolean {
  return HTTP_POLICIES.has(policy) || HTTP_NAMES.has(name) || TLS_NAMES.has(name);
}

function isOfStreams({ policy, name }: Annotation['row']): boolean {
  return STREAM_NAMES.has(name) || policy === CHECK_POLICY;
}

/** Whether it has an effect on ports of this protocol. */
function isFor(protocol: ServicePort['protocol'], { row, value }: Annotation): boolean {
  if (TCP_NAMES.has(row.name)) return protocol === 'tcp';
  if (protocol === 'http') return true;
  if (isOfHttp(row) || (protocol === 'udp' && isOfStreams(row))) return false;
  if (row.name === 'health-check') return value === 'tcp' || value === null;
  // Of a header or cookie nobody knows anything there.
  return row.name !== 'hash-key' || (isRecord(value) && value['kind'] === 'source');
}

/** `numbers` are those of all ports in the Service; `ports` those that are not left out. */
export function idleAnnotations(
  ref: ObjectRef,
  annotations: Annotations,
  numbers: readonly number[],
  ports: readonly Port[],
): readonly ObjectProblem[] {
  const known = new Set(numbers);
  const byNumber = Map.groupBy(ports, ({ port }) => port);
  const portsRemedy = portsRemedies([...known]);
  const ofPorts = [...annotations.ports].flatMap(([number, own]) =>
    known.has(number)
      ? idleOnPort([...own.values()], number, byNumber.get(number) ?? [])
      : [...own.values()].map((annotation) => {
          const remedy = portsRemedy(annotation.row.name, number);
          return { annotation, because: `the Service has no port ${number}`, remedy };
        }),
  );
  return [...ofPorts, ...idleOnAll([...annotations.values.values()], ports)].map(
    ({ annotation: { row, field, text }, because, remedy }) => ({
      severity: 'warning',
      ref,
      field,
      value: text,
      message: `${row.name} has no effect: ${because}`,
      remedy,
    }),
  );
}

interface Idle {
  readonly annotation: Annotation;
  readonly because: string;
  readonly remedy: string;
}

const OR_UDP = 'remove it, or write udp';
const OR_HTTP2 = 'remove it, or set appProtocol of the port to grpc';
const OR_TLS = 'remove it, or set maesh.dev/scheme to https or h2';

function idleOnPort(
  own: readonly Annotation[],
  number: number,
  same: readonly Port[],
): readonly Idle[] {
  const [first] = same;
  if (first === undefined) return [];
  const because = `port ${number} is carried as ${first.protocol} (${first.because})`;
  return own.flatMap((annotation): Idle[] => {
    if (!same.some(({ protocol }) => isFor(protocol, annotation)))
      return [{ annotation, because, remedy: remedyOf(annotation, same, 'the port') }];
    if (isWithoutTls(annotation, same)) {
      const plain = `port ${number} is spoken to without TLS`;
      return [{ annotation, because: plain, remedy: OR_TLS }];
    }
    if (isWithoutHttp2(annotation, same)) {
      const old = `port ${number} is spoken to in HTTP/1.1`;
      return [{ annotation, because: old, remedy: OR_HTTP2 }];
    }
    return isOtherType(annotation, same) ? [{ annotation, because, remedy: OR_UDP }] : [];
  });
}

/** What is said of all ports and holds on none of them. */
function idleOnAll(said: readonly Annotation[], ports: readonly Port[]): readonly Idle[] {
  if (ports.length === 0) return [];
  return said.flatMap((annotation): Idle[] => {
    if (!ports.some(({ protocol }) => isFor(protocol, annotation))) {
      const carrier = carrierOf(annotation);
      const because = `no port of the Service is carried as ${carrier}`;
      return [{ annotation, because, remedy: remedyOf(annotation, ports, 'a port') }];
    }
    if (isWithoutTls(annotation, ports)) {
      const plain = 'no port of the Service is spoken to in TLS';
      return [{ annotation, because: plain, remedy: OR_TLS }];
    }
    if (isWithoutHttp2(annotation, ports)) {
      const old = 'no port of the Service is spoken to in HTTP/2';
      return [{ annotation, because: old, remedy: OR_HTTP2 }];
    }
    const because = 'all ports of the Service are UDP';
    return isOtherType(annotation, ports) ? [{ annotation, because, remedy: OR_UDP }] : [];
  });
}

/** The protocols that an annotation is for, which has no effect on others. */
function carrierOf({ row, value }: Annotation): 'http' | 'tcp' | 'http or tcp' {
  if (TCP_NAMES.has(row.name)) return 'tcp';
  const isOfBoth = isOfStreams(row) && (row.name !== 'health-check' || value === 'tcp');
  return isOfBoth ? 'http or tcp' : 'http';
}

/** What to do about an annotation that has no effect on any of these ports. */
function remedyOf(annotation: Annotation, ports: readonly Port[], which: string): string {
  // A UDP port stays one, whatever else is said.
  if (ports.every(({ protocol }) => protocol === 'udp')) return 'remove it';
  if (annotation.row.name === 'health-check') return 'write tcp, or remove it';
  return `remove it, or set traffic-type of ${which} to ${carrierOf(annotation)}`;
}

function isWithoutTls({ row }: Annotation, ports: readonly Port[]): boolean {
  return TLS_NAMES.has(row.name) && ports.every(({ backend }) => backend.tls === null);
}

/** gRPC needs it. */
function isWithoutHttp2({ row, value }: Annotation, ports: readonly Port[]): boolean {
  if (row.policy !== 'grpcWeb' || value === null) return false;
  return ports.every(({ backend }) => backend.protocol !== 'http/2');
}

/** The traffic type of TCP for ports that are all UDP. */
function isOtherType({ row, value }: Annotation, ports: readonly Port[]): boolean {
  if (row.name !== 'traffic-type' || value === 'udp') return false;
  return ports.every(({ protocol }) => protocol === 'udp');
}

/** Whether an annotation of a port has an effect there. */
export function worksOn(annotation: Annotation, protocol: ServicePort['protocol']): boolean {
  if (protocol === 'udp' && annotation.row.name === 'traffic-type') return false;
  return isFor(protocol, annotation);
}

const PORTS_TOLD = 10;
/** Guesses for one Service: each of them compares a number with all that there are. */
const PORT_GUESSES_MAX = 20;

/** What to do about numbers that are not among these. */
function portsRemedies(numbers: readonly number[]): (name: string, number: number) => string {
  const all = numbers.map(String);
  const more = all.length > PORTS_TOLD ? ', …' : '';
  const told = `its ports are ${all.slice(0, PORTS_TOLD).join(', ')}${more}`;
  let guesses = 0;
  return (name, number) => {
    if (all.length === 0) return 'remove it: the Service has no port that can be used';
    guesses += 1;
    const [near] = guesses > PORT_GUESSES_MAX ? [] : nearest(String(number), all, 1);
    return near === undefined ? told : `did you mean ${key(Number(near), name)}? ${told}`;
  };
}

function key(port: number, name: string): string {
  return ANNOTATION_PREFIX + printPortKey(port, name);
}
