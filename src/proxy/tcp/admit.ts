/** The phases between the accept and the first dial: whether a connection may stay, and to which backend it goes. */

import { admitToTarget, isTurnedAway } from '../call/admit.ts';
import type { CallContext } from '../call/context.ts';
import type { Verdict } from '../call/verdict.ts';
import type { PortState } from '../table/table.ts';

/** Connections of the Service → rate limit → backend by weight, in this order. */
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
  if (waitMs > 0) return verdict.refuse('rate_limited', waitMs);
  // Each takes every connection.
  const [route] = port.routes;
  if (route === undefined) return verdict.refuse('no_route', 0);
  verdict.route = route;
  return admitToTarget(route, 'tcp', now, context);
}
