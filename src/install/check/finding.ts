/** What `maesh check` says about one thing of a cluster. */

import type { Known } from '../facts/facts.ts';

export interface Finding {
  readonly level: 'ok' | 'warn' | 'fail';
  /** The thing: `agents`, `cluster DNS`. */
  readonly what: string;
  /** How it is. */
  readonly message: string;
  /** What to do; '' where nothing is to be done. */
  readonly remedy: string;
}

export function ok(what: string, message: string): Finding {
  return { level: 'ok', what, message, remedy: '' };
}

export function warn(what: string, message: string, remedy: string): Finding {
  return { level: 'warn', what, message, remedy };
}

export function fail(what: string, message: string, remedy: string): Finding {
  return { level: 'fail', what, message, remedy };
}

/** Judges what is known; what could not be read is told with what that takes. */
export function judge<T>(
  what: string,
  fact: Known<T>,
  run: (value: T) => readonly Finding[],
): readonly Finding[] {
  if (fact.ok) return run(fact.value);
  const remedy = fact.isForbidden
    ? 'run this with more rights, or ask somebody who has them'
    : 'run this again; if that goes on, look at the API server';
  return [warn(what, `cannot be seen: ${fact.why}`, remedy)];
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
