/** The bars that maesh sets itself, and whether the figures meet them. */

import { median, ratio, type Figures } from './figures.ts';
import { processorOf } from './processor.ts';

export interface Bar {
  readonly label: string;
  /** The value must not exceed it, or not stay below it. */
  readonly side: 'at most' | 'at least';
  /** Null when it is not known: it depends on the processor, and nothing was measured. */
  readonly limit: (figures: Figures) => number | null;
  /** What is wished for beyond the bar; null when nothing is. */
  readonly aim: number | null;
  readonly unit: '×' | '%' | 'MB' | 'kB' | 'ms';
  readonly value: (figures: Figures) => number | null;
}

export type Verdict = 'PASS' | 'MISS' | 'not measured';

/** Multiples of what HAProxy needs in the same round, drawn into the charts too. */
export const HAPROXY_LIMITS = {
  small: 1,
  '10k': 0.95,
  '1m': 0.5,
  churn: 1.4,
  'h2-20': 0.8,
  'h2-100': 0.8,
  'h2-h1': 1.1,
  'tcp-bulk': 0.65,
  'tcp-churn': 1.4,
  rate: 1.05,
} as const;

/** Envoy is much slower on Intel's processors than on AMD's, and the others are not. */
const ENVOY_LIMITS = { intel: 0.3, others: 0.45 } as const;

export const BARS: readonly Bar[] = [
  againstHaproxy('CPU per small request against HAProxy', 'small', { aim: 0.9 }),
  againstHaproxy('CPU per request with 10 kB against HAProxy', '10k', { aim: 0.85 }),
  againstHaproxy('CPU per request with 1 MB against HAProxy', '1m', { aim: 0.35 }),
  againstHaproxy('CPU per new caller connection against HAProxy', 'churn', { aim: 1.2 }),
  {
    label: 'CPU per small request against Envoy',
    side: 'at most',
    limit: ({ small }) => (small === undefined ? null : envoyLimit(small.machine.cpu)),
    aim: null,
    unit: '×',
    value: (f) => ratio(f.small, { subject: 'maesh', base: 'envoy' }, 'cpuMicros'),
  },
  againstHaproxy('CPU per request of HTTP/2, 4 × 20 streams, against HAProxy', 'h2-20', {
    aim: 0.6,
  }),
  againstHaproxy('CPU per request of HTTP/2, 4 × 100 streams, against HAProxy', 'h2-100', {
    aim: 0.6,
  }),
  againstHaproxy('CPU per request of HTTP/2 to endpoints of HTTP/1.1 against HAProxy', 'h2-h1', {}),
  http2AgainstEnvoy('CPU per request of HTTP/2, 4 × 20 streams, against Envoy', 'h2-20'),
  http2AgainstEnvoy('CPU per request of HTTP/2, 4 × 100 streams, against Envoy', 'h2-100'),
  againstHaproxy('CPU per GB of TCP against HAProxy', 'tcp-bulk', {}),
  againstHaproxy('CPU per new connection of TCP against HAProxy', 'tcp-churn', { aim: 1.2 }),
  atMost('CPU per datagram against nginx', 0.8, {
    unit: '×',
    value: (f) => ratio(f.udp, { subject: 'maesh', base: 'nginx' }, 'cpuMicros'),
  }),
  atMost('Cost of all features together', 15, {
    unit: '%',
    value: (f) => percentOver(ratio(f.features, { subject: 'all', base: 'plain' }, 'cpuMicros')),
  }),
  againstHaproxy('p99 at 5,000 requests/s against HAProxy', 'rate', { aim: 0.95 }),
  atMost('p99 of the first second against HAProxy', 1.3, {
    aim: 1,
    unit: '×',
    value: (f) => ratio(f.start, { subject: 'maesh', base: 'haproxy' }, 'firstP99Micros'),
  }),
  atMost('Memory of an idle connection', 2, {
    aim: 1,
    unit: 'kB',
    value: (f) => median(f.memory, 'maesh', 'idleConnectionKb'),
  }),
  atMost('Memory of an idle connection of TCP', 2.5, {
    unit: 'kB',
    value: (f) => median(f['tcp-memory'], 'maesh', 'idleConnectionKb'),
  }),
  {
    label: 'Requests/s of two threads on two cores against one on one',
    side: 'at least',
    limit: () => 1.9,
    aim: null,
    unit: '×',
    value: (f) => median(f.threads, 'maesh', 'speedup'),
  },
  atMost('Memory of one thread with 1,000 Services', 120, {
    unit: 'MB',
    value: (f) =>
      greatest([median(f.memory, 'maesh', 'freshRssMb'), median(f.memory, 'maesh', 'loadedRssMb')]),
  }),
  atMost('Process start to ready, warm-up included', 1_000, {
    unit: 'ms',
    value: (f) => median(f.start, 'maesh', 'readyMs'),
  }),
  atMost('10,000 listeners open', 1_000, {
    unit: 'ms',
    value: (f) => median(f.scale, 'maesh', 'listenersMs'),
  }),
];

export function verdict(bar: Bar, figures: Figures): Verdict {
  const value = bar.value(figures);
  const limit = bar.limit(figures);
  if (value === null || limit === null) return 'not measured';
  return (bar.side === 'at most' ? value <= limit : value >= limit) ? 'PASS' : 'MISS';
}

export function percentOver(ratio: number | null): number | null {
  return ratio === null ? null : (ratio - 1) * 100;
}

function againstHaproxy(
  label: string,
  stage: keyof typeof HAPROXY_LIMITS,
  rest: { readonly aim?: number },
): Bar {
  const figure = stage === 'rate' ? 'p99Micros' : 'cpuMicros';
  return atMost(label, HAPROXY_LIMITS[stage], {
    ...rest,
    unit: '×',
    value: (figures) => ratio(figures[stage], { subject: 'maesh', base: 'haproxy' }, figure),
  });
}

function http2AgainstEnvoy(label: string, stage: 'h2-20' | 'h2-100'): Bar {
  return atMost(label, 0.35, {
    unit: '×',
    value: (figures) => ratio(figures[stage], { subject: 'maesh', base: 'envoy' }, 'cpuMicros'),
  });
}

function atMost(
  label: string,
  limit: number,
  rest: Pick<Bar, 'unit' | 'value'> & { readonly aim?: number },
): Bar {
  return { label, side: 'at most', limit: () => limit, aim: null, ...rest };
}

function envoyLimit(cpu: string): number {
  return processorOf(cpu) === 'intel' ? ENVOY_LIMITS.intel : ENVOY_LIMITS.others;
}

function greatest(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.max(...known);
}
