/** What the recorder of Events remembers of a problem, and what is to be done about it. */

import type { Problem } from '../model/service.ts';

/** A problem that comes and goes is told this often at most. */
export const QUIET_MS = 600_000;
/** An Event is kept by the API server for an hour after its last change. */
const REPEAT_MS = 1_800_000;
export interface TrackedProblem {
  readonly problem: Problem;
  /** '' for what is in none. */
  readonly namespace: string;
  isOpen: boolean;
  /** What the last Event said; `unsure`: that it is over may have been written, no answer said so yet. */
  told: 'nothing' | 'open' | 'unsure' | 'resolved';
  /** Monotonic time of the last Warning, or of giving up on one; null before. */
  warnedMs: number | null;
  /** How often the Warning counts, and the Event that counts it. */
  count: number;
  name: string;
  failures: number;
}

/** What may be due, the most urgent first. */
export const WORKS = ['tell', 'resolve', 'repeat'] as const;
export type Work = (typeof WORKS)[number];

/** Monotonic time at which there is something to do or to forget. */
export function dueMs(entry: TrackedProblem): number {
  const { told, warnedMs } = entry;
  if (warnedMs === null || isToResolve(entry)) return -Infinity;
  return warnedMs + (told === 'open' ? REPEAT_MS : QUIET_MS);
}

/** The problem went, and nobody can be sure yet that this was told. */
export function isToResolve({ isOpen, told }: TrackedProblem): boolean {
  return !isOpen && (told === 'open' || told === 'unsure');
}

/** Of one that is due. */
export function workOf({ isOpen, told }: TrackedProblem): Work {
  if (!isOpen) return 'resolve';
  return told === 'open' ? 'repeat' : 'tell';
}

export function namespaceOf({ ref }: Problem): string {
  return ref?.namespace ?? '';
}

export function trackProblem(problem: Problem, namespace: string): TrackedProblem {
  return {
    problem,
    namespace,
    isOpen: true,
    told: 'nothing',
    warnedMs: null,
    count: 0,
    name: '',
    failures: 0,
  };
}

export function keyOf({ object, field, value, message, remedy }: Problem): string {
  return [object, field, value, message, remedy].join('\u0000');
}
