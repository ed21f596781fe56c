/** What is said of requests and of connections of TCP alike. */

import type { Doubt, Identity } from '../model/endpoint.ts';
import { isOverloaded } from '../proxy/call/admit.ts';
import { keptOf } from '../proxy/call/crowd.ts';
import { SERVICE_WORD } from '../proxy/ledger/layout.ts';
import type { RateLimiter } from '../proxy/policy/rate-limit.ts';
import type { PortState, ServiceState } from '../proxy/table/table.ts';
import type { Asked } from './arrived.ts';
import type { TargetStory } from './backend.ts';
import type { Explanation, PolicyFacts, ServiceFacts } from './explanation.ts';
import { policyFacts } from './policy-fields.ts';
import type { Story } from './story.ts';
import { count, duration, rateText } from './words.ts';

export type Found = Pick<
  Explanation,
  'service' | 'routes' | 'backends' | 'mirrors' | 'policies' | 'assumptions'
>;

/** Its address may be another Pod's by now. */
const DOUBTS: Readonly<Record<Exclude<Doubt, ''>, string>> = {
  terminating: 'the Pod is being deleted, so for access rules the caller is anonymous',
  unknown: 'the Pod is no longer reported, so for access rules the caller is anonymous',
};

export function tellCaller(story: Story, source: string, identity: Identity | undefined): void {
  if (identity === undefined) {
    return story.tell(
      'identify',
      'passed',
      `${source} is not a Pod of the mesh: the caller is unknown`,
    );
  }
  const { address, namespace, pod, serviceAccount } = identity;
  const node = identity.node === '' ? 'no known node' : `node ${identity.node}`;
  const zone = identity.zone === '' ? 'no known zone' : `zone ${identity.zone}`;
  const where = `service account ${serviceAccount}, ${node}, ${zone}`;
  const doubt = identity.doubt === '' ? '' : `; ${DOUBTS[identity.doubt]}`;
  story.tell('identify', 'passed', `${address} is Pod ${namespace}/${pod} (${where})${doubt}`);
}

/** `what` is counted; false when it ends here, as below. */
export function enterService(
  story: Story,
  { flight: state, callers }: ServiceState,
  what = 'request',
): boolean {
  const { words, w } = state.cells;
  const inFlight = words[w + SERVICE_WORD.inFlight] ?? 0;
  const limit = state.service.policies.limits.requestsInFlight;
  const isCrowded = inFlight + 1 > limit - keptOf(limit);
  const shared = isCrowded
    ? `; callers with more than an equal share may get ${story.refusal('overloaded')}`
    : '';
  const most = what === 'connection' ? callers.service.policies.limits.connectionsPerCaller : 0;
  const ofOne = most > 0 ? `, at most ${count(most, what)} of one caller` : '';
  const text = `Service ${state.service.key}, ${inFlight} of at most ${count(limit, what)} in flight${ofOne}${shared}`;
  const isFull = isOverloaded(state, inFlight + 1);
  story.tell('service', isFull ? 'ended' : 'passed', text);
  if (isFull) story.answer('overloaded', 1);
  return !isFull;
}

export function takesToken(story: Story, { limiter }: ServiceState, arrived: Asked): boolean {
  if (limiter === null) {
    story.tell('rate-limit', 'off', 'no rate limit');
    return true;
  }
  const limit = rateText(limiter.policy);
  const waitMs = waitMsOf(limiter, arrived);
  if (waitMs > 0) {
    story.tell('rate-limit', 'ended', `${limit}: the next token comes in ${duration(waitMs)}`);
    story.answer('rate_limited', 1, waitMs);
    return false;
  }
  story.tell('rate-limit', 'passed', `${limit}: a token is left`);
  return true;
}

/** Milliseconds until there is a token, 0 when there is one or no limit. */
export function waitMsOf(limiter: RateLimiter | null, { addressHash, nowMs }: Asked): number {
  return limiter === null ? 0 : limiter.peek(addressHash, nowMs);
}

export function serviceFacts({ service, port }: PortState): ServiceFacts {
  const { key, address } = service.service;
  return {
    key,
    address,
    port: port.port,
    portName: port.name,
    protocol: port.protocol,
    tls: port.passesTls,
    because: port.because,
  };
}

/** Of the Service that was called, then of the others whose backends take a part. */
export function policiesOf(
  { port, rules }: PortState,
  targets: readonly TargetStory[],
): PolicyFacts[] {
  const found = new Map<ServiceState, PolicyFacts>([[rules, policyFacts(rules.service, port)]]);
  for (const { service, facts } of targets) {
    if (service === null || found.has(service)) continue;
    const { ports } = service.service;
    const taking = ports.find(({ backend }) => backend.id === facts.id) ?? null;
    found.set(service, policyFacts(service.service, taking));
  }
  return [...found.values()];
}
