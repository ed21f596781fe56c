/** The phases between the head and the first try: who may go on, and to which backend. */

import type { FailureReason } from '../../model/failure.ts';
import type { BackendState, PickRequest } from '../balance/backend-state.ts';
import type { ThreadContext } from './context.ts';
import { keptOf, staysInCrowd } from './crowd.ts';
import { add } from './account.ts';
import { SERVICE_OWN, SERVICE_WORD } from '../ledger/layout.ts';
import { breakerAdmits } from '../policy/breaker.ts';
import type { TargetFilters } from '../head/filter.ts';
import type { Head } from '../head/head.ts';
import type { PathView } from '../head/path-view.ts';
import type { RateLimiter } from '../policy/rate-limit.ts';
import type { PortState, RouteState, ServiceState, Target } from '../table/table.ts';
import type { Source } from './source.ts';
import type { Verdict } from './verdict.ts';

/**
 * Rate limits → route, which may redirect → backend by weight → circuit breaker → limits, in this order; the limit of a route once
 * it is known.
 */
// oxlint-disable-next-line max-params -- once per request, without an object
export function admit(
  port: PortState,
  data: Buffer,
  head: Head,
  source: Source,
  now: number,
  context: ThreadContext,
): Verdict {
  const { rules: service, routes } = port;
  const { verdict } = context;
  verdict.target = null;
  verdict.route = null;
  if (isTurnedAway(service.flight, source.addressHash, now, context))
    return verdict.refuse('overloaded', 0);
  const { limiter } = service;
  if (limiter !== null) {
    // What its route refuses takes no token of the Service: a storm on one route would starve the others.
    const waitMs = port.limitsRoutes
      ? limiter.peek(source.addressHash, now)
      : limiter.take(source.addressHash, now);
    if (waitMs > 0) return verdict.refuse('rate_limited', waitMs);
  }
  const route = matchRoute(routes, data, head, context.path, source.forwarding.trusted);
  if (port.limitsRoutes && !takesTokens(route, limiter, source.addressHash, now, verdict))
    return verdict;
  if (route === undefined) return verdict.refuse('no_route', 0);
  verdict.route = route;
  if (route.redirect !== null) return verdict.allow();
  return admitToRoute(route, head.contentLength, now, context);
}

/** The Service has nearly as many in flight as it may, this one included, and its source has more than its share. */
export function isTurnedAway(
  flight: ServiceState,
  addressHash: number,
  now: number,
  context: ThreadContext,
): boolean {
  const { words, w } = flight.cells;
  const inFlight = words[w + SERVICE_WORD.inFlight] as number;
  const limit = flight.service.policies.limits.requestsInFlight;
  const isCrowded = inFlight > limit - keptOf(limit);
  return isCrowded && !staysInCrowd(flight, inFlight, addressHash, now, context);
}

function admitToRoute(
  route: RouteState,
  contentLength: number,
  now: number,
  context: ThreadContext,
): Verdict {
  const verdict = admitToTarget(route, 'service', now, context);
  const service = verdict.target?.service ?? null;
  if (verdict.failure !== '' || service === null) return verdict;
  return admitToBackend(service, contentLength, now, context);
}

/** Chooses a backend of the route, by weight, and who takes over for it; refused where nobody carries what is of this kind. */
export function admitToTarget(
  route: RouteState,
  kind: Carrying,
  now: number,
  context: ThreadContext,
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

/** Who takes a request, or a connection of TCP, for a backend that has a failover. */
export function takerOf(
  named: Target,
  kind: Carrying,
  now: number,
  { random }: ThreadContext,
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

/** Takes a token of a route and one of its Service, where they have limits; none of the Service where the route has none left. */
function takesTokens(
  route: RouteState | undefined,
  shared: RateLimiter | null,
  addressHash: number,
  now: number,
  verdict: Verdict,
): boolean {
  const own = route === undefined ? null : route.limiter;
  let waitMs = own === null ? 0 : own.take(addressHash, now);
  if (waitMs > 0) verdict.refuse('route_rate_limited', waitMs);
  else if (shared !== null) {
    // Another thread may have taken the last one meanwhile: then the route has one less than it is due, never one more.
    waitMs = shared.take(addressHash, now);
    if (waitMs > 0) verdict.refuse('rate_limited', waitMs);
  }
  return waitMs === 0;
}

function admitToBackend(
  service: ServiceState,
  contentLength: number,
  now: number,
  context: ThreadContext,
): Verdict {
  const { verdict } = context;
  if (service.service.policies.breaker !== null) {
    const waitMs = breakerAdmits(service.cells, now, context.random);
    if (waitMs > 0) return verdict.refuse('breaker_open', waitMs);
  }
  if (isBodyTooLarge(service, contentLength)) return verdict.refuse('body_too_large', 0);
  return verdict.allow();
}

// The parts that decide change nothing: `maesh explain` calls them too.

/** `inFlight` counts this request. */
export function isOverloaded(service: ServiceState, inFlight: number): boolean {
  return inFlight > service.service.policies.limits.requestsInFlight;
}

/** The route that takes the request of a caller, with what it matched noted in `path`; undefined when none does. */
// oxlint-disable-next-line max-params -- once per request, without an object
export function matchRoute(
  routes: readonly RouteState[],
  data: Buffer,
  head: Head,
  path: PathView,
  isTrusted: boolean,
): RouteState | undefined {
  let isRead = false;
  for (const route of routes) {
    const { matchers } = route;
    path.matched = 0;
    if (matchers.length === 0) return route;
    if (!isRead) path.read(data, head);
    isRead = true;
    for (const matcher of matchers) {
      if (!matcher.takes(data, head, path, isTrusted)) continue;
      path.matched = matcher.matchedBytes(path);
      return route;
    }
  }
  return undefined;
}

/** What of a target carries it: `service` is for requests. */
export type Carrying = 'service' | 'tcp';

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

/** `contentLength` as announced, or -1. */
export function isBodyTooLarge(service: ServiceState, contentLength: number): boolean {
  const max = service.service.policies.limits.requestBodyBytes;
  return max > 0 && contentLength > max;
}

/** Why a backend that gave no endpoint gave none. */
export function noEndpointReason(backend: BackendState, pick: PickRequest): FailureReason {
  if (backend.size === 0) return 'no_endpoint';
  if (backend.believesNobody) return 'tls_unknown_issuer';
  return backend.isReachable(pick.node) ? 'no_healthy_endpoint' : 'no_local_endpoint';
}

/** The place of a target by weight, or -1 when none has any. */
export function chooseTarget(route: RouteState, context: ThreadContext): number {
  const { targets, weights, totalWeight } = route;
  if (targets.length === 1) return totalWeight > 0 ? 0 : -1;
  let rest = context.random.next() * totalWeight;
  for (let i = 0; i < targets.length; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return i;
  }
  return -1;
}
