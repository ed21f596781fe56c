/** Who gets a copy of the request, too, and how often. */

import type { RouteMirror } from '../model/route.ts';
import { isKept } from '../proxy/http/replay.ts';
import type { RouteState, ServiceState } from '../proxy/table/table.ts';
import type { Arrived } from './arrived.ts';
import { explainTarget, type TargetStory } from './backend.ts';
import type { MirrorFacts } from './explanation.ts';
import { count, percent } from './words.ts';

/** Mirrors of the route that takes the request, `told` as its configuration has them; `forwarded` is whether it may itself be sent to an endpoint. */
export function mirrorFacts(
  called: ServiceState,
  route: RouteState,
  told: readonly RouteMirror[],
  { arrived, forwarded }: { readonly arrived: Arrived; readonly forwarded: boolean },
): readonly MirrorFacts[] {
  const never = forwarded ? neverCopied(route, arrived) : 'the request itself is not sent on';
  const rules = { ...route.policies, affinity: null };
  return (route.mirrors ?? []).map(({ target, share: odds }, i) => {
    const { backend, invalid } = told[i] as RouteMirror;
    const share = { backend, weight: 1, invalid, filters: null };
    const story = explainTarget(
      { called, rules, target, share, filters: null, odds, instead: '' },
      arrived,
    );
    const refusal = never === '' ? refusalOf(story) : never;
    const facts = { backend, service: story.facts.service };
    if (refusal !== '') return { ...facts, share: 0, text: `gets no copy: ${refusal}` };
    return { ...facts, share: odds * passing(story), text: copyText(story, odds, arrived) };
  });
}

/** Why no mirror gets the request; '' when they may. */
function neverCopied({ policies }: RouteState, { head, headBytes }: Arrived): string {
  if (head.upgrade) return 'an upgrade is not mirrored';
  const bodyMax = policies.retry?.bodyBytes ?? 0;
  if (isKept(headBytes, Math.max(head.contentLength, 0), bodyMax)) return '';
  return 'the body is longer than what is kept of a request';
}

function passing({ facts }: TargetStory): number {
  return facts.breaker === null ? 1 : facts.breaker.share;
}

function refusalOf(story: TargetStory): string {
  const { facts, failure } = story;
  if (facts.service === '') return facts.picks;
  if (passing(story) === 0) return `the circuit breaker of ${facts.service} is open`;
  if (failure === '') return '';
  if (failure === 'body_too_large') return `the body is too long for ${facts.service}`;
  if (failure === 'no_endpoint') return `${facts.service} has no ready endpoint`;
  return `none of ${count(facts.endpoints.length, 'endpoint')} can take it`;
}

function copyText(story: TargetStory, share: number, { head }: Arrived): string {
  const possible = story.facts.endpoints.filter(({ odds }) => odds > 0).length;
  const passes = passing(story);
  const breaker = passes < 1 ? `, of which the circuit breaker lets ${percent(passes)} pass` : '';
  const body = head.chunked ? ', if all of the body is kept' : '';
  const where = `to one of ${count(possible, 'endpoint')}, by ${story.facts.picks}`;
  return `gets a copy of ${percent(share)}${breaker}${body}, ${where}; what it answers is dropped`;
}
