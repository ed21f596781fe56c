/** The phases that every call goes through before its first try, whatever it carries: who may stay, and which backend gets it. */

import type { FailureReason } from '../../model/failure.ts';
import type { BackendState, PickRequest } from '../balance/backend-state.ts';
import type { TargetFilters } from '../head/filter.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../ledger/layout.ts';
import type { RouteState, ServiceState, Target } from '../table/table.ts';
import { add } from './account.ts';
import type { CallContext } from './context.ts';
import { keptOf, staysInCrowd } from './crowd.ts';
import type { Verdict } from './verdict.ts';

/** Without a retry policy, this many endpoints are tried until one accepts the connection. */
export const CONNECT_TRIES_MAX = 3;

/** The Service has nearly as many in flight as it may, this one included, and its source has more than its share. */
export function isTurnedAway(
  flight: ServiceState,
  addressHash: number,
  now: number,
  context: CallContext,
): boolean {
  const { words, w } = flight.cells;
  const inFlight = words[w + SERVICE_WORD.inFlight] as number;
  const limit = flight.service.policies.limits.requestsInFlight;
  const isCrowded = inFlight > limit - keptOf(limit);
  return isCrowded && !staysInCrowd(flight, inFlight, addressHash, now, context);
}

/** Chooses a backend of the route, by weight, and who takes over for it; refused where nobody carries what is of this kind. */
export function admitToTarget(
  route: RouteState,
  kind: Carrying,
  now: number,
  context: CallContext,
): Verdict {
  const { verdict } = context;
  const at = chooseTarget(route, context);
  if (at < 0) return verdict.refuse('no_route', 0);
  const named = route.targets[at] as Target | null;
  if (named === null) return verdict.refuse('invalid_backend', 0);
  const target = named.failover === null ? named : takerOf(named, kind, now, context);
  verdict.target = target;
  verdict.filters = route.filters[at] as TargetFilters | null;
  return target[kind] === null ? verdict.refuse('no_endpoint', 0) : verdict.allow();
}

/** Who takes a request, a connection of TCP or a session of UDP for a backend that has a failover. */
export function takerOf(
  named: Target,
  kind: Carrying,
  now: number,
  { random }: CallContext,
): Target {
  const share = named.backend.ownShare(now);
  const second = secondOf(named, kind);
  if (second === null) return named;
  second.backend.expect(now);
  if (share >= 1 || !second.backend.isUsable() || random.next() < share) return named;
  const rules = named[kind];
  if (rules !== null) add(rules.cells, SERVICE_OWN.failedOver, 1);
  return second;
}

// The parts that decide change nothing: `maesh explain` calls them too.

/** `inFlight` counts this request. */
export function isOverloaded(service: ServiceState, inFlight: number): boolean {
  return inFlight > service.service.policies.limits.requestsInFlight;
}

/** What of a target carries it: `service` is for requests. */
export type Carrying = 'service' | 'tcp' | 'udp';

/** The failover of a target; null where there is none, or nobody is there who carries the same. */
function secondOf({ failover }: Target, kind: Carrying): Target | null {
  const found = failover === null ? null : failover();
  return found === null || found[kind] === null ? null : found;
}

/** Who takes over of a target, null for nobody, and the share of its requests that it takes itself. */
export function failoverOdds(
  target: Target,
  kind: Carrying,
  now: number,
): { readonly second: Target | null; readonly own: number } {
  const second = secondOf(target, kind);
  if (second === null || !second.backend.isUsable()) return { second: null, own: 1 };
  return { second, own: target.backend.shareNow(now) };
}

/** The probability of each target of a route, in their order; all 0 when it leads nowhere. */
export function targetOdds({ weights, totalWeight }: RouteState): number[] {
  return weights.map((weight) => (totalWeight > 0 ? weight / totalWeight : 0));
}

/** Why a backend that gave no endpoint gave none. */
export function noEndpointReason(backend: BackendState, pick: PickRequest): FailureReason {
  if (backend.size === 0) return 'no_endpoint';
  if (backend.settingFault !== null) return backend.settingFault;
  return backend.isReachable(pick.node) ? 'no_healthy_endpoint' : 'no_local_endpoint';
}

/** The place of a target by weight, or -1 when none has any. */
export function chooseTarget(route: RouteState, context: CallContext): number {
  const { targets, weights, totalWeight } = route;
  if (targets.length === 1) return totalWeight > 0 ? 0 : -1;
  let rest = context.random.next() * totalWeight;
  for (let i = 0; i < targets.length; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return i;
  }
  return -1;
}
