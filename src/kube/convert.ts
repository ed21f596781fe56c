/** Untyped objects, from a manifest or the API, to typed ones. */

import { textAt } from '../base/record.ts';
import { Fields, FieldProblems } from './fields.ts';
import type { FieldProblem } from './fields.ts';
import { apiVersionOf } from './kind/table.ts';
import type { KubeKind } from './kind/table.ts';
import type { KubeObject } from './object.ts';
import type { ObjectReference } from '../model/object-reference.ts';

export interface Conversion {
  /** As far as it is written; null when the object has no name. */
  readonly ref: ObjectReference | null;
  /** null when the object cannot be used; then `findings` has at least one error. */
  readonly object: KubeObject | null;
  /** What could be read of an object that cannot be used, when it has a name: to look for more mistakes in it, and nothing else. */
  readonly refused: KubeObject | null;
  readonly findings: readonly FieldProblem[];
}

/** Reads one object in the first version of its kind. Never throws for data that JSON can express. */
export function convert(known: KubeKind, value: Readonly<Record<string, unknown>>): Conversion {
  const findings = new FieldProblems();
  const object = known.read(Fields.root(value, findings));
  const apiVersion = apiVersionOf(known, known.versions[0]);
  const isNamed = object.meta.name !== '' && (object.meta.namespace !== '' || !findings.lost);
  return {
    ref: isNamed
      ? { apiVersion, kind: known.kind, namespace: object.meta.namespace, name: object.meta.name }
      : referenceAsWritten(apiVersion, known.kind, value),
    object: findings.lost ? null : object,
    refused: findings.lost && isNamed ? object : null,
    findings: withoutSecrets(known, findings.all),
  };
}

/** What is found in a Secret, without what it says there. */
export function withoutSecrets(
  { isSecret }: KubeKind,
  findings: readonly FieldProblem[],
): readonly FieldProblem[] {
  if (isSecret !== true) return findings;
  return findings.map((finding) => ({ ...finding, value: undefined }));
}

/** What is written of an object, shortened; null when there is no name. */
export function referenceAsWritten(
  apiVersion: string,
  kind: string,
  value: Readonly<Record<string, unknown>>,
): ObjectReference | null {
  const name = textAt(value, 'metadata', 'name').slice(0, 200);
  const namespace = textAt(value, 'metadata', 'namespace').slice(0, 200);
  return name === '' ? null : { apiVersion, kind, namespace, name };
}
