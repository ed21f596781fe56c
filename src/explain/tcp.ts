/** What the mesh would do with a connection of TCP. */

import type { TimeoutPolicy } from '../model/policy.ts';
import type { Route } from '../model/route.ts';
import type { TlsRule } from '../model/rule.ts';
import { streamLimitsOf } from '../model/stream-limits.ts';
import { CONNECT_TRIES_MAX } from '../proxy/call/admit.ts';
import type { ClientHello } from '../proxy/hello/client-hello.ts';
import type { PortState, RouteState } from '../proxy/table/table.ts';
import { routeOf } from '../proxy/tcp/admit.ts';
import type { Asked } from './arrived.ts';
import type { TargetStory } from './backend.ts';
import type { Dial } from './dial.ts';
import type { DryMesh } from './dry-mesh.ts';
import type { RouteFacts } from './explanation.ts';
import { enterService, type Found, takesToken, tellCaller } from './phases.ts';
import { ruleText } from './rule-text.ts';
import type { Story } from './story.ts';
import { askedBy, foundOf, type Kind, reachTargets } from './streams.ts';
import { duration } from './words.ts';

interface TcpQuestion {
  readonly mesh: DryMesh;
  readonly dial: Dial;
  readonly source: string;
  /** Null for a caller that speaks no TLS. */
  readonly hello?: ClientHello | null;
}

const KIND: Kind = {
  protocol: 'tcp',
  // An endpoint that does not accept costs another try, and nothing else does.
  retries: {
    tries: CONNECT_TRIES_MAX,
    on: ['connect-failure'],
    statuses: [],
    not: [],
    budget: null,
  },
  makesRoom: () => false,
};

export function followTcp(story: Story, port: PortState, question: TcpQuestion): Found {
  const { mesh, dial, source, hello = null } = question;
  const asked = askedBy(source, mesh);
  story.tell('accept', 'passed', dial.text);
  const isRouted = port.hellos !== null;
  const inside = port.port.passesTls ? ', TLS of callers too' : '';
  const { proxyProtocol } = port.rules.service.policies;
  const first = proxyProtocol.accept
    ? ', but a header of the PROXY protocol from trusted sources'
    : '';
  if (!isRouted)
    story.tell(
      'head',
      'off',
      `nothing is read${first}: bytes pass as they come, both ways${inside}`,
    );
  tellCaller(story, source, asked.identity);
  const isIn = enterService(story, port.rules, 'connection');
  if (isIn) story.tell('authorise', 'off', 'access rules are not enforced yet: everyone may call');
  const hasToken = isIn && takesToken(story, port.rules, asked);
  const goesOn = hasToken && (!isRouted || tellHello(story, hello));
  const route = goesOn ? routeOf(port, hello) : undefined;
  const targets = goesOn ? reach(story, port, route, asked) : [];
  return foundOf(port, routeFacts(port, route, goesOn), targets, mesh);
}

/** False when the connection ends here, as below. */
function tellHello(story: Story, hello: ClientHello | null): boolean {
  if (hello === null) {
    const how = 'ask about tls://NAME@HOST:PORT';
    story.tell('head', 'ended', `the port routes TLS by what callers say first: ${how}`);
    story.answer('bad_hello', 1);
    return false;
  }
  const { serverName, protocols } = hello;
  const server = serverName === '' ? 'no server by its name' : `the server ${serverName}`;
  const offers = protocols.length === 0 ? 'no protocol' : protocols.join(', ');
  const rest = 'it is read and passed on as it is, with all that follows';
  story.tell('head', 'passed', `the ClientHello asks for ${server} and offers ${offers}; ${rest}`);
  return true;
}

function reach(
  story: Story,
  port: PortState,
  route: RouteState | undefined,
  asked: Asked,
): readonly TargetStory[] {
  if (route === undefined) {
    story.tell('route', 'ended', 'no route of the port takes the connection');
    story.answer('no_route', 1);
    return [];
  }
  const targets = reachTargets(story, { port, route, asked }, KIND);
  // What is said of requests is not so for connections.
  const [match] = rulesOf(port, port.port.routes[port.routes.indexOf(route)]);
  const what = match === undefined ? 'every connection' : `the connection by ${ruleText(match)}`;
  story.tell('route', 'passed', `route "${route.name}" takes ${what}`);
  const timeouts = streamLimitsOf(port.rules.service, port.port);
  const told = targets.map(({ service }) => service?.service.policies.proxyProtocol.send ?? 'none');
  if (story.has('forward')) story.tell('forward', 'passed', forwardText(timeouts, told));
  return targets;
}

function forwardText(
  { connectMs, idleMs, tunnelMs, drainMs }: TimeoutPolicy,
  told: readonly string[],
): string {
  const versions = [...new Set(told)].filter((each) => each !== 'none');
  const limits = [
    `up to ${CONNECT_TRIES_MAX} tries until an endpoint accepts`,
    ...(connectMs > 0 ? [`${duration(connectMs)} for connect`] : []),
    ...(idleMs > 0 ? [`${duration(idleMs)} without a byte`] : []),
    ...(tunnelMs > 0 ? [`${duration(tunnelMs)} in all`] : []),
    ...(drainMs > 0 ? [`${duration(drainMs)} once its endpoint has left`] : []),
  ];
  const first = versions.length > 0 ? ` behind a header of PROXY ${versions.join(' or ')}` : '';
  return `TCP${first}, ${limits.join(', ')}`;
}

function rulesOf({ port }: PortState, route: Route | undefined): readonly TlsRule[] {
  const found = port.protocol === 'tcp' ? port.routes.find((each) => each === route) : undefined;
  return found === undefined ? [] : found.matches.map(({ rule }) => rule);
}

/** `taker` is the route that takes the connection, undefined for none. */
function routeFacts(
  { port, routes }: PortState,
  taker: RouteState | undefined,
  isReached: boolean,
): readonly RouteFacts[] {
  if (port.protocol !== 'tcp') return [];
  const takerAt = taker === undefined ? routes.length : routes.indexOf(taker);
  return port.routes.map(({ name, source, matches }, i) => {
    const taken = i === takerAt;
    const asks = matches.map(({ rule }) => ruleText(rule)).join(' || ');
    const what = matches.length === 0 ? 'it takes every connection' : asks;
    const reason = !isReached
      ? 'the connection does not reach the routes'
      : taken
        ? what
        : i < takerAt
          ? `it takes ${asks}`
          : 'another one comes first';
    return { name, taken, reason, policies: [], source };
  });
}
