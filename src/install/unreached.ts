/** Why a Pod of the mesh could not be asked through the API server, and what to do about it. */

import { MeshError } from '../base/error.ts';
import { ApiError } from '../kube/api/api-error.ts';

/** Role and ClusterRole of the chart with the permissions that a user of the command line needs. */
const VIEW_ROLE = 'maesh-view';

/**
 * `forbidden`: the API server does not let this user. `unreachable`: the API server cannot reach the Pod. `failed`: anything
 * else.
 */
export type UnreachedKind = 'forbidden' | 'unreachable' | 'failed';

export function unreachedKind(error: unknown): UnreachedKind {
  if (!(error instanceof ApiError)) {
    return error instanceof MeshError && error.code === 'connect_timeout'
      ? 'unreachable'
      : 'failed';
  }
  // Errors of the API server itself have a reason; the others are of the Pod.
  if (error.isForbidden && error.reason !== '') return 'forbidden';
  return error.status >= 500 && error.reason !== '' ? 'unreachable' : 'failed';
}

/** What to do, as a sentence without an end. `pod` is the name of one that could not be asked. */
export function remedyOf(kind: UnreachedKind, namespace: string, pod: string): string {
  if (kind === 'forbidden') {
    return `ask an administrator to bind "${VIEW_ROLE}" to you, the Role in namespace "${namespace}" and the ClusterRole (docs/rbac.md)`;
  }
  if (kind === 'failed') return `see its log: kubectl -n ${namespace} logs ${pod}`;
  return (
    'the API server cannot reach the Pod: if a network policy forbids it, let it in (networkPolicy.adminFrom of the chart); ' +
    `or run: kubectl -n ${namespace} port-forward ${pod} 9000, and give --admin http://127.0.0.1:9000`
  );
}
