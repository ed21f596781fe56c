/** What `status` was told of a cluster where all is well, to be spoiled by tests. */

import type { LatencyBucket } from '../model/stats.ts';
import { healthy, podNamed } from './facts.fixture.ts';
import type { ClusterFacts } from './facts/facts.ts';
import type { Looked } from './look.ts';
import type { Answered } from './mesh-pods.ts';
import { unknownOf } from './unknown.ts';

/** Of `/api/stats`; a second of `requests` requests that took between 1 and 2 ms. */
export function statsOf(key: string, requests: number, over: object = {}): object {
  const latency: readonly LatencyBucket[] = requests === 0 ? [] : [[1, 2, requests]];
  return {
    key,
    windowMs: 1_000,
    requests,
    failed: 0,
    latency,
    requestsPerSecond: requests,
    retriesPerSecond: 0,
    rateLimitedPerSecond: 0,
    failedOverPerSecond: 0,
    inFlight: 0,
    breaker: 'none',
    endpoints: [],
    ...over,
  };
}

/** Of the agent that `healthy` has on the node `n1` or `n2`. */
export function answerOf(node: string, ...services: readonly object[]): Answered {
  const sockets = [{ kind: 'system', reason: '' }];
  const name = `maesh-agent-${node === 'n1' ? 'a' : 'b'}`;
  return { pod: podNamed(name, node), ok: true, value: { sockets, services } };
}

export function lookedAt(facts: ClusterFacts = healthy(), over: Partial<Looked> = {}): Looked {
  const stats = over.stats ?? [answerOf('n1', statsOf('shop/web', 30)), answerOf('n2')];
  return {
    facts,
    stats,
    services: [],
    outside: [],
    problems: [],
    unknown: unknownOf(facts, stats),
    ...over,
  };
}
