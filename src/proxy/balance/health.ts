/** What the proxy tells about an endpoint after each try: counts failures in a row, ejects, ends probes, learns latency. */

import type { Policies } from '../../model/policy.ts';
import { ENDPOINT_OWN, ENDPOINT_WORD } from '../ledger/layout.ts';
import { eject, ejectAgain, healthOf, IN_ROTATION, PROBING, restore } from './ejection.ts';
import type { EndpointState } from './endpoint-state.ts';
import { observeLatency } from './peak-ewma.ts';
import { addPenalty, easePenalty } from './penalty.ts';

/** The endpoint answered as it should. `latencyMs` runs from the start of the try to the response head. */
export function reportSuccess(
  ep: EndpointState,
  latencyMs: number,
  policies: Policies,
  nowMs: number,
): void {
  const { words, w } = ep.cells;
  const failures = words[w + ENDPOINT_WORD.consecutiveFailures] ?? 0;
  if (failures !== 0) {
    Atomics.store(words, w + ENDPOINT_WORD.consecutiveFailures, 0);
    // The row ends without an ejection: its failures count after all.
    if (failures < policies.ejection.consecutiveFailures) addPenalty(ep.cells, failures, nowMs);
  }
  if (words[w + ENDPOINT_WORD.health] === PROBING) restore(ep.cells);
  easePenalty(ep.cells, nowMs);
  if (policies.balance.algorithm === 'peak-ewma') observeLatency(ep.cells, latencyMs, nowMs);
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
