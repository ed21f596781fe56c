/** Where a backend of a route leads: to itself, and to who takes over of it. */

import type { RouteBackend } from '../model/route.ts';
import { type Carrying, failoverOdds } from '../proxy/call/admit.ts';
import type { Target } from '../proxy/table/table.ts';

export interface Way {
  /** What the route says of it. */
  readonly share: RouteBackend;
  /** Null where the route may not lead. */
  readonly target: Target | null;
  /** Probability that the route leads here. */
  readonly odds: number;
  /** Id of the backend that it takes over for; '' for none. */
  readonly instead: string;
}

export function waysOf(named: Omit<Way, 'instead'>, kind: Carrying, nowMs: number): readonly Way[] {
  const { target, share, odds } = named;
  const itself = { ...named, instead: '' };
  if (target === null) return [itself];
  const { second, own } = failoverOdds(target, kind, nowMs);
  if (second === null || own >= 1) return [itself];
  const taking = { ...share, backend: second.backend.id };
  return [
    { ...itself, odds: odds * own },
    { share: taking, target: second, odds: odds * (1 - own), instead: share.backend },
  ];
}
