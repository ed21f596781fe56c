/** What an installation is called in a cluster; the chart has the same names, and they cannot be changed. */

import { textAt } from '../base/record.ts';
import type { KubeClient } from '../kube/api/client.ts';

/** What is used of the client of the API server. */
export type Api = Pick<
  KubeClient,
  'request' | 'get' | 'list' | 'create' | 'apply' | 'patch' | 'delete' | 'server'
>;

export const CONTROLLER = 'maesh-controller';
export const AGENT = 'maesh-agent';
export const DNS_SERVICE = 'maesh-dns';
export const CA = 'maesh-ca';
export const DNS_BACKUP = 'maesh-dns-backup';
/** Where the cluster's own DNS lives, and with it a Role of ours. */
export const DNS_NAMESPACE = 'kube-system';

export const LABEL_OURS = 'app.kubernetes.io/name=maesh,app.kubernetes.io/part-of=maesh';
export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by';
/** Who manages what `maesh install` made. */
export const MANAGER = 'maesh';

/** A label selector of one part of the mesh. */
export function ofComponent(component: 'controller' | 'agent' | 'shadow'): string {
  return `app.kubernetes.io/name=maesh,app.kubernetes.io/component=${component}`;
}

/** `Deployment maesh/maesh-controller`, `ClusterRole maesh-controller`. */
export function nameOf(raw: unknown): string {
  const namespace = textAt(raw, 'metadata', 'namespace');
  const name = textAt(raw, 'metadata', 'name');
  return `${textAt(raw, 'kind')} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}
