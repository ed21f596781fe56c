/** What the mesh would do with a datagram of UDP that begins a session. */

import { hash32 } from '../base/hash.ts';
import type { TimeoutPolicy } from '../model/policy.ts';
import type { RoutePolicies } from '../model/route.ts';
import { streamLimitsOf } from '../model/stream-limits.ts';
import { noEndpointReason, targetOdds } from '../proxy/call/admit.ts';
import { PickFacts } from '../proxy/call/pick-facts.ts';
import { SERVICE_WORD } from '../proxy/ledger/layout.ts';
import type { PortState, ServiceState } from '../proxy/table/table.ts';
import { isAtLimit, isFull, readSource } from '../proxy/udp/admit.ts';
import type { Asked } from './arrived.ts';
import { assumptionsOfState } from './assumptions.ts';
import { deadEnd, endpointFacts, picksBy, spokenTo, type TargetStory, untaken } from './backend.ts';
import type { Dial } from './dial.ts';
import type { DryMesh } from './dry-mesh.ts';
import type { BackendFacts, RouteFacts } from './explanation.ts';
import { type Found, policiesOf, serviceFacts, takesToken, tellCaller } from './phases.ts';
import type { Story } from './story.ts';
import { tellTargets } from './tell-targets.ts';
import { type Way, waysOf } from './ways.ts';
import { count, duration } from './words.ts';

interface UdpQuestion {
  readonly mesh: DryMesh;
  readonly dial: Dial;
  readonly source: string;
}

export function followUdp(story: Story, port: PortState, question: UdpQuestion): Found {
  const { mesh, dial, source } = question;
  const asked: Asked = {
    addressHash: hash32(source),
    identity: mesh.identities.get(source),
    ownNode: '',
    nowMs: mesh.clock.nowMs(),
    knowledge: mesh.knowledge,
  };
  story.tell('accept', 'passed', dial.text);
  story.tell('head', 'off', 'nothing is read: datagrams pass as they come, both ways');
  tellCaller(story, source, asked.identity);
  tellService(story, port.rules);
  story.tell('authorise', 'off', 'access rules are not enforced yet: everyone may call');
  const goesOn = takesToken(story, port.rules, asked);
  const targets = goesOn ? reachTargets(story, port, asked) : [];
  return {
    service: serviceFacts(port),
    routes: routeFacts(port, goesOn),
    backends: targets.map(({ facts }) => facts),
    mirrors: [],
    policies: policiesOf(port, targets),
    assumptions: assumptionsOfState(mesh.knowledge, port, targets),
  };
}

/** A session that is silent makes room, so hardly any is too many. */
function tellService(story: Story, { flight }: ServiceState): void {
  const { words, w } = flight.cells;
  const inFlight = words[w + SERVICE_WORD.inFlight] ?? 0;
  const limit = count(flight.service.policies.limits.requestsInFlight, 'session');
  const text = `Service ${flight.service.key}, ${inFlight} of at most ${limit} in flight`;
  if (!isFull(flight)) return story.tell('service', 'passed', text);
  const rest = `one that is silent makes room, or the datagram gets ${story.refusal('overloaded')}`;
  story.tell('service', 'maybe', `${text}: ${rest}`);
}

function reachTargets(story: Story, port: PortState, asked: Asked): readonly TargetStory[] {
  const [route] = port.routes;
  if (route === undefined) {
    story.tell('route', 'ended', 'the port has no route');
    story.answer('no_route', 1);
    return [];
  }
  const timeouts = streamLimitsOf(port.rules.service, port.port);
  const rules: RoutePolicies = { retry: null, affinity: null, timeouts };
  const odds = targetOdds(route);
  const shares = port.port.routes[0]?.backends ?? [];
  const targets = shares
    .flatMap((share, i) => {
      const named = { share, target: route.targets[i] ?? null, odds: odds[i] ?? 0 };
      return waysOf(named, 'udp', asked.nowMs);
    })
    .map((way) => explainTarget(way, rules, asked));
  tellTargets(story, route, targets);
  // What is said of requests is not so for sessions.
  story.tell('route', 'passed', `route "${route.name}" takes every session`);
  if (story.has('breaker')) story.tell('breaker', 'off', 'circuit breakers do not apply to UDP');
  if (story.has('forward')) story.tell('forward', 'passed', forwardText(timeouts));
  return targets;
}

function explainTarget(
  { share, target, odds, instead }: Way,
  rules: RoutePolicies,
  asked: Asked,
): TargetStory {
  const base = { id: share.backend, instead, weight: share.weight, odds, changes: null };
  if (target === null) return deadEnd(base, rules, 'invalid_backend', share.invalid);
  const { backend, udp } = target;
  if (udp === null) {
    const why = 'no Service of the mesh has this backend, or it is none of UDP';
    return deadEnd(base, rules, 'no_endpoint', why);
  }
  const pick = pickFactsOf(udp, asked);
  const endpointOdds = backend.nextOdds(pick, asked.nowMs);
  const canPick = endpointOdds.length > 0;
  // Where endpoints are at their limits, a session that is silent makes room.
  const isCrowded = !canPick && backend.endpoints.some(isAtLimit);
  const reason = canPick ? '' : noEndpointReason(backend, pick);
  const facts: BackendFacts = {
    ...base,
    service: udp.service.key,
    ...spokenTo(udp, backend.id),
    upgrade: null,
    breaker: null,
    picks: picksBy(udp, rules, pick),
    endpoints:
      reason === ''
        ? endpointOdds.map((each) => endpointFacts(each, asked))
        : untaken(target, reason, asked),
    retries: null,
  };
  const failure = isCrowded ? '' : reason;
  return { facts, service: udp, rules, breakerWaitMs: 0, failure, callerMs: Infinity };
}

function pickFactsOf(service: ServiceState, asked: Asked): PickFacts {
  const pick = new PickFacts(asked.ownNode);
  pick.reset(asked.identity);
  readSource(pick, service, asked.addressHash);
  return pick;
}

function forwardText({ idleMs, tunnelMs }: TimeoutPolicy): string {
  const limits = [
    ...(idleMs > 0 ? [`${duration(idleMs)} without a datagram`] : []),
    ...(tunnelMs > 0 ? [`${duration(tunnelMs)} in all`] : []),
  ];
  const one = 'no datagram is sent twice; the next ones of the session go to the same endpoint';
  return `UDP, ${[one, ...limits].join(', ')}`;
}

function routeFacts({ port }: PortState, isReached: boolean): readonly RouteFacts[] {
  if (port.protocol !== 'udp') return [];
  return port.routes.map(({ name, source }, i) => {
    const taken = isReached && i === 0;
    const why = isReached ? 'another one comes first' : 'the datagram does not reach the routes';
    const reason = taken ? 'it takes every session' : why;
    return { name, taken, reason, policies: [], source };
  });
}
