/** The words of what a plan cannot do by itself. */

import { type About, aboutObject } from '../model/object-reference.ts';
import type { Problem } from '../model/service.ts';
import type { ConfigMapFact } from './facts.ts';
import { problem, type CorefileTarget } from './platform.ts';

/** When we last wrote a Corefile that is not reloaded: a restart after it has read it. */
export const WRITTEN_ANNOTATION = 'maesh.dev/written';

export interface Rival {
  readonly about: About;
  readonly field: string;
  /** As written there. */
  readonly zone: string;
}

export function rivalProblem({ about, field, zone }: Rival, domain: string): Problem {
  return problem({
    ...about,
    field: `data["${field}"]`,
    value: zone,
    message: `Cannot forward "${domain}" to the mesh: the cluster DNS already has another configuration for this zone, which maesh does not change`,
    remedy: `remove it there (Traefik Mesh: uninstall it), or leave "${domain}" out of --domain`,
  });
}

/** Null where the change is served: by `reload`, or by a restart since. `map` is null when a change is about to be written. */
export function reloadProblem(
  target: CorefileTarget,
  main: ConfigMapFact | null,
  map: ConfigMapFact | null,
): Problem | null {
  if (target.reloads) return null;
  const { workload } = target;
  const written = map?.annotations[WRITTEN_ANNOTATION] ?? '';
  if (map !== null && written === '') return null;
  if (map !== null && Date.parse(workload.restartedAt) >= Date.parse(written)) return null;
  const name = `${workload.kind.toLowerCase()}/${workload.name}`;
  return problem({
    severity: 'warning',
    ...aboutObject('ConfigMap', main?.namespace ?? workload.namespace, target.main.configMap),
    field: `data["${target.main.key}"]`,
    value: '',
    message:
      'The cluster DNS has not loaded the last change to its Corefile, because it does not use plugin "reload"',
    remedy: `restart it at a convenient time: kubectl -n ${workload.namespace} rollout restart ${name}`,
  });
}
