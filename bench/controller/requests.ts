/** What the API server counted of requests, from its metrics page (Prometheus text format 0.0.4). */

import type { Requests } from './report.ts';

interface Tally {
  readonly count: number;
  readonly seconds: number;
}

export interface RequestCounts {
  readonly kinds: ReadonlyMap<string, Tally>;
  /** Answers with 429. */
  readonly refused: number;
}

interface Kind {
  readonly what: string;
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
}

const KINDS: readonly Kind[] = [
  {
    what: 'apply a Service',
    metric: 'apiserver_request_duration_seconds',
    labels: { verb: 'APPLY', resource: 'services' },
  },
  {
    what: 'get a Service',
    metric: 'apiserver_request_duration_seconds',
    labels: { verb: 'GET', resource: 'services' },
  },
  {
    what: 'wait in flow control',
    metric: 'apiserver_flowcontrol_request_wait_duration_seconds',
    labels: { flow_schema: 'service-accounts' },
  },
  {
    // One after the other, and each counts all addresses that there are.
    what: 'cluster IP within it',
    metric: 'kube_apiserver_clusterip_allocator_allocation_duration_seconds',
    labels: {},
  },
];

export function readRequests(page: string): RequestCounts {
  const kinds = new Map<string, { count: number; seconds: number }>();
  for (const { what } of KINDS) kinds.set(what, { count: 0, seconds: 0 });
  let refused = 0;
  for (const line of page.split('\n')) {
    const [, name = '', labels = '', value = ''] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? [];
    if (name === 'apiserver_request_total' && labels.includes('code="429"')) {
      refused += Number(value);
    }
    for (const kind of KINDS) {
      if (!name.startsWith(kind.metric) || !hasLabels(labels, kind.labels)) continue;
      const tally = kinds.get(kind.what);
      if (tally === undefined) continue;
      if (name === `${kind.metric}_count`) tally.count += Number(value);
      if (name === `${kind.metric}_sum`) tally.seconds += Number(value);
    }
  }
  return { kinds, refused };
}

/** What came between two readings. */
export function difference(before: RequestCounts, after: RequestCounts): readonly Requests[] {
  return [...after.kinds].map(([what, { count, seconds }]) => {
    const was = before.kinds.get(what) ?? { count: 0, seconds: 0 };
    const more = count - was.count;
    return { what, count: more, meanMs: more === 0 ? 0 : ((seconds - was.seconds) * 1_000) / more };
  });
}

function hasLabels(text: string, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => text.includes(`${name}="${value}"`));
}
