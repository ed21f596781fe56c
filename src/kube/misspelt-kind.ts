/** Kinds in manifests that are most likely typing errors of those that are read: `service`, `Deployement`, a Deployment of v1. */

import { nearest } from '../base/nearest.ts';
import type { FieldProblem } from './fields.ts';
import { ALL_KINDS, apiVersionOf } from './kind/table.ts';
import { WORKLOAD_VERSIONS } from './kind/workload.ts';

const VERSIONS: ReadonlyMap<string, string> = new Map([
  ...ALL_KINDS.map((each) => [each.kind, apiVersionOf(each, each.versions[0])] as const),
  ...WORKLOAD_VERSIONS,
]);
const GROUPS: ReadonlySet<string> = new Set([...VERSIONS.values()].map(groupOf));

/** Letters that may differ. No kind of Kubernetes in these groups is so near to one that is read. */
const LETTERS = 2;

/** What is wrong with a kind that is not read; null where it is another kind. */
export function misspeltKind(apiVersion: string, kind: string): FieldProblem | null {
  const group = groupOf(apiVersion);
  const version = VERSIONS.get(kind);
  if (version !== undefined) {
    // Of another API group it is another kind: `serving.knative.dev/v1 Service`.
    if (group.includes('.') && group !== groupOf(version)) return null;
    return {
      severity: 'error',
      path: ['apiVersion'],
      value: apiVersion,
      message: `${kind} of this version is not read, so the object has no effect`,
      remedy: `write apiVersion: ${version}`,
    };
  }
  if (group.includes('.') && !GROUPS.has(group)) return null;
  const sameLetters = [...VERSIONS.keys()].find(
    (known) => known.toLowerCase() === kind.toLowerCase(),
  );
  const meant = sameLetters ?? nearest(kind, VERSIONS.keys(), LETTERS)[0];
  if (meant === undefined) return null;
  return {
    severity: 'error',
    path: ['kind'],
    value: kind,
    message: 'Kubernetes has no such kind, so the object has no effect',
    remedy: `did you mean ${meant}?`,
  };
}

/** `apps` of `apps/v1`; '' of `v1`. */
function groupOf(apiVersion: string): string {
  const end = apiVersion.indexOf('/');
  return end === -1 ? '' : apiVersion.slice(0, end);
}
