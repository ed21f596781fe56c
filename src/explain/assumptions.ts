/** What an explanation takes for granted because nobody told. */

import type { Head } from '../proxy/head/head.ts';
import type { PortState, ServiceState } from '../proxy/table/table.ts';
import type { TargetStory } from './backend.ts';
import type { Knowledge } from './dry-mesh.ts';

export function assumptionsOf(
  knowledge: Knowledge,
  port: PortState,
  head: Head,
  targets: readonly TargetStory[],
): readonly string[] {
  return [...assumptionsOfState(knowledge, port, targets), ...ofCall(head, targets)];
}

/** A call of gRPC does not say beforehand how long its messages are. */
function ofCall({ grpc, chunked }: Head, targets: readonly TargetStory[]): readonly string[] {
  const isRetried = targets.some(({ facts }) => (facts.retries?.on.length ?? 0) > 0);
  if (!grpc || !chunked || !isRetried) return [];
  return [
    'the messages of the call are assumed short enough to be kept for another try (--body-bytes tells their length)',
  ];
}

/** Those that have nothing to do with the request. */
export function assumptionsOfState(
  knowledge: Knowledge,
  port: PortState,
  targets: readonly TargetStory[],
): readonly string[] {
  if (knowledge === 'memory') return [];
  const found: string[] = [];
  if (knowledge === 'manifests') {
    found.push(
      'no running mesh was queried: endpoints are assumed healthy and idle, limits unused, the breaker closed',
    );
  } else {
    if (port.rules.limiter !== null || port.limitsRoutes)
      found.push('the rate limit is assumed unused');
    for (const { service, rules, facts } of targets) {
      if (service !== null) found.push(...ofBackend(service, facts.breaker?.state ?? 'closed'));
      if (rules.retry !== null) found.push('the retry budget is assumed full');
    }
  }
  return [...new Set(found)];
}

/** What the admin API does not tell. */
function ofBackend({ service }: ServiceState, breaker: string): string[] {
  const { balance, sourceAffinity, failover } = service.policies;
  const found: string[] = [];
  if (breaker === 'open')
    found.push('the breaker is assumed to have just opened, so Retry-After is the longest');
  if (breaker === 'recovering') found.push('the breaker is assumed half recovered');
  if (balance.slowStartMs > 0) found.push('no endpoint is assumed to be in slow start');
  if (balance.algorithm === 'peak-ewma')
    found.push('the latency of each endpoint is assumed to be its median');
  if (sourceAffinity !== null)
    found.push('the source address is assumed new: its endpoint, if it has one, is not known');
  if (failover !== null) found.push('no requests are assumed to be coming back from the failover');
  return found;
}
