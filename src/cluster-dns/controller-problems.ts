/** The words for what goes wrong while the cluster DNS is kept. */

import type { MeshError } from '../base/error.ts';
import { aboutObject } from '../model/object-reference.ts';
import type { Problem } from '../model/service.ts';
import { problem, type Flavor } from './platform.ts';
import { KEEPERS_OF_DNS } from './stanza.ts';

/** `id` is `namespace/name/key`. */
export function foughtProblem(id: string, flavor: Flavor): Problem {
  const [namespace = '', name = '', key = ''] = id.split('/');
  const keeper = KEEPERS_OF_DNS[flavor];
  return problem({
    ...aboutObject('ConfigMap', namespace, name),
    field: `data["${key}"]`,
    value: '',
    message:
      'Something keeps removing the mesh domains from the cluster DNS: this ConfigMap has another manager, so maesh now writes it only every ten minutes',
    remedy: `${keeper === '' ? '' : `${keeper} `}Find out what else writes it (kubectl -n ${namespace} get configmap ${name} --show-managed-fields -o yaml), add the lines there and set --dns-mode manual`,
  });
}

/** `id` is `namespace/name/key`. */
export function revertedProblem(id: string): Problem {
  const [namespace = '', name = '', key = ''] = id.split('/');
  return problem({
    severity: 'warning',
    ...aboutObject('ConfigMap', namespace, name),
    field: `data["${key}"]`,
    value: 'rewritten',
    message:
      'The mesh domains were removed from the cluster DNS within the last ten minutes, and maesh wrote them again; mesh names did not resolve in between',
    remedy: `find out what changed it (kubectl -n ${namespace} get configmap ${name} --show-managed-fields -o yaml); if something else manages it, add the lines there and set --dns-mode manual`,
  });
}

export function failureProblem(
  error: MeshError,
  status: number | null,
  namespace: string,
): Problem {
  const isRight = status === 401 || status === 403;
  return problem({
    ...aboutObject('Namespace', '', namespace),
    field: '',
    value: '',
    message: error.message,
    remedy: isRight
      ? `allow the ServiceAccount of the controller to list services, deployments and daemonsets and get, create, patch and delete configmaps in "${namespace}", or set --dns-mode manual`
      : 'maesh retries within 30 s; if it keeps failing, check the API server',
  });
}
