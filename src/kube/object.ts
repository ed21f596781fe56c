/** All that the mesh reads of Kubernetes: one of the kinds in `kind/`. */

import type { ConfigMapObject } from './kind/config-map.ts';
import type { EndpointSliceObject } from './kind/endpoint-slice.ts';
import type { EndpointsObject } from './kind/endpoints.ts';
import type { NamespaceObject } from './kind/namespace.ts';
import type { NodeObject } from './kind/node.ts';
import type { PodObject } from './kind/pod.ts';
import type { SecretObject } from './kind/secret.ts';
import type { ServiceAccountObject } from './kind/service-account.ts';
import type { ServiceObject } from './kind/service.ts';
import type { Meta } from './meta.ts';

export type KubeObject =
  | ServiceObject
  | EndpointSliceObject
  | EndpointsObject
  | PodObject
  | NodeObject
  | NamespaceObject
  | ServiceAccountObject
  | ConfigMapObject
  | SecretObject;

export type Kind = KubeObject['kind'];

/** `Service shop/web`, `Node n1`: how messages name an object. */
export function describe(object: { readonly kind: string; readonly meta: Meta }): string {
  return object.meta.namespace === ''
    ? `${object.kind} ${object.meta.name}`
    : `${object.kind} ${object.meta.namespace}/${object.meta.name}`;
}
