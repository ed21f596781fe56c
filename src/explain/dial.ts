/** From the host and port of a URL to the address that a caller connects to: what the mesh DNS and the Service say. */

import { type CallerTls, type Certificate, timeOf } from '../model/credential.ts';
import { isIP } from 'node:net';

import { nearest } from '../base/nearest.ts';
import {
  addressesOf,
  isCarried,
  type Service,
  type ServicePort,
  spokenTo,
} from '../model/service.ts';

export interface DialInput {
  /** As in a URL, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Bytes are to pass as they are: a port that reads them is not meant. */
  readonly plain?: boolean;
  /** It is about datagrams. */
  readonly udp?: boolean;
}

export interface DialOptions {
  readonly services: ReadonlyMap<string, Service>;
  /** Domains of mesh names, lower case, at least one. */
  readonly domains: readonly string[];
  /** Services (`namespace/name`) that are known not to be part of the mesh, with why. */
  readonly outside?: ReadonlyMap<string, string> | undefined;
  /** Now, in milliseconds since 1970; where it is not known, nothing is said of certificates that are over. */
  readonly wallMs?: number;
}

/** Where a connection goes, and why, as a sentence. */
export type Dial =
  | {
      readonly kind: 'reached';
      /** `namespace/name`. */
      readonly service: string;
      readonly address: string;
      readonly port: number;
      /** The port is one of UDP. */
      readonly udp: boolean;
      readonly text: string;
    }
  | { readonly kind: 'nowhere'; readonly text: string };

export function dial(input: DialInput, options: DialOptions): Dial {
  const { host, port: number, udp = false } = input;
  const found = isIP(host) === 0 ? byName(host, options) : byAddress(host, options);
  if (typeof found === 'string') return { kind: 'nowhere', text: found };
  const { service, because } = found;
  const port = service.ports.find(
    (each) => each.port === number && (each.protocol === 'udp') === udp,
  );
  if (port === undefined) {
    const ports = service.ports.map(describePort).join(', ');
    const hint = ports === '' ? 'it has none' : `it has ${ports}`;
    const what = udp ? 'datagrams' : 'connections';
    return {
      kind: 'nowhere',
      text: `${because}, which has no port ${number} for ${what}: ${hint}`,
    };
  }
  const name = port.name === '' ? '' : ` ("${port.name}")`;
  const text = `${because}; port ${number}${name} of it is ${spoken(port, options.wallMs)}`;
  const why = whyNotReached(port, input);
  if (why !== '') return { kind: 'nowhere', text: text + why };
  const { key, address } = service;
  return { kind: 'reached', service: key, address, port: number, udp, text };
}

/** What ends the sentence about a port that such callers do not reach; else ''. */
function whyNotReached(port: ServicePort, { host, plain = false }: DialInput): string {
  if (!isCarried(port)) return ', which this version does not proxy';
  if (plain && port.protocol === 'http') {
    const scheme = port.callerTls === null ? 'http' : 'https';
    return `: ask about ${scheme}://${host}:${port.port}/`;
  }
  const isBare = port.callerTls !== null && usableOf(port.callerTls).length === 0;
  return isBare ? ': until there is one, connections are refused' : '';
}

function spoken(
  { protocol, backend, passesTls, callerTls, because }: ServicePort,
  wallMs: number | undefined,
): string {
  const isPlain = protocol !== 'http' || (backend.protocol === 'http/1.1' && backend.tls === null);
  const own = passesTls ? `${protocol} with TLS of its callers` : protocol;
  const what = isPlain ? own : `${protocol} with ${spokenTo(backend)} to its endpoints`;
  const why = because === '' ? what : `${what} (${because})`;
  return callerTls === null ? why : `${why}, in TLS of its callers ${shown(callerTls, wallMs)}`;
}

/** Certificates by which callers are served. */
function shown(callerTls: CallerTls, wallMs: number | undefined): string {
  const usable = usableOf(callerTls);
  if (usable.length === 0) return 'and no Secret with a certificate that can be used';
  const each = usable.map((of) => `${of.secret} (${timesOf(of, wallMs)})`);
  return `by the certificate${usable.length === 1 ? '' : 's'} of Secret ${each.join(', ')}`;
}

function usableOf({ certificates }: CallerTls): readonly Certificate[] {
  return certificates.filter(({ digest }) => digest !== '');
}

function timesOf({ notBeforeMs, notAfterMs }: Certificate, wallMs: number | undefined): string {
  if (wallMs !== undefined && wallMs >= notAfterMs)
    return `expired at ${timeOf(notAfterMs)}: callers do not believe it`;
  if (wallMs !== undefined && wallMs < notBeforeMs)
    return `not valid before ${timeOf(notBeforeMs)}: callers do not believe it`;
  return `until ${timeOf(notAfterMs)}`;
}

interface Found {
  readonly service: Service;
  readonly because: string;
}

/** The Service, or why there is none. Names are compared as DNS does; the longest domain wins. */
function byName(host: string, { services, domains, outside }: DialOptions): Found | string {
  const name = host.toLowerCase().replace(/\.$/, '');
  const domain = domains
    .filter((each) => name === each || name.endsWith(`.${each}`))
    .reduce((longest, each) => (each.length > longest.length ? each : longest), '');
  const [first = ''] = domains;
  const known = [...services.values()].map((service) => `${service.name}.${service.namespace}`);
  if (domain === '') {
    const meant = known.includes(name) ? `; did you mean "${name}.${first}"?` : '';
    const endings = domains.map((each) => `.${each}`).join(' or ');
    return `"${host}" is not a mesh name: those end in ${endings}${meant}`;
  }
  const below = name.slice(0, Math.max(name.length - domain.length - 1, 0));
  const [label = '', namespace = '', ...rest] = below.split('.');
  const service = rest.length === 0 ? services.get(`${namespace}/${label}`) : undefined;
  if (service === undefined) {
    const reason = outside?.get(`${namespace}/${label}`) ?? '';
    if (reason !== '') return `Service ${namespace}/${label} is not part of the mesh: ${reason}`;
    return `"${host}" is not the name of a Service in the mesh${meantBy(below, known, domain)}`;
  }
  if (service.address === '') {
    return `"${host}" is Service ${service.key}, which has no address yet: its name is not published`;
  }
  return { service, because: `${name} is ${service.address}, Service ${service.key}` };
}

function meantBy(below: string, known: readonly string[], domain: string): string {
  const near = nearest(below, known).map((each) => `"${each}.${domain}"`);
  return near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`;
}

function byAddress(host: string, { services }: DialOptions): Found | string {
  for (const service of services.values()) {
    if (!addressesOf(service).includes(host)) continue;
    return { service, because: `${host} is the address of Service ${service.key}` };
  }
  return `"${host}" is not the address of a Service in the mesh`;
}

function describePort({ name, port, protocol }: ServicePort): string {
  return name === '' ? `${port} (${protocol})` : `${port} (${name}, ${protocol})`;
}
