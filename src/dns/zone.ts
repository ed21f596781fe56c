/** What the mesh answers to a question: pure, from a view of the Services to records. Knows nothing of sockets and bytes. */

import type { Answer } from 'dns-packet';

import { addressesOf, type Service, type ServicePort } from '../model/service.ts';
import { CLASS_IN, RCODE, TYPE, type Question, type Rcode } from './query.ts';
import { readReverse, type ReverseZone } from './reverse.ts';

/** The Services as the zone sees them; src/dns/view.ts keeps one up to date. */
export interface ZoneView {
  service(namespace: string, name: string): Service | undefined;
  byAddress(ip: string): Service | undefined;
  /** Becomes the serial of the SOA records. */
  version(): number;
  /** Whether any Service lives there. */
  hasNamespace(namespace: string): boolean;
}

export interface ZoneOptions {
  /** Lower case, without a trailing dot, at least one; PTR records name the first. */
  readonly domains: readonly string[];
  /** Of every record, negative answers included. */
  readonly ttlSeconds: number;
  /** Where the name server itself is reached, '' when it is not known (listening on all addresses). */
  readonly nameServerAddress: string;
  readonly reverse: ReverseZone;
}

export interface Reply {
  readonly rcode: Rcode;
  /** Whether the name is in a zone of ours. */
  readonly authoritative: boolean;
  readonly answers: readonly Answer[];
  readonly authorities: readonly Answer[];
  readonly additionals: readonly Answer[];
}

/** A zone of ours with the part of the name that is below it, lower case. */
interface Place {
  /** Name of the zone, lower case. */
  readonly apex: string;
  readonly below: readonly string[];
  /** The question's name with its case: owner of the answers. */
  readonly owner: string;
}

/** What there is at a name: nothing, or records (an empty list is a name that only has names below it). */
type Node = readonly Answer[] | null;

const REFUSED: Reply = {
  rcode: RCODE.REFUSED,
  authoritative: false,
  answers: [],
  authorities: [],
  additionals: [],
};

/** What may be in a Service, namespace or port name, underscore for the SRV labels. */
const NAME_LABEL = /^[a-z0-9_-]+$/;

/** Answers one question; the same view gives the same answer. */
export function answer(question: Question, view: ZoneView, options: ZoneOptions): Reply {
  if (question.class !== CLASS_IN) return REFUSED;
  if (question.type === TYPE.AXFR || question.type === TYPE.IXFR) return REFUSED;
  const labels = question.labels.map((label) => label.toLowerCase());
  const owner = question.labels.join('.');
  const zone = new Zone(view, options);
  const place = placeOf(labels, owner, options.domains);
  if (place !== null) return zone.forward(place, question.type);
  const reverse = readReverse(labels, options.reverse);
  if (reverse.kind === 'outside') return REFUSED;
  const reversePlace = { apex: reverse.apex, below: [], owner };
  return zone.reply(reversePlace, zone.reverseNode(reverse, owner), question.type);
}

/** The longest of the domains that the name is in: one may lie below another. */
function placeOf(
  labels: readonly string[],
  owner: string,
  domains: readonly string[],
): Place | null {
  let best: Place | null = null;
  for (const apex of domains) {
    const below = labelsBelow(labels, apex.split('.'));
    if (below !== null && (best === null || below.length < best.below.length)) {
      best = { apex, below, owner };
    }
  }
  return best;
}

/** The labels of a name without those of the domain, or null when it is not below (or at) the domain. */
function labelsBelow(
  labels: readonly string[],
  domain: readonly string[],
): readonly string[] | null {
  const count = labels.length - domain.length;
  if (count < 0) return null;
  for (let i = 0; i < domain.length; i++) if (labels[count + i] !== domain[i]) return null;
  return labels.slice(0, count);
}

/** One question's worth of record building. */
class Zone {
  readonly #view: ZoneView;
  readonly #options: ZoneOptions;

  constructor(view: ZoneView, options: ZoneOptions) {
    this.#view = view;
    this.#options = options;
  }

  /** A name in one of the domains. */
  forward(place: Place, type: number): Reply {
    const reply = this.reply(place, this.#forwardNode(place), type);
    if (type !== TYPE.SRV || reply.answers.length === 0) return reply;
    const service = this.#service(place.below[3], place.below[2]);
    if (service === undefined) return reply;
    return {
      ...reply,
      additionals: this.#addresses(this.#serviceName(service, place.apex), addressesOf(service)),
    };
  }

  /** NXDOMAIN, NODATA or the records of the type, with the SOA record where there is nothing else (RFC 2308). */
  reply(place: Place, node: Node, type: number): Reply {
    const wanted = recordTypeOf(type);
    const answers =
      node === null || node.length === 0
        ? []
        : type === TYPE.ANY
          ? [this.#minimal(place.owner)]
          : node.filter((record) => record.type === wanted);
    const isEmpty = answers.length === 0;
    return {
      rcode: node === null ? RCODE.NXDOMAIN : RCODE.NOERROR,
      authoritative: true,
      answers,
      authorities: isEmpty ? [this.#soa(place.apex, place.apex)] : [],
      additionals: type === TYPE.NS && !isEmpty ? this.#nameServerGlue(place) : [],
    };
  }

  /** A name below in-addr.arpa that is ours. */
  reverseNode(
    reverse: Exclude<ReturnType<typeof readReverse>, { kind: 'outside' }>,
    owner: string,
  ): Node {
    if (reverse.kind === 'none') return null;
    if (reverse.kind === 'above') return reverse.isApex ? this.#apex(reverse.apex, owner) : [];
    const service = this.#view.byAddress(reverse.address);
    if (service === undefined) return null;
    const data = this.#serviceName(service, this.#options.domains[0] ?? '');
    return [{ type: 'PTR', name: owner, ttl: this.#options.ttlSeconds, data }];
  }

  /**
   * Names below a domain, right to left: namespace, service, `_tcp` or `_udp`, `_port`. Every step of the way to a name
   * that exists exists too (RFC 8020).
   */
  #forwardNode(place: Place): Node {
    const { apex, below, owner } = place;
    if (below.length === 0) return this.#apex(apex, owner);
    if (below.length > 4 || !below.every((label) => NAME_LABEL.test(label))) return null;
    const namespace = below.at(-1) ?? '';
    if (below.length === 1) {
      return this.#view.hasNamespace(namespace) || namespace === NAME_SERVER_LABELS[1] ? [] : null;
    }
    const service = this.#service(namespace, below.at(-2));
    if (service === undefined) return this.#nameServerNode(place);
    if (below.length === 2) return this.#addresses(owner, addressesOf(service));
    return this.#srvNode(place, service) ?? this.#podNode(place, service);
  }

  #srvNode(place: Place, service: Service): Node {
    const { below, owner } = place;
    const transport = below.at(-3) ?? '';
    const ports = service.ports.filter(
      (port) => port.name !== '' && transportOf(port) === transport,
    );
    if (below.length === 3) return ports.length > 0 ? [] : null;
    const port = ports.find((candidate) => `_${candidate.name}` === below[0]);
    if (port === undefined) return null;
    const target = this.#serviceName(service, place.apex);
    const data = { priority: 0, weight: 100, port: port.port, target };
    return [{ type: 'SRV', name: owner, ttl: this.#options.ttlSeconds, data }];
  }

  /** `pod.service.namespace` of a headless Service: the pod itself, as the name in the cluster has it. */
  #podNode({ below, owner }: Place, service: Service): Node {
    if (!service.headless || below.length !== 3) return null;
    const pod = `${service.namespace}/${below[0]}`;
    const addresses = new Set<string>();
    for (const { backend } of service.ports) {
      for (const endpoint of backend.endpoints) {
        if (endpoint.pod === pod) addresses.add(endpoint.address);
      }
    }
    return addresses.size === 0 ? null : this.#addresses(owner, [...addresses]);
  }

  #apex(apex: string, owner: string): Node {
    return [
      this.#soa(apex, owner),
      { type: 'NS', name: owner, ttl: this.#options.ttlSeconds, data: this.#nameServer(apex) },
    ];
  }

  /** `ns.dns.DOMAIN`, unless a Service has that name. */
  #nameServerNode(place: Place): Node {
    if (place.below.length !== 2 || place.below.join('.') !== NAME_SERVER_LABELS.join('.'))
      return null;
    return this.#addresses(place.owner, [this.#options.nameServerAddress]);
  }

  #nameServer(apex: string): string {
    const domain = this.#options.domains.includes(apex) ? apex : (this.#options.domains[0] ?? '');
    return [...NAME_SERVER_LABELS, domain].join('.');
  }

  #nameServerGlue(place: Place): readonly Answer[] {
    const name = this.#nameServer(place.apex);
    return this.#addresses(name, [this.#options.nameServerAddress]);
  }

  #service(namespace: string | undefined, name: string | undefined): Service | undefined {
    return this.#view.service(namespace ?? '', name ?? '');
  }

  #serviceName(service: Service, domain: string): string {
    return `${service.name}.${service.namespace}.${domain}`;
  }

  #addresses(name: string, addresses: readonly string[]): readonly Answer[] {
    const ttl = this.#options.ttlSeconds;
    return addresses
      .filter((address) => address !== '')
      .map((data) => ({ type: data.includes(':') ? 'AAAA' : 'A', name, ttl, data }));
  }

  #soa(apex: string, owner: string): Answer {
    const ttl = this.#options.ttlSeconds;
    const data = {
      mname: this.#nameServer(apex),
      rname: `hostmaster.${this.#options.domains[0] ?? ''}`,
      serial: this.#view.version() >>> 0,
      refresh: 7_200,
      retry: 1_800,
      expire: 86_400,
      minimum: ttl,
    };
    return { type: 'SOA', name: owner, ttl, data };
  }

  /** RFC 8482 §4.2: one synthesised HINFO record instead of everything. */
  #minimal(owner: string): Answer {
    return {
      type: 'HINFO',
      name: owner,
      ttl: this.#options.ttlSeconds,
      data: { cpu: 'RFC8482', os: '' },
    };
  }
}

/** Labels of the name server below its domain, as CoreDNS names it. */
const NAME_SERVER_LABELS = ['ns', 'dns'] as const;

function transportOf(port: ServicePort): string {
  return port.protocol === 'udp' ? '_udp' : '_tcp';
}

function recordTypeOf(type: number): string {
  switch (type) {
    case TYPE.A:
      return 'A';
    case TYPE.AAAA:
      return 'AAAA';
    case TYPE.NS:
      return 'NS';
    case TYPE.PTR:
      return 'PTR';
    case TYPE.SOA:
      return 'SOA';
    case TYPE.SRV:
      return 'SRV';
    default:
      return '';
  }
}
