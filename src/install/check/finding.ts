/** What `maesh check` says about one thing of a cluster: that it is well, or a Problem, as the mesh has them everywhere. */

import type { Problem } from '../../model/service.ts';
import type { Known } from '../facts/facts.ts';

export interface Passed {
  readonly severity: 'ok';
  /** What was looked at: `agents`, `cluster DNS`. */
  readonly topic: string;
  readonly message: string;
}

export interface Flaw extends Problem {
  readonly topic: string;
}

export type Finding = Passed | Flaw;

/** What a check says of an object; what is left out is ''. */
export type FlawText = Pick<Problem, 'object' | 'message' | 'remedy'> &
  Partial<Pick<Problem, 'ref' | 'field' | 'value'>>;

export function ok(topic: string, message: string): Finding {
  return { severity: 'ok', topic, message };
}

export function warning(topic: string, told: FlawText): Flaw {
  return { severity: 'warning', topic, ref: null, field: '', value: '', location: '', ...told };
}

export function error(topic: string, told: FlawText): Flaw {
  return { severity: 'error', topic, ref: null, field: '', value: '', location: '', ...told };
}

export function isFlaw(finding: Finding): finding is Flaw {
  return finding.severity !== 'ok';
}

/** Whether it says that something could not be read: that is neither well nor wrong. */
export function isUnknown(flaw: Flaw): boolean {
  return flaw.value === UNKNOWN;
}

/** Value of what could not be read. */
export const UNKNOWN = 'unknown';

/** Judges what is known; what could not be read is a warning that says what reading it takes. */
export function judge<T>(
  topic: string,
  fact: Known<T>,
  run: (value: T) => readonly Finding[],
): readonly Finding[] {
  if (fact.ok) return run(fact.value);
  const remedy = fact.isForbidden
    ? 'run this with more permissions (docs/rbac.md), or ask someone who has them'
    : 'run this again; if it keeps failing, check the API server';
  return [warning(topic, { object: topic, value: UNKNOWN, message: fact.why, remedy })];
}

/** The same for a whole cluster, where all that may not be seen is one finding (`checkPermissions`). */
export function judgeSeen<T>(
  topic: string,
  fact: Known<T>,
  run: (value: T) => readonly Finding[],
): readonly Finding[] {
  return !fact.ok && fact.isForbidden ? [] : judge(topic, fact, run);
}

/** `1 agent`, `2 agents`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** The first few, and how many more. */
export function few(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).join(', ');
  return names.length <= most ? shown : `${shown} and ${names.length - most} more`;
}
