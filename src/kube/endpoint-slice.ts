/** EndpointSlice (discovery.k8s.io/v1). */

import { isIPv4 } from 'node:net';
import { canonicalIp, unusable } from './address.ts';
import type { Fields } from './fields.ts';
import { readMeta } from './meta.ts';
import { SUBDOMAIN, isName } from './name.ts';
import type { EndpointAddress, EndpointSliceObject } from './object.ts';
import { readPortRefs } from './port-ref.ts';
import { readPodOf } from './target-ref.ts';

const SERVICE_LABEL = 'kubernetes.io/service-name';
const ADDRESS_TYPES: ReadonlySet<string> = new Set(['IPv4', 'IPv6', 'FQDN']);

/** Reads an EndpointSlice. A bad endpoint or port costs that one; an unknown address type costs the object. */
export function readEndpointSlice(object: Fields): EndpointSliceObject {
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
  const endpoints: EndpointAddress[] = [];
  for (const item of object.children('endpoints')) {
    const endpoint = readEndpoint(item, addressType, meta.namespace);
    if (endpoint !== null) endpoints.push(endpoint);
  }
  return {
    kind: 'EndpointSlice',
    meta,
    service,
    addressType,
    ports: readPortRefs(object, 'port'),
    endpoints,
  };
}

function readEndpoint(
  item: Fields,
  addressType: string,
  namespace: string,
): EndpointAddress | null {
  const address = readFirstAddress(item, addressType);
  if (address === null) return null;
  const conditions = item.child('conditions');
  const ready = conditions.flag('ready', true);
  return {
    address,
    ready,
    serving: conditions.flag('serving', ready),
    terminating: conditions.flag('terminating', false),
    nodeName: item.text('nodeName'),
    zone: item.text('zone'),
    pod: readPodOf(item, namespace),
  };
}

/** The API gives only the first address of an endpoint a meaning. */
function readFirstAddress(item: Fields, addressType: string): string | null {
  const addresses = item.texts('addresses');
  const [first] = addresses;
  if (first === undefined) {
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
    if (isName(first, SUBDOMAIN)) return first;
    item.error('addresses', 'Address is not a host name', `use ${SUBDOMAIN.text}`);
    return null;
  }
  const reason = unusable(first) ?? familyMismatch(first, addressType);
  if (reason === null) return canonicalIp(first);
  item.error('addresses', reason, `write an ${addressType} address, or change addressType`);
  return null;
}

function familyMismatch(address: string, addressType: string): string | null {
  const family = isIPv4(address) ? 'IPv4' : 'IPv6';
  return family === addressType ? null : `Address is ${family} in a slice for ${addressType}`;
}
