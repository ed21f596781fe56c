/** The phases between the accept and the first dial: whether a connection may stay, and to which backend it goes. */

import { admitToTarget, isTurnedAway } from '../call/admit.ts';
import type { CallContext } from '../call/context.ts';
import type { Verdict } from '../call/verdict.ts';
import type { ClientHello } from '../hello/client-hello.ts';
import type { PortState, RouteState, ServiceState } from '../table/table.ts';

/** Where a connection is counted among those of its source; NO_SEAT where that has as many as it may. */
export function seatOf(
  { callers }: ServiceState,
  addressHash: number,
  { seats }: CallContext,
): number {
  const max = callers.service.policies.limits.connectionsPerCaller;
  return max === 0 ? 0 : seats.take(addressHash, callers.cells.slot, max);
}

/** Connections of the Service → rate limit, in this order; before anything is read. */
export function admit(
  port: PortState,
  addressHash: number,
  now: number,
  context: CallContext,
): Verdict {
  const { verdict } = context;
  verdict.target = null;
  verdict.route = null;
  const { rules } = port;
  if (isTurnedAway(rules.flight, addressHash, now, context)) return verdict.refuse('overloaded', 0);
  const { limiter } = rules;
  const waitMs = limiter === null ? 0 : limiter.take(addressHash, now);
  return waitMs > 0 ? verdict.refuse('rate_limited', waitMs) : verdict.allow();
}

/** Route → backend by weight. */
export function lead(
  port: PortState,
  hello: ClientHello | null,
  now: number,
  context: CallContext,
): Verdict {
  const { verdict } = context;
  const route = routeOf(port, hello);
  if (route === undefined) return verdict.refuse('no_route', 0);
  verdict.route = route;
  return admitToTarget(route, 'tcp', now, context);
}

/** The first one that takes it; undefined for none. Without a hello only a port that asks for none has one. */
export function routeOf(port: PortState, hello: ClientHello | null): RouteState | undefined {
  if (port.hellos === null) return port.routes[0];
  return hello === null ? undefined : port.routes[port.hellos.find(hello)];
}
