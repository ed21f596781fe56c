/** The vocabulary of the mesh: what the compiler makes and the proxies run. Immutable plain data. */

import type { CallerTls } from './credential.ts';
import type { EndpointTls } from './endpoint-tls.ts';
import type { Endpoint, Identity } from './endpoint.ts';
import type { Policies } from './policy.ts';
import type { HttpRoute, TcpRoute, UdpRoute } from './route.ts';
import type { About, Source } from './object-reference.ts';

export type Protocol = ServicePort['protocol'];

/** What is spoken to endpoints; `tcp` and `udp`: whatever the caller speaks. */
export type EndpointProtocol = 'http/1.1' | 'http/2' | 'tcp' | 'udp';

/** The endpoints behind one port of one Service. */
export interface Backend {
  /** `namespace/name:port`, with the number of the Service port; a UDP port has `/udp` after it, as it may share the number. */
  readonly id: string;
  /** `namespace/name` of the Service whose policies apply. */
  readonly service: string;
  readonly protocol: EndpointProtocol;
  /** The proxy speaks it inside TLS, whatever the caller does; null where it does not. */
  readonly tls: EndpointTls | null;
  readonly endpoints: readonly Endpoint[];
}

interface PortBase {
  /** Name of the port, or '' when the Service has just one without a name. */
  readonly name: string;
  /** The number that callers dial. */
  readonly port: number;
  /** Where proxies listen, on all their addresses (a cluster); 0: on the Service's own address and port (`maesh up`). */
  readonly proxyPort: number;
  readonly backend: Backend;
  /** What decided the protocol, as somebody wrote it: `appProtocol: grpc`; '' where it was not told. */
  readonly because: string;
  /** Callers speak TLS with the endpoints, and the mesh touches none of it. Only where `protocol` is `tcp`. */
  readonly passesTls: boolean;
  /** Callers speak TLS with the proxy, which shows these certificates; null where they do not. */
  readonly callerTls: CallerTls | null;
  /** All that holds on this port, where it says otherwise than its Service; null where it does not. */
  readonly policies: Policies | null;
  /**
   * What the port says itself, as `Service.sources`. A rate limit and requests in flight that are among it are counted for this port
   * alone; those that are not are counted together with the rest of the Service.
   */
  readonly sources: Readonly<Record<string, Source>>;
}

/** Of a port that says nothing of all that. */
export const PLAIN_PORT = {
  because: '',
  passesTls: false,
  callerTls: null,
  policies: null,
  sources: {},
} as const;

export interface HttpPort extends PortBase {
  readonly protocol: 'http';
  readonly routes: readonly HttpRoute[];
}

export interface TcpPort extends PortBase {
  readonly protocol: 'tcp';
  readonly routes: readonly TcpRoute[];
}

export interface UdpPort extends PortBase {
  readonly protocol: 'udp';
  readonly routes: readonly UdpRoute[];
}

/** One port of a Service: a listener of its own in every proxy. */
export type ServicePort = HttpPort | TcpPort | UdpPort;

/**
 * It goes to every agent, into the last good copy on its disk, and to whoever asks the admin API: no byte of a Secret may ever be in it.
 * What needs a Secret says its name here, and of its certificate what everybody may know (`credential.ts`).
 */
export interface Service {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** What the mesh name resolves to; '' where the cluster gives it (shadow Service) and has not yet: then there is no such name. */
  readonly address: string;
  /** The same in the other address family; '' where there is none. */
  readonly secondAddress: string;
  /** Its pods have names of their own below its name. */
  readonly headless: boolean;
  readonly ports: readonly ServicePort[];
  readonly policies: Policies;
  /** Where each annotated policy field comes from: `retry.attempts` → source. What is missing is a default. */
  readonly sources: Readonly<Record<string, Source>>;
}

/** What has policies, and counters of its own for them: a Service, and each of its ports that says otherwise. */
export interface PolicyScope {
  /** That of the Service, or `namespace/name:port` (the id of its backend) of a port. */
  readonly key: string;
  readonly policies: Policies;
  readonly ports: readonly ServicePort[];
  /** The port that it is; null for the rest of the Service. */
  readonly port: ServicePort | null;
}

/** The Service with the ports that are as it says, then each port that says otherwise. */
export function scopesOf({ key, policies, ports }: Service): readonly PolicyScope[] {
  const whole = ports.filter((port) => port.policies === null);
  const scopes: PolicyScope[] = [{ key, policies, ports: whole, port: null }];
  for (const port of ports) {
    if (port.policies === null) continue;
    scopes.push({ key: port.backend.id, policies: port.policies, ports: [port], port });
  }
  return scopes;
}

/** Whether a port says this itself: `rateLimit`, or `limits.requestsInFlight`. */
export function saysItself({ sources }: ServicePort, path: string): boolean {
  return Object.keys(sources).some((each) => each === path || each.startsWith(`${path}.`));
}

/** What is wrong with one field of one object. It costs that field only; everything else keeps working. */
export interface Problem extends About {
  readonly severity: 'error' | 'warning';
  readonly field: string;
  /** The offending value as written, shortened to 200 characters. */
  readonly value: string;
  readonly message: string;
  readonly remedy: string;
  /** `file:line:column` where known, else ''. */
  readonly location: string;
}

/** What `Problem.object` of a mesh domain begins with: `DNS domain maesh`. */
export const DNS_DOMAIN_OBJECT = 'DNS domain';

/** A change from one version to the next; the first one starts from nothing and carries everything. */
export interface Delta {
  /** Grows by one with every delta. */
  readonly version: number;
  /** New or changed Services, whole. */
  readonly services: readonly Service[];
  /** Keys of Services that are gone. */
  readonly removedServices: readonly string[];
  readonly identities: readonly Identity[];
  /** Source addresses that stand for nobody now. */
  readonly removedIdentities: readonly string[];
}

/** Everything at one version. The maps are their owner's and change with it. */
export interface Snapshot {
  /** 0 before the first delta. */
  readonly version: number;
  readonly services: ReadonlyMap<string, Service>;
  readonly identities: ReadonlyMap<string, Identity>;
}

/** One or two, of different families. */
export function addressesOf(service: Service): readonly string[] {
  return service.secondAddress === ''
    ? [service.address]
    : [service.address, service.secondAddress];
}

/** What this version of the proxy carries, by `carriageOf`. An agent says so to its controller. */
export const CARRIED: readonly string[] = [
  'http',
  'http+caller-tls',
  'http+http/2',
  'http+http/2+caller-tls',
  'http+http/2+tls',
  'http+http/2+tls+caller-tls',
  'http+tls',
  'http+tls+caller-tls',
  'tcp',
  'tcp+caller-tls',
  'udp',
];

/**
 * What a proxy has to be able to carry to serve the port: `http`, `tcp`, `udp`, with `+http/2` and `+tls` where its endpoints are spoken
 * to so, and `+caller-tls` where its callers speak TLS with the proxy.
 */
export function carriageOf({ protocol, backend, callerTls }: ServicePort): string {
  const toEndpoints = `${backend.protocol === 'http/2' ? '+http/2' : ''}${backend.tls === null ? '' : '+tls'}`;
  return `${protocol}${toEndpoints}${callerTls === null ? '' : '+caller-tls'}`;
}

/** For people: `HTTP/2 over TLS`. */
export function spokenTo({ protocol, tls }: Backend): string {
  return `${protocol.toUpperCase()}${tls === null ? '' : ' over TLS'}`;
}

/** Of a port among those of its Service: `53`, or `53/udp`, as a port of TCP may have the same number. */
export function portText({ port, protocol }: Pick<ServicePort, 'port' | 'protocol'>): string {
  return protocol === 'udp' ? `${port}/udp` : String(port);
}

/** Whether this version of the proxy serves the port. Sending plain HTTP where TLS is asked for would be worse than nothing. */
export function isCarried(port: ServicePort): boolean {
  return CARRIED.includes(carriageOf(port));
}
