/** What all agents together carried in the last seconds: their statistics, added up by Service and endpoint. */

import { isRecord, listAt, numberAt, textAt } from '../base/record.ts';
import { mergeLatency, quantileMs } from '../model/quantile.ts';
import type { BreakerState, EndpointHealth, LatencyBucket } from '../model/stats.ts';
import type { Answered } from './mesh-pods.ts';

/** Of a Service, an endpoint, or everything, over the agents that answered. */
export interface Figures {
  readonly requestsPerSecond: number;
  /** Share of requests that were answered with a status below 500; null without requests. */
  readonly successRatio: number | null;
  /** Milliseconds; null without requests. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly retriesPerSecond: number;
  /** Requests per second that got 429. */
  readonly rateLimitedPerSecond: number;
  /** Requests per second that the Service of `maesh.dev/failover` took. */
  readonly failedOverPerSecond: number;
  readonly inFlight: number;
}

export interface EndpointTraffic {
  readonly servicePort: number;
  /** Of the Service port; '' where agents of before there was UDP do not say it. */
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  /** `namespace/name`, or ''. */
  readonly pod: string;
  /** Nodes whose agents send it nothing now: ejected, or probed. */
  readonly ejectedOn: readonly string[];
  /** What nodes say whose active health checks it fails. */
  readonly failingChecks: readonly FailingCheck[];
  readonly figures: Figures;
}

export interface FailingCheck {
  readonly node: string;
  /** What the last check found: `status 503`. */
  readonly reason: string;
  /** They have ejected it there; else it still gets requests, or was ejected for some that failed. */
  readonly ejected: boolean;
}

export interface NodeTraffic {
  readonly node: string;
  readonly breaker: BreakerState | 'none';
  readonly figures: Figures;
}

export interface ServiceTraffic {
  readonly figures: Figures;
  readonly endpoints: readonly EndpointTraffic[];
  readonly nodes: readonly NodeTraffic[];
}

/** What one agent says of one Service or endpoint. */
interface Part {
  readonly raw: unknown;
  readonly node: string;
}

/** By key of the Service. What an agent left out (`only=active`) counts as nothing. */
export function trafficOf(answers: readonly Answered[]): ReadonlyMap<string, ServiceTraffic> {
  const all = answers.flatMap((answer): readonly Part[] =>
    answer.ok ? partsIn(answer.value, 'services', answer.pod.node) : [],
  );
  const parts = Map.groupBy(all, ({ raw }) => textAt(raw, 'key'));
  return new Map([...parts].map(([key, of]) => [key, serviceTraffic(of)]));
}

/** Of all Services of all agents. */
export function totalOf(answers: readonly Answered[]): Figures {
  return figuresOf(answers.flatMap((each) => (each.ok ? listAt(each.value, 'services') : [])));
}

function serviceTraffic(parts: readonly Part[]): ServiceTraffic {
  const all = parts.flatMap(({ raw, node }) => partsIn(raw, 'endpoints', node));
  const endpoints = Map.groupBy(all, ({ raw }) =>
    JSON.stringify([
      numberAt(raw, 'servicePort'),
      textAt(raw, 'protocol') === 'udp',
      textAt(raw, 'address'),
      numberAt(raw, 'port'),
    ]),
  );
  return {
    figures: figuresOf(parts.map(({ raw }) => raw)),
    endpoints: [...endpoints.values()].map(endpointTraffic),
    nodes: parts.map(({ raw, node }) => ({
      node,
      breaker: breakerIn(raw),
      figures: figuresOf([raw]),
    })),
  };
}

function partsIn(raw: unknown, field: string, node: string): readonly Part[] {
  return listAt(raw, field).map((item) => ({ raw: item, node }));
}

function endpointTraffic(parts: readonly Part[]): EndpointTraffic {
  const first = parts[0]?.raw;
  const isOut = ({ raw }: Part): boolean => (textAt(raw, 'health') as EndpointHealth) !== 'healthy';
  return {
    servicePort: numberAt(first, 'servicePort'),
    protocol: textAt(first, 'protocol'),
    address: textAt(first, 'address'),
    port: numberAt(first, 'port'),
    pod: textAt(first, 'pod'),
    ejectedOn: parts.filter(isOut).map(({ node }) => node),
    failingChecks: parts.flatMap(failingCheck),
    figures: figuresOf(parts.map(({ raw }) => raw)),
  };
}

/** Agents of before there were checks tell none. */
function failingCheck({ raw, node }: Part): readonly FailingCheck[] {
  const check = isRecord(raw) ? raw['check'] : null;
  if (!isRecord(check) || textAt(check, 'state') !== 'failing') return [];
  return [{ node, reason: textAt(check, 'reason'), ejected: check['ejected'] === true }];
}

function figuresOf(parts: readonly unknown[]): Figures {
  const sum = (field: string): number =>
    parts.reduce((total: number, part) => total + numberAt(part, field), 0);
  const latency = mergeLatency(parts.map(latencyIn));
  const requests = sum('requests');
  return {
    requestsPerSecond: sum('requestsPerSecond'),
    successRatio: requests === 0 ? null : 1 - sum('failed') / requests,
    p50Ms: quantileMs(latency, 0.5),
    p95Ms: quantileMs(latency, 0.95),
    p99Ms: quantileMs(latency, 0.99),
    retriesPerSecond: sum('retriesPerSecond'),
    rateLimitedPerSecond: sum('rateLimitedPerSecond'),
    failedOverPerSecond: sum('failedOverPerSecond'),
    inFlight: sum('inFlight'),
  };
}

/** Agents of another version may say it otherwise, which counts as not said. */
function latencyIn(part: unknown): readonly LatencyBucket[] {
  return listAt(part, 'latency').flatMap((bucket): readonly LatencyBucket[] => {
    if (!Array.isArray(bucket)) return [];
    const [low, high, count] = bucket as readonly unknown[];
    const isBucket = typeof low === 'number' && typeof count === 'number';
    return isBucket ? [[low, typeof high === 'number' ? high : null, count]] : [];
  });
}

const BREAKERS: readonly string[] = ['closed', 'open', 'recovering'];

function breakerIn(raw: unknown): BreakerState | 'none' {
  const word = isRecord(raw) ? textAt(raw, 'breaker') : '';
  return BREAKERS.includes(word) ? (word as BreakerState) : 'none';
}

/** The worst of several: `open` before `recovering` before `closed`. */
export function worstBreaker(
  nodes: readonly Pick<NodeTraffic, 'breaker'>[],
): BreakerState | 'none' {
  const has = (state: BreakerState): boolean => nodes.some(({ breaker }) => breaker === state);
  return has('open')
    ? 'open'
    : has('recovering')
      ? 'recovering'
      : has('closed')
        ? 'closed'
        : 'none';
}
