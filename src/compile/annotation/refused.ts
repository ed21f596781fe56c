/** Annotations of objects that cannot be used: whoever corrects such an object wants to know all that is wrong with it. */

import type { ManifestObject } from '../../kube/manifest.ts';
import { Store } from '../../kube/store.ts';
import type { Problem } from '../../model/service.ts';
import { toProblem } from '../object-problem.ts';
import { readAnnotations } from './read.ts';

/** What is wrong with their annotations, at its place. */
export function refusedProblems(refused: Iterable<ManifestObject>): readonly Problem[] {
  const problems: Problem[] = [];
  for (const { object, origin } of refused) {
    const { kind, meta } = object;
    if (kind !== 'Service' && kind !== 'Pod' && kind !== 'Namespace') continue;
    const ref = { kind, namespace: meta.namespace, name: meta.name };
    const { findings } = readAnnotations(kind, ref, meta);
    if (findings.length === 0) continue;
    // One store for each: the same object may be written twice.
    const store = new Store();
    store.set(object, origin);
    for (const finding of findings) problems.push(toProblem(finding, store));
  }
  return problems;
}
