/** Where a request would go and why, for `maesh explain`: the same rules as `pick`, told instead of drawn. */

import { checkReason } from '../../model/health-check.ts';
import { ENDPOINT_FLOAT, ENDPOINT_WORD } from '../ledger/layout.ts';
import { unpackCheck } from './check-standing.ts';
import { EJECTED, healthOf, isEjectedByChecks, PROBING } from './ejection.ts';
import type { EndpointState } from './endpoint-state.ts';
import type { Candidate, PickRequest } from './picker.ts';
import type { Rotation, Tier } from './rotation.ts';
import type { Ring } from './tiers.ts';

export interface EndpointOdds {
  readonly endpoint: EndpointState;
  /** Probability that the request goes there, 0 to 1. */
  readonly share: number;
  /** The nearest tier of the caller that the endpoint is in; '' when it takes no traffic. */
  readonly tier: Tier | '';
  /** Why it has this share, for a person. */
  readonly reason: string;
}

export interface OddsInput {
  readonly endpoints: readonly EndpointState[];
  /** From near to far. */
  readonly tiers: readonly Ring[];
  /** The endpoint that the affinity cookie names, or that the source address belongs to. */
  readonly bound: EndpointState | null;
  readonly spillOverInFlight: number;
  readonly request: PickRequest;
  readonly nowMs: number;
}

interface Choice {
  readonly shares: ReadonlyMap<EndpointState, number>;
  /** Index of the tier in use. */
  readonly tier: number;
  readonly reason: string;
}

/** Sums to 1, or empty when no endpoint can take the request. */
export function oddsOf(input: OddsInput): EndpointOdds[] {
  return describe(input, choose(input));
}

/** Like `oddsOf`, but of the next request alone: when a probe is due, it is that request. */
export function nextOddsOf(input: OddsInput): EndpointOdds[] {
  const probe = dueProbe(input);
  if (probe === null) return oddsOf(input);
  const at = tierIndex(input, probe);
  const shares = new Map([[probe, 1]]);
  return describe(input, { shares, tier: at, reason: 'ejected, and this request is its probe' });
}

function describe(input: OddsInput, choice: Choice | null): EndpointOdds[] {
  if (choice === null) return [];
  return input.endpoints.map((endpoint) => {
    const share = choice.shares.get(endpoint) ?? 0;
    const at = tierIndex(input, endpoint);
    const tier = input.tiers[at]?.rotation.tier ?? '';
    const reason = share > 0 ? choice.reason : refusal(input, endpoint, at, choice);
    return { endpoint, share, tier, reason };
  });
}

/** The nearest tier of an endpoint, -1 for one that takes no traffic. */
function tierIndex(input: OddsInput, endpoint: EndpointState): number {
  return input.tiers.findIndex(({ rotation }) => rotation.members.includes(endpoint));
}

/** A tier is asked for due probes before its endpoints; tiers behind the one that has an endpoint are not. */
function dueProbe({
  tiers,
  bound,
  spillOverInFlight,
  request,
  nowMs,
}: OddsInput): EndpointState | null {
  const last = tiers.length - 1;
  if (bound !== null && tiers[last]?.rotation.isUsable(bound, request.avoid) === true) return null;
  for (const [i, { rotation }] of tiers.entries()) {
    const due = rotation.dueProbe(request.avoid, nowMs);
    if (due !== null) return due;
    if (i < last && !isFit(rotation, spillOverInFlight)) continue;
    if (rotation.candidates(request.avoid, nowMs).length > 0) return null;
  }
  return null;
}

function choose(input: OddsInput): Choice | null {
  const { tiers, bound, request, nowMs } = input;
  const last = tiers.length - 1;
  const far = tiers[last]?.rotation;
  if (far === undefined) return null;
  if (bound !== null && far.isUsable(bound, request.avoid)) {
    return { shares: new Map([[bound, 1]]), tier: last, reason: 'session affinity' };
  }
  for (const [i, { rotation, picker }] of tiers.entries()) {
    if (i < last && !isFit(rotation, input.spillOverInFlight)) continue;
    const candidates = rotation.candidates(request.avoid, nowMs);
    if (candidates.length === 0) continue;
    const odds = picker.odds(request, candidates, nowMs);
    return { shares: sharesOf(candidates, odds), tier: i, reason: reasonOf(far) };
  }
  const { avoid } = request;
  if (avoid === null || !far.members.includes(avoid) || !far.isUsable(avoid, null)) return null;
  return { shares: new Map([[avoid, 1]]), tier: last, reason: 'no other endpoint is left' };
}

function reasonOf({ members }: Rotation): string {
  const isWeightless = members.every(({ endpoint }) => endpoint.weight === 0);
  return isWeightless ? 'in rotation, since all weights are 0' : 'in rotation';
}

function sharesOf(
  candidates: readonly Candidate[],
  odds: readonly number[],
): ReadonlyMap<EndpointState, number> {
  return new Map(candidates.map(({ endpoint }, i) => [endpoint, odds[i] ?? 0]));
}

function isFit(rotation: Rotation, spillOverInFlight: number): boolean {
  const live = rotation.members.filter((endpoint) => rotation.isLive(endpoint));
  const inFlight = live.reduce((sum, endpoint) => sum + endpoint.inFlight, 0);
  return live.length > 0 && inFlight <= spillOverInFlight * live.length;
}

function refusal(input: OddsInput, endpoint: EndpointState, at: number, choice: Choice): string {
  const rotation = input.tiers[at]?.rotation;
  if (rotation === undefined) {
    return endpoint.endpoint.weight === 0 ? 'weight 0' : 'on another node than the caller';
  }
  if (!rotation.isLive(endpoint)) {
    if (healthOf(endpoint.cells) === PROBING) return 'ejected, a probe is under way';
    if (healthOf(endpoint.cells) === EJECTED) return whyOut(endpoint, rotation.gate.checked);
  }
  if (!rotation.hasRoom(endpoint)) return 'at its limit of connections or requests';
  if (endpoint === input.request.avoid) return 'it failed this request last';
  if (choice.reason === 'session affinity') return 'the session belongs to another endpoint';
  if (at > choice.tier) return 'nearer endpoints have room';
  if (at < choice.tier) return 'its tier is over the spill-over limit';
  return 'another endpoint comes first';
}

/** Of an ejected endpoint, `checked` where its backend has active checks: who ejected it, and what its last check found. */
export function whyOut({ cells }: EndpointState, checked: boolean): string {
  const { words, w, floats, f } = cells;
  if (!checked || floats[f + ENDPOINT_FLOAT.checkedAtMs] === 0) return 'ejected';
  const reason = checkReason(unpackCheck(words[w + ENDPOINT_WORD.checkResult] ?? 0));
  const isByChecks = isEjectedByChecks(healthOf(cells), words[w + ENDPOINT_WORD.ejectedBy] ?? 0);
  return `ejected by ${isByChecks ? 'its health checks' : 'failed requests'}; its last check: ${reason}`;
}
