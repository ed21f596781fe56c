/** Objects for tests, with defaults for what a test does not care about. */

import { SecretText } from '../base/secret-text.ts';
import type { EndpointAddress, EndpointSliceObject } from '../kube/kind/endpoint-slice.ts';
import type { EndpointsObject } from '../kube/kind/endpoints.ts';
import type { NamespaceObject } from '../kube/kind/namespace.ts';
import type { NodeObject } from '../kube/kind/node.ts';
import type { PodObject } from '../kube/kind/pod.ts';
import type { SecretObject } from '../kube/kind/secret.ts';
import type { ServiceObject, ServicePortSpec } from '../kube/kind/service.ts';
import type { Meta } from '../kube/meta.ts';

export function metaOf(name: string, namespace: string, over: Partial<Meta> = {}): Meta {
  return { name, namespace, labels: {}, annotations: {}, uid: '', deletionTimestamp: '', ...over };
}

export function portOf(over: Partial<ServicePortSpec> = {}): ServicePortSpec {
  return { name: '', protocol: 'TCP', port: 80, targetPort: 8080, appProtocol: '', ...over };
}

/** A Service `shop/NAME` that selects `app: NAME`, port 80 to 8080. */
export function serviceOf(
  name: string,
  over: Partial<ServiceObject> & { readonly annotations?: Record<string, string> } = {},
): ServiceObject {
  const { annotations = {}, ...rest } = over;
  return {
    kind: 'Service',
    meta: metaOf(name, 'shop', { annotations }),
    type: 'ClusterIP',
    clusterIP: '',
    clusterIPs: [],
    selector: { app: name },
    ports: [portOf()],
    publishNotReadyAddresses: false,
    affinitySeconds: null,
    isNodeLocal: false,
    trafficDistribution: '',
    ...rest,
  };
}

/** A ready Pod `shop/NAME` with label `app: APP`. */
export function podOf(
  name: string,
  app: string,
  address: string,
  over: Partial<PodObject> = {},
): PodObject {
  return {
    kind: 'Pod',
    meta: metaOf(name, 'shop', { labels: { app } }),
    nodeName: '',
    serviceAccount: 'default',
    hostNetwork: false,
    phase: 'Running',
    ready: true,
    podIPs: [address],
    ports: [],
    ...over,
  };
}

export function endpointOf(address: string, over: Partial<EndpointAddress> = {}): EndpointAddress {
  return {
    address,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: '',
    zone: '',
    pod: '',
    ...over,
  };
}

/** An EndpointSlice in `shop` with one TCP port without a name, 8080. */
export function sliceOf(
  name: string,
  service: string,
  endpoints: readonly EndpointAddress[],
  over: Partial<EndpointSliceObject> = {},
): EndpointSliceObject {
  return {
    kind: 'EndpointSlice',
    meta: metaOf(name, 'shop'),
    service,
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...over,
  };
}

export function endpointsOf(name: string, addresses: readonly EndpointAddress[]): EndpointsObject {
  const ports = [{ name: '', port: 8080, protocol: 'TCP' }];
  return { kind: 'Endpoints', meta: metaOf(name, 'shop'), subsets: [{ ports, addresses }] };
}

export function nodeOf(name: string, zone: string): NodeObject {
  return { kind: 'Node', meta: metaOf(name, ''), zone };
}

export function namespaceOf(name: string, over: Partial<Meta> = {}): NamespaceObject {
  return { kind: 'Namespace', meta: metaOf(name, '', over) };
}

/** A Secret `shop/NAME` of type kubernetes.io/tls. */
export function secretOf(
  name: string,
  given: {
    readonly certificate?: string;
    readonly key?: string;
    readonly ca?: string;
    readonly type?: string;
    readonly namespace?: string;
  },
): SecretObject {
  const {
    certificate = '',
    key = '',
    ca = '',
    type = 'kubernetes.io/tls',
    namespace = 'shop',
  } = given;
  return {
    kind: 'Secret',
    meta: metaOf(name, namespace),
    type,
    certificate,
    ca,
    privateKey: key === '' ? null : new SecretText(key),
    faults: {},
  };
}
