/** The phases between the head and the first try: who may go on, and to which backend. */

import { admitToTarget, isTurnedAway } from '../call/admit.ts';
import type { ThreadContext } from './context.ts';
import { breakerAdmits } from '../policy/breaker.ts';
import type { Head } from '../head/head.ts';
import type { PathView } from '../head/path-view.ts';
import type { RateLimiter } from '../policy/rate-limit.ts';
import type { PortState, RouteState, ServiceState } from '../table/table.ts';
import type { Source } from './source.ts';
import type { Verdict } from '../call/verdict.ts';

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

/** `contentLength` as announced, or -1. */
export function isBodyTooLarge(service: ServiceState, contentLength: number): boolean {
  const max = service.service.policies.limits.requestBodyBytes;
  return max > 0 && contentLength > max;
}
