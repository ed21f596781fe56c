/** What an explanation takes for granted because nobody told. */

import type { PortState, ServiceState } from '../proxy/table.ts';
import type { TargetStory } from './backend.ts';
import type { Knowledge } from './dry-mesh.ts';

export function assumptionsOf(
  knowledge: Knowledge,
  port: PortState,
  targets: readonly TargetStory[],
): readonly string[] {
  if (knowledge === 'memory') return [];
  const found: string[] = [];
  if (knowledge === 'manifests') {
    found.push(
      'nothing is known of a running mesh: endpoints count as healthy and idle, limits as unused, the breaker as closed',
    );
  } else {
    if (port.service.rate !== null) found.push('the rate limit counts as unused');
    for (const { service, facts } of targets) {
      if (service !== null) found.push(...ofBackend(service, facts.breaker?.state ?? 'closed'));
    }
  }
  return [...new Set(found)];
}

/** What the admin API does not tell. */
function ofBackend({ service }: ServiceState, breaker: string): string[] {
  const { balance, retry, sourceAffinity } = service.policies;
  const found: string[] = [];
  if (breaker === 'open')
    found.push('the breaker counts as just opened, so Retry-After is the longest');
  if (breaker === 'recovering') found.push('the breaker counts as half recovered');
  if (balance.slowStartMs > 0) found.push('no endpoint counts as in slow start');
  if (balance.algorithm === 'peak-ewma')
    found.push('the latency of an endpoint counts as its median');
  if (sourceAffinity !== null)
    found.push('the source address counts as new: which endpoint it has is not told');
  if (retry !== null) found.push('the retry budget counts as full');
  return found;
}
