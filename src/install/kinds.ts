/** The kinds that an installation consists of: where the API server keeps them, and in which order they are made. */

import { MeshError } from '../base/error.ts';
import { resourcePath } from '../kube/api/path.ts';
import { textAt, type Raw } from '../base/record.ts';

export interface Kind {
  readonly kind: string;
  /** `v1`, `apps/v1`. */
  readonly apiVersion: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

/** In the order in which they are made: what others need comes first. They are deleted in the reverse order. */
export const KINDS: readonly Kind[] = [
  row('Namespace', 'v1', 'namespaces', false),
  row('PriorityClass', 'scheduling.k8s.io/v1', 'priorityclasses', false),
  row('ServiceAccount', 'v1', 'serviceaccounts', true),
  row('ClusterRole', 'rbac.authorization.k8s.io/v1', 'clusterroles', false),
  row('ClusterRoleBinding', 'rbac.authorization.k8s.io/v1', 'clusterrolebindings', false),
  row('Role', 'rbac.authorization.k8s.io/v1', 'roles', true),
  row('RoleBinding', 'rbac.authorization.k8s.io/v1', 'rolebindings', true),
  row('NetworkPolicy', 'networking.k8s.io/v1', 'networkpolicies', true),
  row('Service', 'v1', 'services', true),
  row('PodDisruptionBudget', 'policy/v1', 'poddisruptionbudgets', true),
  // Controllers first: agents that find one start with the configuration of today.
  row('Deployment', 'apps/v1', 'deployments', true),
  row('DaemonSet', 'apps/v1', 'daemonsets', true),
  row('PodMonitor', 'monitoring.coreos.com/v1', 'podmonitors', true),
  row('ServiceMonitor', 'monitoring.coreos.com/v1', 'servicemonitors', true),
];

/** Kinds of the cluster itself; the others come with something that may not be there. */
export function isBuiltIn(kind: Kind): boolean {
  return kind.apiVersion !== 'monitoring.coreos.com/v1';
}

/** The kind of an object. Throws a `MeshError` for one that an installation does not have. */
export function kindOf(object: Raw): Kind {
  const apiVersion = textAt(object, 'apiVersion');
  const name = textAt(object, 'kind');
  const kind = KINDS.find((row) => row.kind === name && row.apiVersion === apiVersion);
  if (kind !== undefined) return kind;
  throw new MeshError(
    'invalid_input',
    `Cannot install ${name} of "${apiVersion}": maesh does not know where the API server keeps it`,
  );
}

/** Sorts into the order in which objects are made; those of a kind keep theirs. */
export function inOrder(objects: readonly Raw[]): readonly Raw[] {
  const rank = (object: Raw): number => KINDS.indexOf(kindOf(object));
  return objects.toSorted((a, b) => rank(a) - rank(b));
}

export function pathOf(object: Raw): string {
  const kind = kindOf(object);
  const namespace = textAt(object, 'metadata', 'namespace');
  return `${collectionPath(kind, kind.isNamespaced ? namespace : null)}/${encodeURIComponent(textAt(object, 'metadata', 'name'))}`;
}

/** `namespace` null: of all namespaces, or of a kind without them. */
export function collectionPath(kind: Kind, namespace: string | null): string {
  const slash = kind.apiVersion.indexOf('/');
  const group = slash < 0 ? '' : kind.apiVersion.slice(0, slash);
  const version = kind.apiVersion.slice(slash + 1);
  const where = namespace === null ? {} : { namespace };
  return resourcePath({ group, version, plural: kind.plural, ...where });
}

function row(kind: string, apiVersion: string, plural: string, isNamespaced: boolean): Kind {
  return { kind, apiVersion, plural, isNamespaced };
}
