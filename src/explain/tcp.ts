/** What the mesh would do with a connection of TCP. */

import { hash32 } from '../base/hash.ts';
import type { TimeoutPolicy } from '../model/policy.ts';
import type { RoutePolicies } from '../model/route.ts';
import { streamLimitsOf } from '../model/stream-limits.ts';
import { CONNECT_TRIES_MAX, noEndpointReason, targetOdds } from '../proxy/call/admit.ts';
import { PickFacts } from '../proxy/call/pick-facts.ts';
import type { PortState, ServiceState } from '../proxy/table/table.ts';
import type { Asked } from './arrived.ts';
import { assumptionsOfState } from './assumptions.ts';
import { deadEnd, endpointFacts, picksBy, spokenTo, type TargetStory, untaken } from './backend.ts';
import type { Dial } from './dial.ts';
import type { DryMesh } from './dry-mesh.ts';
import type { BackendFacts, RetryFacts, RouteFacts } from './explanation.ts';
import {
  enterService,
  type Found,
  policiesOf,
  serviceFacts,
  takesToken,
  tellCaller,
} from './phases.ts';
import type { Story } from './story.ts';
import { tellTargets } from './tell-targets.ts';
import { duration } from './words.ts';
import { type Way, waysOf } from './ways.ts';

interface TcpQuestion {
  readonly mesh: DryMesh;
  readonly dial: Dial;
  readonly source: string;
}

/** An endpoint that does not accept costs another try, and nothing else does. */
const RETRIES: RetryFacts = {
  tries: CONNECT_TRIES_MAX,
  on: ['connect-failure'],
  statuses: [],
  not: [],
  budget: null,
};

export function followTcp(story: Story, port: PortState, question: TcpQuestion): Found {
  const { mesh, dial, source } = question;
  const asked: Asked = {
    addressHash: hash32(source),
    identity: mesh.identities.get(source),
    ownNode: '',
    nowMs: mesh.clock.nowMs(),
    knowledge: mesh.knowledge,
  };
  story.tell('accept', 'passed', dial.text);
  const inside = port.port.passesTls ? ', TLS of callers too' : '';
  story.tell('head', 'off', `nothing is read: bytes pass as they come, both ways${inside}`);
  tellCaller(story, source, asked.identity);
  const isIn = enterService(story, port.rules, 'connection');
  if (isIn) story.tell('authorise', 'off', 'access rules are not enforced yet: everyone may call');
  const goesOn = isIn && takesToken(story, port.rules, asked);
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
      return waysOf(named, 'tcp', asked.nowMs);
    })
    .map((way) => explainTarget(way, rules, asked));
  tellTargets(story, route, targets);
  // What is said of requests is not so for connections.
  story.tell('route', 'passed', `route "${route.name}" takes every connection`);
  if (story.has('breaker')) story.tell('breaker', 'off', 'circuit breakers do not apply to TCP');
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
  const { backend, tcp } = target;
  if (tcp === null) {
    const why = 'no Service of the mesh has this backend, or it is none of TCP';
    return deadEnd(base, rules, 'no_endpoint', why);
  }
  const pick = pickFactsOf(tcp, asked);
  const endpointOdds = backend.nextOdds(pick, asked.nowMs);
  const canPick = endpointOdds.length > 0;
  const failure = canPick ? '' : noEndpointReason(backend, pick);
  const facts: BackendFacts = {
    ...base,
    service: tcp.service.key,
    ...spokenTo(tcp, backend.id),
    upgrade: null,
    breaker: null,
    picks: picksBy(tcp, rules, pick),
    endpoints: canPick
      ? endpointOdds.map((each) => endpointFacts(each, asked))
      : untaken(target, failure, asked),
    retries: canPick ? RETRIES : null,
  };
  return { facts, service: tcp, rules, breakerWaitMs: 0, failure, callerMs: Infinity };
}

function pickFactsOf(service: ServiceState, asked: Asked): PickFacts {
  const pick = new PickFacts(asked.ownNode);
  pick.reset(asked.identity);
  pick.readSource(service.service.policies, asked.addressHash);
  return pick;
}

function forwardText({ connectMs, idleMs, tunnelMs }: TimeoutPolicy): string {
  const limits = [
    `up to ${CONNECT_TRIES_MAX} tries until an endpoint accepts`,
    ...(connectMs > 0 ? [`${duration(connectMs)} for connect`] : []),
    ...(idleMs > 0 ? [`${duration(idleMs)} without a byte`] : []),
    ...(tunnelMs > 0 ? [`${duration(tunnelMs)} in all`] : []),
  ];
  return `TCP, ${limits.join(', ')}`;
}

function routeFacts({ port }: PortState, isReached: boolean): readonly RouteFacts[] {
  if (port.protocol !== 'tcp') return [];
  return port.routes.map(({ name, source }, i) => {
    const taken = isReached && i === 0;
    const why = isReached ? 'another one comes first' : 'the connection does not reach the routes';
    const reason = taken ? 'it takes every connection' : why;
    return { name, taken, reason, policies: [], source };
  });
}
