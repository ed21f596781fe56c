/** Puts the samples of the metrics page together per Service. */

import type { MetricSample } from './metrics-text.ts';

export interface Counts {
  /** 0 to 5: without answer, then by first digit of the status. */
  readonly byClass: number[];
  retries: number;
  rateLimited: number;
}

const CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'];

export const WANTED: ReadonlySet<string> = new Set([
  'maesh_requests_total',
  'maesh_retries_total',
  'maesh_failures_total',
]);

export function emptyCounts(): Counts {
  return {
    byClass: [0, 0, 0, 0, 0, 0],
    retries: 0,
    rateLimited: 0,
  };
}

/** By `namespace/name`; a Service without traffic is not there. */
export function countsByService(samples: readonly MetricSample[]): Map<string, Counts> {
  const services = new Map<string, Counts>();
  for (const sample of samples) {
    const key = sample.labels['service'] ?? '';
    const counts = services.get(key) ?? emptyCounts();
    services.set(key, counts);
    put(sample, counts);
  }
  return services;
}

function put(sample: MetricSample, counts: Counts): void {
  const { labels, value } = sample;
  switch (sample.name) {
    case 'maesh_requests_total': {
      const digit = CLASSES.indexOf(labels['code_class'] ?? '');
      if (digit !== -1) counts.byClass[digit] = value;
      return;
    }
    case 'maesh_retries_total':
      counts.retries = value;
      return;
    case 'maesh_failures_total':
      if (labels['reason'] === 'rate_limited') counts.rateLimited = value;
      return;
    default:
  }
}
