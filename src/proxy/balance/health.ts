/**
 * What the proxy tells about an endpoint: the latency of each answer when its head comes, and whether the try went well once that is
 * known. Counts failures in a row, ejects, ends probes.
 */

import type { Policies } from '../../model/policy.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../ledger/layout.ts';
import { eject, ejectAgain, healthOf, IN_ROTATION, PROBING, restore } from './ejection.ts';
import type { EndpointState } from './endpoint-state.ts';
import { observeLatency } from './peak-ewma.ts';
import { addPenalty, easePenalty } from './penalty.ts';

/**
 * A response whose body goes on for so long counts as a success before its end: some never end. Shorter than PROBE_LEASE_MS, so that
 * an endpoint of streams comes back with its first probe.
 */
export const STEADY_MS = 5_000;

/** The head of a response came that is no failure. `latencyMs` runs from when the endpoint had the whole request. */
export function reportAnswer(
  ep: EndpointState,
  latencyMs: number,
  policies: Policies,
  nowMs: number,
): void {
  if (policies.balance.algorithm === 'peak-ewma') observeLatency(ep.cells, latencyMs, nowMs);
}

/** The response is whole, or has gone on for STEADY_MS. Its head alone says little: the body may be cut each time. */
export function reportSuccess(ep: EndpointState, policies: Policies, nowMs: number): void {
  const { words, w } = ep.cells;
  const failures = words[w + ENDPOINT_WORD.consecutiveFailures] ?? 0;
  if (failures !== 0) {
    Atomics.store(words, w + ENDPOINT_WORD.consecutiveFailures, 0);
    // The row ends without an ejection: its failures count after all.
    if (failures < policies.ejection.consecutiveFailures) addPenalty(ep.cells, failures, nowMs);
  }
  if (words[w + ENDPOINT_WORD.health] === PROBING) restore(ep.cells);
  else if (words[w + ENDPOINT_WORD.ejectionsInRow] !== 0) endRow(ep);
  easePenalty(ep.cells, nowMs);
}

/**
 * The endpoint failed a request (EjectionPolicy says what counts). True when this failure ejected it, or ejected it again.
 * While a probe is under way any answer decides, also to a request from before the ejection: it is as good a sign.
 */
export function reportFailure(ep: EndpointState, policies: Policies, nowMs: number): boolean {
  const { ejection } = policies;
  const { words, w, own, o } = ep.cells;
  own[o + ENDPOINT_OWN.failed] = (own[o + ENDPOINT_OWN.failed] ?? 0) + 1;
  const failures = Atomics.add(words, w + ENDPOINT_WORD.consecutiveFailures, 1) + 1;
  const health = healthOf(ep.cells);
  if (health === PROBING) return ejectAgain(ep.cells, ejection, nowMs);
  const limit = ejection.consecutiveFailures;
  if (health !== IN_ROTATION) return false;
  // A row that may end in an ejection is not held up by a penalty.
  if (failures < limit) return false;
  if (limit > 0 && eject(ep.cells, ep.peers, ejection, nowMs)) return true;
  addPenalty(ep.cells, failures === limit ? limit : 1, nowMs);
  return false;
}

/** Checks have brought it back, and now a request went well, too. */
function endRow({ cells }: EndpointState): void {
  if (healthOf(cells) === IN_ROTATION)
    Atomics.store(cells.words, cells.w + ENDPOINT_WORD.ejectionsInRow, 0);
}
