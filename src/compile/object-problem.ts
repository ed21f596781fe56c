/** A problem before anybody asks where its object stands: files move their lines without changing their objects. */

import { compareText } from '../base/compare.ts';
import { groupDigits } from '../base/quantity.ts';
import { formatPath, parsePath } from '../kube/fields.ts';
import type { ObjectRef, StoreView } from '../kube/store.ts';
import type { Problem } from '../model/service.ts';
import { about, aboutObject } from '../model/object-reference.ts';

/** A Problem whose object is still a reference. */
export interface ObjectProblem extends Omit<Problem, 'object' | 'ref' | 'location'> {
  readonly ref: ObjectRef;
}

const VALUE_MAX = 200;
/** Of one object: whoever writes more of them must not fill the memory of all replicas, and their answers. */
export const FINDINGS_MAX = 100;

/** The findings of one object, errors first where there are too many. */
export function atMost(
  ref: ObjectRef,
  findings: readonly ObjectProblem[],
): readonly ObjectProblem[] {
  if (findings.length <= FINDINGS_MAX) return findings;
  const isError = ({ severity }: ObjectProblem): boolean => severity === 'error';
  const errors = findings.filter(isError);
  const sorted = [...errors, ...findings.filter((each) => !isError(each))];
  const more = sorted.length - (FINDINGS_MAX - 1);
  const rest: ObjectProblem = {
    severity: errors.length >= FINDINGS_MAX ? 'error' : 'warning',
    ref,
    field: 'metadata.name',
    value: ref.name,
    message: `${groupDigits(more)} more problems of this object are not listed`,
    remedy: 'correct those that are listed first',
  };
  return [...sorted.slice(0, FINDINGS_MAX - 1), rest];
}

/** The problem with the place that its object has now. */
export function toProblem(finding: ObjectProblem, store: StoreView): Problem {
  const origin = store.originOf(finding.ref);
  const { file, text } = origin;
  const { value } = finding;
  const path = parsePath(finding.field);
  const { line, column } = text?.locate(path) ?? origin;
  const { kind, namespace, name } = finding.ref;
  const owner = text?.owner ?? null;
  return {
    severity: finding.severity,
    ...(owner === null ? aboutObject(kind, namespace, name) : about(owner)),
    field:
      owner !== null && text !== undefined ? formatPath([...text.within, ...path]) : finding.field,
    value: value.length > VALUE_MAX ? `${value.slice(0, VALUE_MAX - 1)}…` : value,
    message: finding.message,
    remedy: finding.remedy,
    location: file === '' ? '' : `${file}:${line}:${column}`,
  };
}

/** Order of problems in a snapshot: by object, then field, then text. */
export function compareProblems(a: Problem, b: Problem): number {
  return (
    compareText(a.object, b.object) ||
    compareText(a.field, b.field) ||
    compareText(a.message, b.message) ||
    compareText(a.value, b.value)
  );
}
