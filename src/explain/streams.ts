/** What connections of TCP and sessions of UDP have in common: the backends of the route that takes them, and who is picked there. */

import { hash32 } from '../base/hash.ts';
import type { RoutePolicies } from '../model/route.ts';
import { streamLimitsOf } from '../model/stream-limits.ts';
import type { EndpointState } from '../proxy/balance/endpoint-state.ts';
import { noEndpointReason, targetOdds } from '../proxy/call/admit.ts';
import { PickFacts } from '../proxy/call/pick-facts.ts';
import type { PortState, RouteState } from '../proxy/table/table.ts';
import type { Asked } from './arrived.ts';
import { assumptionsOfState } from './assumptions.ts';
import { deadEnd, endpointFacts, picksBy, spokenTo, type TargetStory, untaken } from './backend.ts';
import type { DryMesh } from './dry-mesh.ts';
import type { BackendFacts, RetryFacts, RouteFacts } from './explanation.ts';
import { type Found, policiesOf, serviceFacts } from './phases.ts';
import type { Story } from './story.ts';
import { tellTargets } from './tell-targets.ts';
import { type Way, waysOf } from './ways.ts';

/** What differs between them. */
export interface Kind {
  readonly protocol: 'tcp' | 'udp';
  /** What an endpoint that cannot be reached costs; null for nothing more. */
  readonly retries: RetryFacts | null;
  /** Such an endpoint gets place for another one all the same. */
  readonly makesRoom: (endpoint: EndpointState) => boolean;
}

/** By a caller of whom only its address is known. */
export function askedBy(source: string, mesh: DryMesh): Asked {
  return {
    addressHash: hash32(source),
    identity: mesh.identities.get(source),
    ownNode: '',
    nowMs: mesh.clock.nowMs(),
    knowledge: mesh.knowledge,
  };
}

export function foundOf(
  port: PortState,
  routes: readonly RouteFacts[],
  targets: readonly TargetStory[],
  { knowledge }: DryMesh,
): Found {
  return {
    service: serviceFacts(port),
    routes,
    backends: targets.map(({ facts }) => facts),
    mirrors: [],
    policies: policiesOf(port, targets),
    assumptions: assumptionsOfState(knowledge, port, targets),
  };
}

/** Who takes the stream, and by what. */
interface Taken {
  readonly port: PortState;
  readonly route: RouteState;
  readonly asked: Asked;
}

/** Tells of all backends of the route. */
export function reachTargets(
  story: Story,
  { port, route, asked }: Taken,
  kind: Kind,
): readonly TargetStory[] {
  const timeouts = streamLimitsOf(port.rules.service, port.port);
  const rules: RoutePolicies = { retry: null, affinity: null, timeouts };
  const odds = targetOdds(route);
  const shares = port.port.routes[port.routes.indexOf(route)]?.backends ?? [];
  const targets = shares
    .flatMap((share, i) => {
      const named = { share, target: route.targets[i] ?? null, odds: odds[i] ?? 0 };
      return waysOf(named, kind.protocol, asked.nowMs);
    })
    .map((way) => explainTarget(way, rules, kind, asked));
  tellTargets(story, route, targets);
  if (story.has('breaker')) {
    const what = kind.protocol.toUpperCase();
    story.tell('breaker', 'off', `circuit breakers do not apply to ${what}`);
  }
  return targets;
}

function explainTarget(
  { share, target, odds, instead }: Way,
  rules: RoutePolicies,
  kind: Kind,
  asked: Asked,
): TargetStory {
  const base = { id: share.backend, instead, weight: share.weight, odds, changes: null };
  if (target === null) return deadEnd(base, rules, 'invalid_backend', share.invalid);
  const { backend } = target;
  const service = target[kind.protocol];
  if (service === null) {
    const why = `no Service of the mesh has this backend, or it is none of ${kind.protocol.toUpperCase()}`;
    return deadEnd(base, rules, 'no_endpoint', why);
  }
  const pick = new PickFacts(asked.ownNode);
  pick.reset(asked.identity);
  pick.readSource(service.service.policies, asked.addressHash);
  const endpointOdds = backend.nextOdds(pick, asked.nowMs);
  const canPick = endpointOdds.length > 0;
  const reason = canPick ? '' : noEndpointReason(backend, pick);
  const isCrowded = !canPick && backend.endpoints.some(kind.makesRoom);
  const facts: BackendFacts = {
    ...base,
    service: service.service.key,
    ...spokenTo(service, backend.id),
    upgrade: null,
    breaker: null,
    picks: picksBy(service, rules, pick),
    endpoints:
      reason === ''
        ? endpointOdds.map((each) => endpointFacts(each, asked))
        : untaken(target, reason, asked),
    retries: canPick ? kind.retries : null,
  };
  const failure = isCrowded ? '' : reason;
  return { facts, service, rules, breakerWaitMs: 0, failure, callerMs: Infinity };
}
