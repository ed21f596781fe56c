/** The phases before a session: whether a caller may have one, and to which backend its datagrams go. */

import { admitToTarget } from '../call/admit.ts';
import type { CallContext } from '../call/context.ts';
import { keptOf } from '../call/crowd.ts';
import type { Verdict } from '../call/verdict.ts';
import { SERVICE_WORD } from '../ledger/layout.ts';
import type { EndpointState } from '../balance/endpoint-state.ts';
import type { PortState, ServiceState } from '../table/table.ts';

/**
 * Whether a Service has so many sessions that another one takes the place of one, on a thread that has `own` of them. The last part of
 * what it may have in flight is left to requests and connections of its other ports, which cannot take a place.
 */
export function isFull({ cells, service }: ServiceState, own = 0, threads = 1): boolean {
  const { words, w } = cells;
  const limit = service.policies.limits.requestsInFlight;
  const places = Math.max(limit - keptOf(limit), 1);
  const inFlight = words[w + SERVICE_WORD.inFlight] as number;
  return inFlight >= places - leftToOthers(places, own, threads);
}

/**
 * Places of a limit that a thread with `own` sessions leaves to the other threads. No thread can end sessions of another one: so each
 * finds a quarter of an equal share, and at least one place, whatever the others have.
 */
export function leftToOthers(places: number, own: number, threads: number): number {
  const least = Math.max(Math.floor(places / threads / 4), 1);
  return own < least ? 0 : least * (threads - 1);
}

/** It has as many sessions as it may, from this node. */
export function isAtLimit({ inFlight, limits }: EndpointState): boolean {
  return inFlight >= limits.connectionsPerEndpoint;
}

/** Takes a token of the Service, where it has a rate limit: of sessions, not of datagrams. */
export function takesToken(
  { rules: { limiter } }: PortState,
  addressHash: number,
  now: number,
): boolean {
  return limiter === null || limiter.take(addressHash, now) === 0;
}

/** The backend by weight. */
export function route(port: PortState, now: number, context: CallContext): Verdict {
  const { verdict } = context;
  verdict.target = null;
  verdict.route = null;
  // Each takes every datagram.
  const [first] = port.routes;
  if (first === undefined) return verdict.refuse('no_route', 0);
  verdict.route = first;
  return admitToTarget(first, 'udp', now, context);
}
