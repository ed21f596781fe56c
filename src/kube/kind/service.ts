/** Service (v1). */

import { listAt, textAt } from '../../base/record.ts';
import { canonicalIp } from '../address.ts';
import { isPort } from '../fields.ts';
import type { Fields } from '../fields.ts';
import { type Meta, readMeta } from '../meta.ts';
import { LABEL, PORT_NAME, isName } from '../name.ts';
import { readProtocol } from '../protocol.ts';
import { withMeta } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface ServicePortSpec {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
  readonly targetPort: number | string;
  readonly appProtocol: string;
}

export interface ServiceObject {
  readonly kind: 'Service';
  readonly meta: Meta;
  readonly type: string;
  readonly clusterIP: string;
  readonly clusterIPs: readonly string[];
  /** null when the Service has no selector: its endpoints are made by hand. */
  readonly selector: Readonly<Record<string, string>> | null;
  readonly ports: readonly ServicePortSpec[];
  readonly publishNotReadyAddresses: boolean;
  /** Seconds that a source address keeps its endpoint without a request; null without `sessionAffinity: ClientIP`. */
  readonly affinitySeconds: number | null;
  /** `internalTrafficPolicy: Local`: only endpoints of the caller's node. */
  readonly isNodeLocal: boolean;
  /** `PreferClose` and so on, '' for none. */
  readonly trafficDistribution: string;
}

const TYPES: ReadonlySet<string> = new Set([
  'ClusterIP',
  'NodePort',
  'LoadBalancer',
  'ExternalName',
]);

/** Reads a Service. A bad port costs that port; a bad selector costs the Service, since less of it would match more pods. */
function readService(object: Fields): ServiceObject {
  const meta = readMeta(object, LABEL, 'namespaced');
  const spec = object.child('spec');
  const type = readType(spec);
  const clusterIP = readClusterIp(spec);
  return {
    kind: 'Service',
    meta,
    type,
    clusterIP,
    clusterIPs: readClusterIps(spec, clusterIP),
    selector: readSelector(spec),
    ports: readPorts(spec, type !== 'ExternalName' && clusterIP !== 'None'),
    publishNotReadyAddresses: spec.flag('publishNotReadyAddresses', false, false),
    affinitySeconds: readAffinity(spec),
    isNodeLocal: readTrafficPolicy(spec) !== 'Cluster',
    trafficDistribution: readDistribution(spec),
  };
}

/** As the API server has it. */
const AFFINITY_SECONDS = 10_800;
const AFFINITY_SECONDS_MAX = 86_400;

/** Seconds, or null for none. A bad time costs the time alone. */
function readAffinity(spec: Fields): number | null {
  const affinity = spec.text('sessionAffinity') || 'None';
  if (affinity !== 'None' && affinity !== 'ClientIP') {
    spec.error('sessionAffinity', 'Session affinity is not known', 'write ClientIP or None');
  }
  const config = spec.child('sessionAffinityConfig').child('clientIP');
  const seconds = config.raw('timeoutSeconds') ?? AFFINITY_SECONDS;
  const isSeconds = typeof seconds === 'number' && Number.isInteger(seconds);
  const isGood = isSeconds && seconds >= 1 && seconds <= AFFINITY_SECONDS_MAX;
  if (!isGood) {
    config.error(
      'timeoutSeconds',
      `Must be whole seconds from 1 to ${AFFINITY_SECONDS_MAX}`,
      `write a number such as ${AFFINITY_SECONDS}, which holds until then`,
    );
  }
  if (affinity !== 'ClientIP') return null;
  return isGood ? seconds : AFFINITY_SECONDS;
}

/** What is not known narrows too: traffic that should stay on its node must not leave it because of a typing error. */
function readTrafficPolicy(spec: Fields): string {
  const policy = spec.text('internalTrafficPolicy') || 'Cluster';
  if (policy !== 'Cluster' && policy !== 'Local') {
    const remedy = 'write Cluster or Local; until then it counts as Local';
    spec.error('internalTrafficPolicy', 'Traffic policy is not known', remedy);
  }
  return policy;
}

const DISTRIBUTIONS: ReadonlySet<string> = new Set([
  '',
  'PreferClose',
  'PreferSameZone',
  'PreferSameNode',
]);

function readDistribution(spec: Fields): string {
  const distribution = spec.text('trafficDistribution');
  if (DISTRIBUTIONS.has(distribution)) return distribution;
  spec.warning(
    'trafficDistribution',
    'Traffic distribution is not known, so it has no effect',
    'write PreferSameZone, PreferSameNode or PreferClose',
  );
  return '';
}

function readType(spec: Fields): string {
  const type = spec.text('type', 'ClusterIP');
  if (TYPES.has(type)) return type;
  spec.lose('type', 'Service type is not known', `write one of ${[...TYPES].join(', ')}`);
  return type;
}

function readClusterIp(spec: Fields): string {
  const text = spec.text('clusterIP');
  if (text === '' || text === 'None') return text;
  const address = canonicalIp(text);
  if (address === null) {
    spec.error(
      'clusterIP',
      'Cluster IP is not an IP address',
      'write an IP address or None, or leave it out',
    );
  }
  return address ?? '';
}

function readClusterIps(spec: Fields, clusterIP: string): readonly string[] {
  const found: string[] = [];
  for (const item of spec.texts('clusterIPs')) {
    const address = item.text === 'None' ? 'None' : canonicalIp(item.text);
    if (address !== null) found.push(address);
    else
      spec.errorIn(
        'clusterIPs',
        item,
        'Cluster IP is not an IP address',
        'write IP addresses or None',
      );
  }
  if (found.length === 0 && clusterIP !== '') found.push(clusterIP);
  return found;
}

function readSelector(spec: Fields): Readonly<Record<string, string>> | null {
  const selector = spec.texted('selector');
  const labels = spec.raw('selector');
  const written = typeof labels === 'object' && labels !== null ? Object.keys(labels).length : 0;
  const count = Object.keys(selector).length;
  if (count < written) {
    spec.lose(
      'selector',
      'Selector cannot be used with some of its labels missing',
      'correct the labels named',
    );
  }
  return count === 0 ? null : selector;
}

function readPorts(spec: Fields, isNeeded: boolean): readonly ServicePortSpec[] {
  const items = spec.children('ports');
  if (isNeeded && !spec.has('ports') && !spec.isLost) {
    spec.error('ports', 'Service has no ports', 'list at least one under "ports"');
  }
  const ports: ServicePortSpec[] = [];
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const item of items) {
    const port = readPort(item, items.length > 1);
    if (port === null) continue;
    const number = `${port.port}/${port.protocol}`;
    if (names.has(port.name)) {
      item.error(
        'name',
        'Two ports of the Service have this name',
        'give each port a name of its own',
      );
    } else if (numbers.has(number)) {
      item.error(
        'port',
        'Two ports of the Service have this number and protocol',
        'remove one of them',
      );
    } else {
      ports.push(port);
      names.add(port.name);
      numbers.add(number);
    }
  }
  return ports;
}

function readPort(item: Fields, hasSiblings: boolean): ServicePortSpec | null {
  const port = item.port('port');
  const protocol = readProtocol(item);
  const name = readPortName(item, hasSiblings);
  const targetPort = readTargetPort(item, port);
  if (port === null || protocol === null || name === null || targetPort === null) return null;
  return { name, protocol, port, targetPort, appProtocol: item.text('appProtocol') };
}

function readPortName(item: Fields, hasSiblings: boolean): string | null {
  const name = item.raw('name') ?? '';
  if (name === '' && !hasSiblings) return '';
  if (name === '') {
    item.error('name', 'Port has no name beside other ports', 'give each port a name');
    return null;
  }
  if (typeof name === 'string' && isName(name, LABEL)) return name;
  item.error('name', 'Port name is not valid', `use ${LABEL.text}`);
  return null;
}

/** `port` is what holds where there is none. */
function readTargetPort(item: Fields, port: number | null): number | string | null {
  const target = item.raw('targetPort');
  if (target === undefined || target === null || target === 0 || target === '') return port;
  if (isPort(target)) return target;
  if (typeof target === 'string' && isName(target, PORT_NAME)) return target;
  const remedy =
    typeof target === 'string' && isPort(Number(target))
      ? 'remove the quotes: a quoted number is taken for a name'
      : `write a number from 1 to 65535 or the name of a container port: ${PORT_NAME.text}`;
  item.error('targetPort', 'Target port is neither a port number nor a port name', remedy);
  return null;
}

/** Cluster IPs of a Service as the API server shows it; none of a headless one. */
export function clusterIpsOf(raw: unknown): readonly string[] {
  const many = listAt(raw, 'spec', 'clusterIPs');
  const all = many.length === 0 ? [textAt(raw, 'spec', 'clusterIP')] : many;
  return all.filter(
    (address): address is string =>
      typeof address === 'string' && address !== '' && address !== 'None',
  );
}

export const SERVICE: KindSpec<ServiceObject> = {
  kind: 'Service',
  group: '',
  versions: ['v1'],
  plural: 'services',
  isNamespaced: true,
  isOptional: false,
  read: readService,
  fields: withMeta({
    honoured: [
      [
        'spec.type',
        'an ExternalName Service has no mesh name, which is reported; the other types do not differ for callers',
      ],
      ['spec.selector', 'selects the endpoints if there is no EndpointSlice or Endpoints object'],
      [
        'spec.clusterIP spec.clusterIPs',
        '`None` makes the Service headless; `maesh up` keeps an address in its range',
      ],
      [
        'spec.ports[].name spec.ports[].port spec.ports[].targetPort',
        'the ports that the proxy opens and dials; a name such as http-web or redis says the protocol',
      ],
      ['spec.ports[].protocol', 'TCP and UDP; an SCTP port is left out and reported'],
      [
        'spec.ports[].appProtocol',
        'the protocol of the port; other protocols than HTTP are not proxied as HTTP, and reported',
      ],
      ['spec.publishNotReadyAddresses', 'endpoints that are not ready are used too'],
      [
        'spec.sessionAffinity spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        'requests of one source address go to one endpoint',
      ],
      ['spec.internalTrafficPolicy', '`Local` uses only endpoints on the caller’s node'],
      ['spec.trafficDistribution', 'near endpoints first, unless an annotation overrides it'],
    ],
    told: [],
    irrelevant: [
      [
        'spec.externalIPs spec.externalTrafficPolicy spec.allocateLoadBalancerNodePorts spec.healthCheckNodePort spec.loadBalancerClass spec.loadBalancerIP spec.loadBalancerSourceRanges spec.ports[].nodePort status.loadBalancer',
        'for traffic from outside the cluster, which does not use mesh names',
      ],
      ['spec.externalName', 'a Service of type ExternalName has no mesh name'],
      ['spec.ipFamilies spec.ipFamilyPolicy', 'mesh names have addresses of the mesh'],
      ['status.conditions', 'conditions of load balancers'],
    ],
  }),
};
