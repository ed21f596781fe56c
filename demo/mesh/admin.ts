/** Takes a sample of a running mesh by its admin API, as any monitoring would. */

import type { Clock } from '../../src/base/clock.ts';
import type { BreakerState, EndpointCount, Health, MeshSample, ServiceCount } from '../stats.ts';
import { readMetrics } from './metrics-text.ts';
import { countsByService, emptyCounts, WANTED } from './service-counts.ts';

/** The part of `/api/stats` that is used here. */
interface StatsAnswer {
  readonly services: readonly {
    /** `namespace/name` */
    readonly key: string;
    readonly breaker: BreakerState;
    readonly p50Ms: number | null;
    readonly p95Ms: number | null;
    readonly p99Ms: number | null;
  }[];
}

/** The part of `/api/endpoints` that is used here. */
interface EndpointsAnswer {
  readonly endpoints: readonly {
    readonly service: string;
    readonly address: string;
    readonly pod: string;
    readonly health: 'healthy' | 'ejected' | 'probing';
    readonly requests: number;
    readonly inFlight: number;
  }[];
}

const TIMEOUT_MS = 3_000;

/** `admin` is `http://127.0.0.1:9000`. Rejects when the mesh does not answer within 3 s. */
export async function readSample(admin: string, clock: Clock): Promise<MeshSample> {
  const [stats, endpoints, metrics] = await Promise.all([
    getText(`${admin}/api/stats`),
    getText(`${admin}/api/endpoints`),
    getText(`${admin}/metrics`),
  ]);
  return toSample(clock.nowMs(), { stats, endpoints, metrics });
}

export interface AdminTexts {
  readonly stats: string;
  readonly endpoints: string;
  readonly metrics: string;
}

export function toSample(atMs: number, texts: AdminTexts): MeshSample {
  const { services }: StatsAnswer = JSON.parse(texts.stats);
  const { endpoints }: EndpointsAnswer = JSON.parse(texts.endpoints);
  const counts = countsByService(readMetrics(texts.metrics, (name) => WANTED.has(name)));
  return {
    atMs,
    services: services.map((service): ServiceCount => ({
      ...(counts.get(service.key) ?? emptyCounts()),
      name: afterSlash(service.key),
      breaker: service.breaker,
      p50: service.p50Ms ?? Number.NaN,
      p95: service.p95Ms ?? Number.NaN,
      p99: service.p99Ms ?? Number.NaN,
      endpoints: endpoints
        .filter((endpoint) => endpoint.service === service.key)
        .map(toCount)
        .sort((a, b) => (a.pod < b.pod ? -1 : 1)),
    })),
  };
}

function toCount(endpoint: EndpointsAnswer['endpoints'][number]): EndpointCount {
  return {
    pod: endpoint.pod === '' ? endpoint.address : afterSlash(endpoint.pod),
    health: HEALTH[endpoint.health],
    requests: endpoint.requests,
    inFlight: endpoint.inFlight,
  };
}

const HEALTH: Readonly<Record<EndpointsAnswer['endpoints'][number]['health'], Health>> = {
  healthy: 'ready',
  ejected: 'ejected',
  probing: 'probing',
};

/** `web-1` of `shop/web-1`. */
function afterSlash(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

async function getText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const text = await response.text();
  if (!response.ok) throw new Error(`Cannot read "${url}": status ${response.status}`);
  return text;
}
