/** The phases from the route on, over all backends that it may lead to. */

import type { RouteState } from '../proxy/table/table.ts';
import type { TargetStory } from './backend.ts';
import type { BackendFacts, PhaseState, RetryFacts, TlsFacts } from './explanation.ts';
import type { Story } from './story.ts';
import { upgradeTexts } from './upgrade.ts';
import { count, duration, percent, rateText } from './words.ts';

export function tellTargets(story: Story, route: RouteState, all: readonly TargetStory[]): void {
  story.tell('route', 'passed', `route "${route.name}" takes the request${limitText(route)}`);
  const targets = all.filter(({ facts }) => facts.odds > 0);
  if (targets.length === 0) {
    story.tell('backend', 'ended', 'no backend of the route has a weight');
    return story.answer('no_route', 1);
  }
  const shares = targets.map(({ facts }) => {
    const instead =
      facts.instead === '' ? '' : ` for ${facts.instead}, whose endpoints are too few`;
    return `${facts.id} takes ${percent(facts.odds)}${instead}`;
  });
  story.tell('backend', 'passed', shares.join(', '));
  tellBreakers(story, targets);
  for (const target of targets) conclude(story, target);
  const reached = targets.filter(({ facts }) => passes(facts) > 0);
  if (reached.length === 0) return;
  tellEndpoints(story, reached);
  const forwarded = reached.filter(({ failure }) => failure === '');
  if (forwarded.length > 0) story.tell('forward', 'passed', forwarded.map(forwardText).join('; '));
}

function limitText({ limiter }: RouteState): string {
  return limiter === null
    ? ''
    : `, and has a rate limit of its own: ${rateText(limiter.policy)}: a token is left`;
}

/** Share of the requests for a backend that its breaker lets pass. */
function passes({ breaker }: BackendFacts): number {
  return breaker === null ? 1 : breaker.share;
}

function conclude(story: Story, { facts, failure, breakerWaitMs }: TargetStory): void {
  const share = passes(facts);
  if (share < 1) story.answer('breaker_open', facts.odds * (1 - share), breakerWaitMs);
  if (share === 0) return;
  if (failure === '') story.forward(facts.odds * share, `goes to ${facts.id}`);
  else story.answer(failure, facts.odds * share);
}

function tellBreakers(story: Story, targets: readonly TargetStory[]): void {
  const words = targets.map(({ facts }) => breakerText(facts));
  const shares = targets.map(({ facts }) => passes(facts));
  const has = targets.some(({ facts }) => facts.breaker !== null);
  story.tell('breaker', has ? stateOf(shares) : 'off', [...new Set(words)].join('; '));
}

function breakerText({ breaker }: BackendFacts): string {
  if (breaker === null) return 'no circuit breaker';
  const { state, expression, share } = breaker;
  const lets = state === 'closed' ? '' : ` and lets ${percent(share)} pass`;
  return `${state}${lets}; it opens when ${expression}`;
}

function tellEndpoints(story: Story, targets: readonly TargetStory[]): void {
  const shares = targets.map(({ failure }) => (failure === '' ? 1 : 0));
  story.tell('endpoint', stateOf(shares), targets.map(endpointText).join('; '));
}

function endpointText({ facts, failure, service }: TargetStory): string {
  if (failure === 'invalid_backend') return `${facts.id} may not be used: ${facts.picks}`;
  const max = service?.service.policies.limits.requestBodyBytes ?? 0;
  if (failure === 'body_too_large') return `the body is longer than ${count(max, 'byte')}`;
  if (failure === 'deadline_exceeded') return 'the call has no time left (grpc-timeout)';
  const all = count(facts.endpoints.length, 'endpoint');
  if (failure === 'no_endpoint') return `${facts.id} has no ready endpoint`;
  if (failure === 'tls_unknown_issuer') {
    return `none of ${all} is believed: the CAs of upstream-ca cannot be used`;
  }
  if (failure === 'tls_no_client_certificate') {
    return `none of ${all} is dialled: the Secret of upstream-client-secret cannot be used`;
  }
  if (failure !== '') return `none of ${all} can be picked`;
  const possible = facts.endpoints.filter(({ odds }) => odds > 0).length;
  const which =
    possible === facts.endpoints.length ? `one of ${all}` : `${possible} of ${all} possible`;
  return `${which}, by ${facts.picks}`;
}

/** All, some or none go on. */
function stateOf(shares: readonly number[]): PhaseState {
  if (shares.every((share) => share === 1)) return 'passed';
  return shares.every((share) => share === 0) ? 'ended' : 'maybe';
}

/** In HTTP/1.1 a request has its connection to itself. */
function sharedText({ facts, service }: TargetStory): readonly string[] {
  if (facts.protocol !== 'http/2' || service === null) return [];
  const { connectionsPerEndpoint: max } = service.service.policies.limits;
  const most = `up to ${max.toLocaleString('en-US')} to an endpoint from all threads, and one from each in any case`;
  return [`on a connection that requests share (${most})`];
}

function forwardText(target: TargetStory): string {
  const { facts, rules, callerMs } = target;
  const { retries, protocol, tls, upgrade } = facts;
  const { timeouts } = rules;
  const requestMs = timeouts.requestMs > 0 ? timeouts.requestMs : Infinity;
  const limits = [
    ['connect', timeouts.connectMs],
    ['one try', timeouts.tryMs],
    [
      callerMs < requestMs ? 'the whole call (grpc-timeout)' : 'the whole request',
      Math.min(callerMs, requestMs),
    ],
  ] as const;
  const times = limits.flatMap(([what, ms]) =>
    ms > 0 && ms < Infinity ? [`${duration(ms)} for ${what}`] : [],
  );
  const spoken = `${(protocol ?? 'http/1.1').toUpperCase()}${tlsText(tls)}`;
  const ways = [...sharedText(target), triesText(retries)];
  return [spoken, ...ways, ...times, ...upgradeTexts(upgrade, timeouts)].join(', ');
}

function tlsText(tls: TlsFacts | null): string {
  if (tls === null) return '';
  const { serverName, believes, client } = tls;
  const own = client === null ? '' : `, by the certificate of Secret ${client.secret}`;
  const until = (client?.expires ?? '') === '' ? '' : ` (until ${client?.expires})`;
  if (believes === 'anyone')
    return ` over TLS with whoever answers as ${serverName}, unverified${own}${until}`;
  const cas = believes === 'public' ? 'a public CA' : 'a CA of upstream-ca';
  return ` over TLS with who proves to be ${serverName} by ${cas}${own}${until}`;
}

function triesText(retries: RetryFacts | null): string {
  if (retries === null || retries.on.length === 0) return 'one try';
  const statuses = retries.statuses.join(' ');
  const on = retries.on.map((each) => (each === 'status' ? `status ${statuses}` : each));
  return `up to ${retries.tries} tries (on ${on.join(', ')})`;
}
