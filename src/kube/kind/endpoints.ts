/** Endpoints (v1). */

import { readAddress } from '../address.ts';
import type { Fields } from '../fields.ts';
import { checkHostName } from '../host-name.ts';
import { readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { EndpointAddress, EndpointsObject } from '../object.ts';
import { readPortRefs } from '../port-ref.ts';
import { readPodOf } from '../target-ref.ts';

/** Reads an Endpoints object. A bad address or port costs that address or port. */
export function readEndpoints(object: Fields): EndpointsObject {
  const meta = readMeta(object, SUBDOMAIN, 'namespaced');
  const subsets = object.children('subsets').map((subset) => ({
    ports: readPortRefs(subset, 'port'),
    addresses: [
      ...readAddresses(subset, 'addresses', meta.namespace),
      ...readAddresses(subset, 'notReadyAddresses', meta.namespace),
    ],
  }));
  return { kind: 'Endpoints', meta, subsets };
}

function readAddresses(
  subset: Fields,
  key: 'addresses' | 'notReadyAddresses',
  namespace: string,
): readonly EndpointAddress[] {
  const found: EndpointAddress[] = [];
  const ready = key === 'addresses';
  for (const item of subset.children(key)) {
    const address = readAddress(item, 'ip');
    if (address === null) continue;
    const pod = readPodOf(item, namespace);
    checkHostName(item, pod.slice(pod.indexOf('/') + 1));
    found.push({
      address,
      ready,
      serving: ready,
      terminating: false,
      nodeName: item.text('nodeName'),
      zone: '',
      pod,
    });
  }
  return found;
}
