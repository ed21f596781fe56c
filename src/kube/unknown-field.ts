/** Keys of manifests that Kubernetes does not have, which are typing errors: `targetport`. What a cluster sends is not asked. */

import { isRecord } from '../base/record.ts';
import { nearest } from '../base/nearest.ts';
import { pathsIn } from './field-use.ts';
import type { FieldProblem, Step } from './fields.ts';
import { ALL_KINDS, type KubeKind } from './kind/table.ts';

/** The fields that a mapping may have; null where anything may follow. */
type Known = ReadonlyMap<string, Known> | null;

/** A warning for each key that the kind does not have. The status is the cluster's own, and may be that of a later version. */
export function unknownFields(
  kind: KubeKind,
  value: Readonly<Record<string, unknown>>,
  within: readonly Step[] = [],
): readonly FieldProblem[] {
  const findings: FieldProblem[] = [];
  look(value, TREES.get(kind) ?? null, within, findings);
  return findings;
}

function look(value: unknown, known: Known, path: readonly Step[], findings: FieldProblem[]): void {
  if (known === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) look(item, known, [...path, index], findings);
    return;
  }
  if (!isRecord(value)) return;
  for (const [key, child] of Object.entries(value)) {
    const next = known.get(key);
    if (next !== undefined) look(child, next, [...path, key], findings);
    else findings.push(unknown(key, child, [...path, key], known));
  }
}

function unknown(
  key: string,
  value: unknown,
  path: readonly Step[],
  known: ReadonlyMap<string, Known>,
): FieldProblem {
  const sameLetters = [...known.keys()].find((name) => name.toLowerCase() === key.toLowerCase());
  const guess = sameLetters ?? nearest(key, known.keys())[0];
  return {
    severity: 'warning',
    path,
    isKey: true,
    value,
    message: 'Kubernetes has no such field here, so it has no effect',
    remedy: guess === undefined ? 'remove it, or move it to its place' : `did you mean ${guess}?`,
  };
}

/** The status is the cluster's own. */
function treeOf({ fields }: KubeKind): ReadonlyMap<string, Known> {
  const root: Branch = new Map();
  for (const rows of Object.values(fields)) {
    for (const [paths] of rows) for (const path of pathsIn(paths)) grow(root, path.split('.'));
  }
  return root.set('status', null);
}

type Branch = Map<string, Branch | null>;

function grow(root: Branch, steps: readonly string[]): void {
  let here = root;
  for (const [index, step] of steps.entries()) {
    const name = step.replace('[]', '');
    if (index === steps.length - 1) {
      here.set(name, null);
      return;
    }
    let next = here.get(name);
    if (next === undefined || next === null) here.set(name, (next = new Map()));
    here = next;
  }
}

const TREES: ReadonlyMap<KubeKind, Known> = new Map(ALL_KINDS.map((kind) => [kind, treeOf(kind)]));
