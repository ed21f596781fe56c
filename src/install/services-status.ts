/** The Services of a namespace, or of all: state, figures, and why one has no mesh name. */

import { listAt, numberAt, recordAt, textAt } from '../base/record.ts';
import type { BreakerState } from '../model/stats.ts';
import { certificatesIn, soonestEnd } from './certificate-view.ts';
import type { ShadowFact } from './facts/facts.ts';
import type { Looked, OutsideService } from './look.ts';
import { type Figures, type ServiceTraffic, trafficOf, worstBreaker } from './traffic.ts';
import type { Unknown } from './unknown.ts';
import { isAboutKey } from '../model/object-reference.ts';

/** `none`: it is part of the mesh and has no mesh name yet. */
export type NameState = 'published' | 'announced' | 'retired' | 'none' | 'unknown';

export interface ServiceRow {
  /** `namespace/name`. */
  readonly service: string;
  readonly state: NameState;
  /** Why the name does not resolve, or ''. */
  readonly reason: string;
  /** Of all ports that are carried; null when no controller or no agent could be asked. */
  readonly endpoints: { readonly healthy: number; readonly total: number } | null;
  /** The worst of all nodes; null when no agent could be asked. */
  readonly breaker: BreakerState | 'none' | null;
  /** Over the agents that answered; null when none did. */
  readonly figures: Figures | null;
  /** When the first of its certificates is over, `2026-11-30T12:00:00Z`; '' where it has none. */
  readonly certificatesEnd: string;
  /** Errors and warnings about it. */
  readonly problems: number;
}

export interface ServicesStatus {
  /** '' for all. */
  readonly namespace: string;
  readonly services: readonly ServiceRow[];
  /** Services that are not part of the mesh, and why; null when no controller could be asked. */
  readonly outside: readonly OutsideService[] | null;
  readonly unknown: readonly Unknown[];
}

export function servicesStatus(looked: Looked, namespace: string): ServicesStatus {
  const { facts, services, outside, unknown } = looked;
  const isIn = (service: string): boolean =>
    namespace === '' || service.startsWith(`${namespace}/`);
  const shadows = new Map(
    (facts.shadows.ok ? facts.shadows.value : []).map((shadow) => [shadow.service, shadow]),
  );
  const told = new Map((services ?? []).map((raw) => [textAt(raw, 'key'), raw]));
  const traffic = trafficOf(looked.stats);
  const keys = [...new Set([...shadows.keys(), ...told.keys()])].filter(isIn).sort();
  return {
    namespace,
    services: keys.map((key) =>
      rowOf(looked, key, {
        shadow: shadows.get(key),
        told: told.get(key),
        traffic: traffic.get(key),
      }),
    ),
    outside: outside?.filter(({ service }) => isIn(service)) ?? null,
    unknown,
  };
}

interface Sources {
  readonly shadow: ShadowFact | undefined;
  /** Of `/api/services` of a controller. */
  readonly told: unknown;
  readonly traffic: ServiceTraffic | undefined;
}

const NO_TRAFFIC: Figures = {
  requestsPerSecond: 0,
  successRatio: null,
  p50Ms: null,
  p95Ms: null,
  p99Ms: null,
  retriesPerSecond: 0,
  rateLimitedPerSecond: 0,
  failedOverPerSecond: 0,
  inFlight: 0,
};

export function rowOf(looked: Looked, key: string, sources: Sources): ServiceRow {
  const { facts, stats, services, problems } = looked;
  const { shadow, told, traffic } = sources;
  const isAsked = stats.some(({ ok }) => ok);
  const total = numberAt(recordAt(told, 'endpoints'), 'total');
  const out = traffic?.endpoints.filter(({ ejectedOn }) => ejectedOn.length > 0).length ?? 0;
  const state: NameState = !facts.shadows.ok ? 'unknown' : stateOf(shadow);
  return {
    service: key,
    state,
    reason: reasonOf(state, told, services !== null),
    endpoints: isAsked && told !== undefined ? { healthy: Math.max(0, total - out), total } : null,
    breaker: isAsked ? worstBreaker(traffic?.nodes ?? []) : null,
    figures: isAsked ? (traffic?.figures ?? NO_TRAFFIC) : null,
    certificatesEnd: soonestEnd(certificatesIn(told)),
    problems: problems.filter((problem) => isAboutKey(problem, 'Service', key)).length,
  };
}

function stateOf(shadow: ShadowFact | undefined): NameState {
  const state = shadow?.state ?? '';
  return state === 'published' || state === 'announced' || state === 'retired' ? state : 'none';
}

/** Why a name of the mesh does not resolve, as a sentence without an end. */
function reasonOf(state: NameState, told: unknown, isAsked: boolean): string {
  switch (state) {
    case 'published':
      return '';
    case 'announced':
      return 'agents are opening its ports; its name resolves once they all listen';
    case 'retired':
      return 'it left the mesh; its name is gone and its address is kept for some minutes';
    case 'none':
      return isAsked ? whyNone(told) : '';
    case 'unknown':
      return '';
    default:
      return state satisfies never;
  }
}

function whyNone(told: unknown): string {
  const ports = listAt(told, 'ports');
  const names = ports.map((port) => `${numberAt(port, 'port')} (${textAt(port, 'protocol')})`);
  if (ports.length === 0) return 'the Service has no ports';
  const isCarried = ports.some((port) => recordAt({ port }, 'port')['carried'] !== false);
  return isCarried
    ? 'it waits for a proxy port and an address'
    : `this version carries none of its ports: ${names.join(', ')}`;
}
