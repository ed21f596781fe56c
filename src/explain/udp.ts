/** What the mesh would do with a datagram of UDP that begins a session. */

import type { TimeoutPolicy } from '../model/policy.ts';
import { streamLimitsOf } from '../model/stream-limits.ts';
import { SERVICE_WORD } from '../proxy/ledger/layout.ts';
import type { PortState, ServiceState } from '../proxy/table/table.ts';
import { isAtLimit, isFull } from '../proxy/udp/admit.ts';
import type { Asked } from './arrived.ts';
import type { TargetStory } from './backend.ts';
import type { Dial } from './dial.ts';
import type { DryMesh } from './dry-mesh.ts';
import type { RouteFacts } from './explanation.ts';
import { type Found, takesToken, tellCaller } from './phases.ts';
import type { Story } from './story.ts';
import { askedBy, foundOf, type Kind, reachTargets } from './streams.ts';
import { count, duration } from './words.ts';

interface UdpQuestion {
  readonly mesh: DryMesh;
  readonly dial: Dial;
  readonly source: string;
}

/** Where endpoints are at their limits, a session that is silent makes room. */
const KIND: Kind = { protocol: 'udp', retries: null, makesRoom: isAtLimit };

export function followUdp(story: Story, port: PortState, question: UdpQuestion): Found {
  const { mesh, dial, source } = question;
  const asked = askedBy(source, mesh);
  story.tell('accept', 'passed', dial.text);
  story.tell('head', 'off', 'nothing is read: datagrams pass as they come, both ways');
  tellCaller(story, source, asked.identity);
  tellService(story, port.rules);
  story.tell('authorise', 'off', 'access rules are not enforced yet: everyone may call');
  const goesOn = takesToken(story, port.rules, asked);
  const targets = goesOn ? reach(story, port, asked) : [];
  return foundOf(port, routeFacts(port, goesOn), targets, mesh);
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

function reach(story: Story, port: PortState, asked: Asked): readonly TargetStory[] {
  const [route] = port.routes;
  if (route === undefined) {
    story.tell('route', 'ended', 'the port has no route');
    story.answer('no_route', 1);
    return [];
  }
  const targets = reachTargets(story, { port, route, asked }, KIND);
  // What is said of requests is not so for sessions.
  story.tell('route', 'passed', `route "${route.name}" takes every session`);
  const timeouts = streamLimitsOf(port.rules.service, port.port);
  if (story.has('forward')) story.tell('forward', 'passed', forwardText(timeouts));
  return targets;
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
