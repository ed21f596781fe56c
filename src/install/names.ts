/** What an installation is called in a cluster, beside what src/model/names.ts says; the chart has the same names. */

import { textAt } from '../base/record.ts';
import type { KubeClient } from '../kube/api/client.ts';

/** What is used of the client of the API server. */
export type Api = Pick<
  KubeClient,
  'request' | 'get' | 'list' | 'create' | 'apply' | 'patch' | 'delete' | 'server'
>;

/** Where the cluster's own DNS lives, and with it a Role of ours. */
export const DNS_NAMESPACE = 'kube-system';

export const LABEL_MANAGED_BY = 'app.kubernetes.io/managed-by';
/** Who manages what `maesh install` made. */
export const MANAGER = 'maesh';

/** `Deployment maesh/maesh-controller`, `ClusterRole maesh-controller`. */
export function nameOf(raw: unknown): string {
  const namespace = textAt(raw, 'metadata', 'namespace');
  const name = textAt(raw, 'metadata', 'name');
  return `${textAt(raw, 'kind')} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}
