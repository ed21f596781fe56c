/** The words for what goes wrong while the cluster DNS is kept. */

import type { MeshError } from '../../base/error.ts';
import type { Problem } from '../../model/service.ts';
import { problem, type Flavor } from './platform.ts';
import { KEEPERS_OF_DNS } from './stanza.ts';

/** `id` is `namespace/name/key`. */
export function foughtProblem(id: string, flavor: Flavor): Problem {
  const [namespace = '', name = '', key = ''] = id.split('/');
  const keeper = KEEPERS_OF_DNS[flavor];
  return problem({
    object: `ConfigMap ${namespace}/${name}`,
    field: `data["${key}"]`,
    value: '',
    message:
      'The mesh domains are taken out of the cluster DNS again and again: something else manages this ConfigMap, so it is now written every ten minutes only',
    remedy: `${keeper === '' ? '' : `${keeper} `}Find who else writes it (kubectl -n ${namespace} get configmap ${name} --show-managed-fields -o yaml), give the lines to that manager and set --dns-mode manual`,
  });
}

/** `id` is `namespace/name/key`. */
export function revertedProblem(id: string): Problem {
  const [namespace = '', name = '', key = ''] = id.split('/');
  return problem({
    severity: 'warning',
    object: `ConfigMap ${namespace}/${name}`,
    field: `data["${key}"]`,
    value: 'rewritten',
    message:
      'The mesh domains were taken out of the cluster DNS within the last ten minutes, and were written again; mesh names did not resolve meanwhile',
    remedy: `find out who wrote it (kubectl -n ${namespace} get configmap ${name} --show-managed-fields -o yaml); to have the lines elsewhere, give them to that manager and set --dns-mode manual`,
  });
}

export function failureProblem(
  error: MeshError,
  status: number | null,
  namespace: string,
): Problem {
  const isRight = status === 401 || status === 403;
  return problem({
    object: `Namespace ${namespace}`,
    field: '',
    value: '',
    message: error.message,
    remedy: isRight
      ? `let the ServiceAccount of the controller list services, deployments and daemonsets and get, create, patch and delete configmaps in "${namespace}", or set --dns-mode manual`
      : 'it is tried again within 30 s; look at the API server if that goes on',
  });
}
