/**
 * What active checks make of an endpoint. So many failures in a row make it failing, so many successes make it passing again; the
 * first success of all is enough. One thread of the node checks an endpoint, so only that one writes here; all threads balance by
 * what `ejection.ts` makes of it.
 */

import { CHECK_RESULTS, type CheckOutcome } from '../../model/health-check.ts';
import type { EjectionPolicy, HealthCheckPolicy } from '../../model/policy.ts';
import type { Cells } from '../ledger/cells.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import { ejectByChecks, IN_ROTATION, readmit } from './ejection.ts';
import type { EndpointState } from './endpoint-state.ts';

/** Values of ENDPOINT_WORD.checkState, in the order of CHECK_STATES. */
export const CHECK_PASSING = 1;
export const CHECK_FAILING = 2;
/** A row is not counted beyond this. */
const RUN_MAX = 1_000_000;
const RESULT_BITS = 8;

export interface CheckRules {
  readonly healthCheck: HealthCheckPolicy;
  readonly ejection: EjectionPolicy;
}

/** A change of what the checks say, or of where the endpoint is by them. */
export type CheckChange = 'failing' | 'ejected' | 'passing' | 'readmitted';

export function packCheck({ result, detail }: CheckOutcome): number {
  return CHECK_RESULTS.indexOf(result) | (Math.min(detail, 0xff_ff) << RESULT_BITS);
}

export function unpackCheck(word: number): CheckOutcome {
  const result = CHECK_RESULTS[word & ((1 << RESULT_BITS) - 1)] ?? 'bad_answer';
  return { result, detail: word >>> RESULT_BITS };
}

/** Takes the result of a check; null when it changes nothing. */
export function noteCheck(
  { cells, peers }: Pick<EndpointState, 'cells' | 'peers'>,
  { healthCheck, ejection }: CheckRules,
  outcome: CheckOutcome,
  nowMs: number,
): CheckChange | null {
  const { words, w, floats, f } = cells;
  floats[f + ENDPOINT_FLOAT.checkedAtMs] = nowMs;
  Atomics.store(words, w + ENDPOINT_WORD.checkResult, packCheck(outcome));
  if (outcome.result === 'not_made') return null;
  const passed = outcome.result === 'passed';
  const run = count(cells, passed);
  const before = Atomics.load(words, w + ENDPOINT_WORD.checkState);
  const state = stateAfter(before, run, healthCheck);
  Atomics.store(words, w + ENDPOINT_WORD.checkState, state);
  if (state === CHECK_FAILING && !passed && healthCheck.ejects) {
    if (ejectByChecks(cells, peers, ejection, nowMs)) return 'ejected';
  }
  if (run >= healthCheck.successes && readmit(cells, nowMs)) return 'readmitted';
  if (state === before || (state === CHECK_PASSING && before !== CHECK_FAILING)) return null;
  return state === CHECK_FAILING ? 'failing' : 'passing';
}

/** `run` is not 0. An endpoint that was not failing is passing with its first success. */
function stateAfter(state: number, run: number, policy: HealthCheckPolicy): number {
  if (run < 0) return -run >= policy.failures ? CHECK_FAILING : state;
  return state === CHECK_FAILING && run < policy.successes ? state : CHECK_PASSING;
}

/** Whether the last result speaks against where the endpoint stands, so that the next check should come soon. */
export function isInDoubt({ words, w }: Cells): boolean {
  const run = Atomics.load(words, w + ENDPOINT_WORD.checkRun);
  const isFailing = Atomics.load(words, w + ENDPOINT_WORD.checkState) === CHECK_FAILING;
  const isOut = Atomics.load(words, w + ENDPOINT_WORD.health) !== IN_ROTATION;
  return run > 0 ? isFailing || isOut : run < 0 && !isFailing;
}

/** Somebody wants an endpoint of this backend: its checks go on. */
export function noteAsked(peers: readonly Cells[], nowMs: number): void {
  for (const { floats, f } of peers) floats[f + ENDPOINT_FLOAT.askedAtMs] = nowMs;
}

/** The row that this result makes. Of a row from before an ejection nothing counts. */
function count({ words, w }: Cells, passed: boolean): number {
  const generation = Atomics.load(words, w + ENDPOINT_WORD.ejections);
  const at = w + ENDPOINT_WORD.checkRun;
  const isNew = Atomics.load(words, w + ENDPOINT_WORD.checkSeen) !== generation;
  Atomics.store(words, w + ENDPOINT_WORD.checkSeen, generation);
  const before = isNew ? 0 : Atomics.load(words, at);
  const run = passed
    ? Math.min(Math.max(before, 0) + 1, RUN_MAX)
    : Math.max(Math.min(before, 0) - 1, -RUN_MAX);
  Atomics.store(words, at, run);
  return run;
}

/** It is not checked any more. Whether it is ejected is left as it is: a probe decides then. */
export function forgetChecks({ words, w, floats, f }: Cells): void {
  for (const word of [ENDPOINT_WORD.checkState, ENDPOINT_WORD.checkRun, ENDPOINT_WORD.checkResult])
    Atomics.store(words, w + word, 0);
  floats[f + ENDPOINT_FLOAT.checkedAtMs] = 0;
}
