/** The kinds that are read, a file for each. */

import type { Kind, KubeObject } from '../object.ts';
import { CONFIG_MAP } from './config-map.ts';
import { ENDPOINT_SLICE } from './endpoint-slice.ts';
import { ENDPOINTS } from './endpoints.ts';
import { NAMESPACE } from './namespace.ts';
import { NODE } from './node.ts';
import { POD } from './pod.ts';
import { SECRET } from './secret.ts';
import { SERVICE_ACCOUNT } from './service-account.ts';
import { SERVICE } from './service.ts';
import type { KindSpec } from './spec.ts';

export type KubeKind = KindSpec<KubeObject>;

export const KINDS = {
  Service: SERVICE,
  Endpoints: ENDPOINTS,
  EndpointSlice: ENDPOINT_SLICE,
  Pod: POD,
  Node: NODE,
  Namespace: NAMESPACE,
  ServiceAccount: SERVICE_ACCOUNT,
  ConfigMap: CONFIG_MAP,
  Secret: SECRET,
} as const satisfies Readonly<Record<Kind, KubeKind>>;

export const ALL_KINDS: readonly KubeKind[] = Object.values(KINDS);

/** `discovery.k8s.io/v1`. */
export function apiVersionOf({ group }: KubeKind, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/**
 * The kind of a manifest; null when it is not read. A kind of another API group with one of these names
 * (`serving.knative.dev/v1 Service`) is not this kind, and of what every cluster has today's clusters know the first version only.
 */
export function kindOf(apiVersion: string, kind: string): KubeKind | null {
  const known = ALL_KINDS.find((each) => each.kind === kind);
  if (known === undefined) return null;
  const versions = known.isOptional ? known.versions : known.versions.slice(0, 1);
  return versions.some((version) => apiVersionOf(known, version) === apiVersion) ? known : null;
}

/** An object of any version that is read as one of the first. */
export function upgraded(
  known: KubeKind,
  apiVersion: string,
  value: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const [first] = known.versions;
  const isOld = apiVersion !== apiVersionOf(known, first);
  return isOld && known.upgrade !== undefined ? known.upgrade(value) : value;
}
