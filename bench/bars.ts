/** The bars that maesh sets itself, and whether the figures meet them. */

import { median, ratio, type Figures } from './figures.ts';

export interface Bar {
  readonly label: string;
  /** The value must not exceed it. */
  readonly limit: number;
  /** What is wished for beyond the bar; null when nothing is. */
  readonly aim: number | null;
  readonly unit: '×' | '%' | 'MB' | 'ms';
  readonly value: (figures: Figures) => number | null;
}

export type Verdict = 'PASS' | 'MISS' | 'not measured';

export const BARS: readonly Bar[] = [
  {
    label: 'CPU per small request against HAProxy',
    limit: 1.25,
    aim: 1.1,
    unit: '×',
    value: (f) => ratio(f.small, { subject: 'maesh', base: 'haproxy' }, 'cpuMicros'),
  },
  {
    label: 'CPU per small request against Envoy',
    limit: 0.35,
    aim: 0.3,
    unit: '×',
    value: (f) => ratio(f.small, { subject: 'maesh', base: 'envoy' }, 'cpuMicros'),
  },
  {
    label: 'Cost of all features together',
    limit: 15,
    aim: null,
    unit: '%',
    value: (f) => percentOver(ratio(f.features, { subject: 'all', base: 'plain' }, 'cpuMicros')),
  },
  {
    label: 'p99 at 5,000 requests/s against HAProxy',
    limit: 1.2,
    aim: null,
    unit: '×',
    value: (f) => ratio(f.rate, { subject: 'maesh', base: 'haproxy' }, 'p99Micros'),
  },
  {
    label: 'Memory of one thread with 1,000 Services',
    limit: 120,
    aim: null,
    unit: 'MB',
    value: (f) => median(f.memory, 'maesh', 'loadedRssMb'),
  },
  {
    label: 'Process start to ready, warm-up included',
    limit: 1_000,
    aim: null,
    unit: 'ms',
    value: (f) => median(f.start, 'maesh', 'readyMs'),
  },
  {
    label: 'p99 of the first second against the steady one',
    limit: 2,
    aim: null,
    unit: '×',
    value: (f) => median(f.start, 'maesh', 'firstToSteady'),
  },
];

export function verdict(bar: Bar, figures: Figures): Verdict {
  const value = bar.value(figures);
  if (value === null) return 'not measured';
  return value <= bar.limit ? 'PASS' : 'MISS';
}

export function percentOver(ratio: number | null): number | null {
  return ratio === null ? null : (ratio - 1) * 100;
}
