/** Endpoints (v1). */

import { readAddress } from '../address.ts';
import type { Fields } from '../fields.ts';
import { checkHostName } from '../host-name.ts';
import { type Meta, readMeta } from '../meta.ts';
import { SUBDOMAIN } from '../name.ts';
import type { EndpointAddress } from './endpoint-slice.ts';
import { type PortRef, readPortRefs } from '../port-ref.ts';
import { readPodOf } from '../target-ref.ts';
import { below, withMeta, type Row, TARGET, TARGET_REST } from '../field-use.ts';
import type { KindSpec } from './spec.ts';

export interface EndpointsObject {
  readonly kind: 'Endpoints';
  readonly meta: Meta;
  readonly subsets: readonly {
    readonly ports: readonly PortRef[];
    readonly addresses: readonly EndpointAddress[];
  }[];
}

/** Reads an Endpoints object. A bad address or port costs that address or port. */
function readEndpoints(object: Fields): EndpointsObject {
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

export const ENDPOINTS: KindSpec<EndpointsObject> = {
  kind: 'Endpoints',
  group: '',
  versions: ['v1'],
  plural: 'endpoints',
  isNamespaced: true,
  isOptional: false,
  keptLabels: [],
  read: readEndpoints,
  fields: withMeta({
    honoured: [
      ...['subsets[].addresses[]', 'subsets[].notReadyAddresses[]'].flatMap((at): Row[] => [
        [`${at}.ip ${at}.nodeName`, 'location of an endpoint'],
        [below(at, TARGET), 'the Pod of the endpoint'],
      ]),
      [
        'subsets[].ports[].name subsets[].ports[].port subsets[].ports[].protocol',
        'the port to dial',
      ],
    ],
    told: [
      [
        'subsets[].addresses[].hostname subsets[].notReadyAddresses[].hostname',
        'an endpoint of a headless Service has the name of its Pod; other host names are not mesh names',
      ],
    ],
    irrelevant: [
      ...['subsets[].addresses[]', 'subsets[].notReadyAddresses[]'].map((at): Row => [
        below(at, TARGET_REST),
        'the name of the Pod is sufficient',
      ]),
      ['subsets[].ports[].appProtocol', 'the port of the Service has it'],
    ],
  }),
};
