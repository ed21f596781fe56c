/** EndpointSlice (discovery.k8s.io/v1). */

import { isIPv4 } from 'node:net';
import { isRecord } from '../../base/record.ts';
import { canonicalIp, unusable } from '../address.ts';
import type { Fields } from '../fields.ts';
import { checkHostName } from '../host-name.ts';
import { type Meta, readMeta } from '../meta.ts';
import { SUBDOMAIN, isName } from '../name.ts';
import { type PortRef, readPortRefs } from '../port-ref.ts';
import { readPodOf } from '../target-ref.ts';
import { below, withMeta, TARGET, TARGET_REST } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface EndpointAddress {
  readonly address: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  readonly nodeName: string;
  readonly zone: string;
  /** `namespace/name` of the pod, or ''. */
  readonly pod: string;
}

export interface EndpointSliceObject {
  readonly kind: 'EndpointSlice';
  readonly meta: Meta;
  /** Name of the Service in the same namespace. */
  readonly service: string;
  readonly addressType: string;
  readonly ports: readonly PortRef[];
  readonly endpoints: readonly EndpointAddress[];
}

const SERVICE_LABEL = 'kubernetes.io/service-name';
const ADDRESS_TYPES: ReadonlySet<string> = new Set(['IPv4', 'IPv6', 'FQDN']);

/** Reads an EndpointSlice. A bad endpoint or port costs that one; an unknown address type costs the object. */
function readEndpointSlice(object: Fields): EndpointSliceObject {
  const meta = readMeta(object, SUBDOMAIN, 'namespaced');
  const service = meta.labels[SERVICE_LABEL] ?? '';
  if (service === '' && meta.name !== '') {
    object
      .child('metadata')
      .warning('labels', 'EndpointSlice belongs to no Service', `add the label ${SERVICE_LABEL}`);
  }
  const addressType = object.text('addressType');
  if (!ADDRESS_TYPES.has(addressType)) {
    object.lose('addressType', 'Address type is not known', 'write IPv4, IPv6 or FQDN');
  }
  return {
    kind: 'EndpointSlice',
    meta,
    service,
    addressType,
    ports: readPortRefs(object, 'port'),
    endpoints: object.isLost ? [] : readEndpoints(object, addressType, meta.namespace),
  };
}

function readEndpoints(
  object: Fields,
  addressType: string,
  namespace: string,
): readonly EndpointAddress[] {
  const endpoints: EndpointAddress[] = [];
  for (const item of object.children('endpoints')) {
    const endpoint = readEndpoint(item, addressType, namespace);
    if (endpoint !== null) endpoints.push(endpoint);
  }
  return endpoints;
}

function readEndpoint(
  item: Fields,
  addressType: string,
  namespace: string,
): EndpointAddress | null {
  const address = readFirstAddress(item, addressType);
  if (address === null) return null;
  const conditions = item.child('conditions');
  const pod = readPodOf(item, namespace);
  checkHostName(item, pod.slice(pod.indexOf('/') + 1));
  const ready = conditions.flag('ready', true, false);
  return {
    address,
    ready,
    serving: conditions.flag('serving', ready, false),
    terminating: conditions.flag('terminating', false, true),
    nodeName: item.text('nodeName'),
    zone: item.text('zone'),
    pod,
  };
}

/** The API gives only the first address of an endpoint a meaning. */
function readFirstAddress(item: Fields, addressType: string): string | null {
  const addresses = item.texts('addresses');
  const [first] = addresses;
  if (first === undefined) {
    const written = item.raw('addresses');
    if (Array.isArray(written) && written.length > 0) return null;
    item.error('addresses', 'Endpoint has no address', 'list one under "addresses"');
    return null;
  }
  if (addresses.length > 1) {
    item.warning(
      'addresses',
      'Only the first address of an endpoint is used',
      'write one endpoint for each address',
    );
  }
  if (addressType === 'FQDN') {
    if (isName(first.text, SUBDOMAIN)) return first.text;
    item.errorIn('addresses', first, 'Address is not a host name', `use ${SUBDOMAIN.text}`);
    return null;
  }
  const reason = unusable(first.text) ?? familyMismatch(first.text, addressType);
  if (reason === null) return canonicalIp(first.text);
  item.errorIn(
    'addresses',
    first,
    reason,
    `write an ${addressType} address, or change addressType`,
  );
  return null;
}

function familyMismatch(address: string, addressType: string): string | null {
  const family = isIPv4(address) ? 'IPv4' : 'IPv6';
  return family === addressType ? null : `Address is ${family} in a slice for ${addressType}`;
}

/** v1beta1 has node and zone in a mapping of labels (removed in Kubernetes 1.25). */
function upgrade(raw: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { endpoints } = raw;
  if (!Array.isArray(endpoints)) return raw;
  return { ...raw, endpoints: (endpoints as readonly unknown[]).map(upgradeEndpoint) };
}

function upgradeEndpoint(endpoint: unknown): unknown {
  if (!isRecord(endpoint) || !isRecord(endpoint['topology'])) return endpoint;
  const { topology, ...rest } = endpoint;
  return {
    ...rest,
    nodeName: endpoint['nodeName'] ?? topology['kubernetes.io/hostname'],
    zone: endpoint['zone'] ?? topology['topology.kubernetes.io/zone'],
  };
}

export const ENDPOINT_SLICE: KindSpec<EndpointSliceObject> = {
  kind: 'EndpointSlice',
  group: 'discovery.k8s.io',
  versions: ['v1', 'v1beta1'],
  plural: 'endpointslices',
  isNamespaced: true,
  isOptional: false,
  keptLabels: [SERVICE_LABEL],
  upgrade,
  read: readEndpointSlice,
  fields: withMeta({
    honoured: [
      ['addressType', 'IPv4 and IPv6; a slice of host names is not used and is reported'],
      [
        'endpoints[].addresses',
        'location of an endpoint; a second address has no meaning and is reported',
      ],
      [
        'endpoints[].conditions',
        'ready endpoints are used, or serving endpoints that are terminating',
      ],
      ['endpoints[].nodeName endpoints[].zone', 'near endpoints first'],
      [below('endpoints[]', TARGET), 'the Pod of the endpoint'],
      ['ports[].name ports[].port ports[].protocol', 'the port to dial'],
    ],
    told: [
      [
        'endpoints[].hostname',
        'an endpoint of a headless Service has the name of its Pod; other host names are not mesh names',
      ],
    ],
    irrelevant: [
      [below('endpoints[]', TARGET_REST), 'the name of the Pod is sufficient'],
      [
        'endpoints[].hints',
        'meant for kube-proxy, which does not see load; the mesh itself prefers near endpoints and spills over',
      ],
      ['endpoints[].deprecatedTopology', 'from v1beta1; `nodeName` and `zone` replace it'],
      ['ports[].appProtocol', 'the port of the Service has it'],
    ],
  }),
};
