/** What a metric is, and how its samples come about. */

import type { MetricsSource } from './metrics-source.ts';

/** How the samples of a metric come about. Cells are those of the slot of the Service or endpoint, or of the method. */
export type Reading =
  /** One own cell, summed over the threads. */
  | { readonly kind: 'own'; readonly cell: number }
  /** One shared word. */
  | { readonly kind: 'word'; readonly cell: number }
  /** Six own cells, one per code class. */
  | { readonly kind: 'classes'; readonly cell: number }
  /** One own cell per failure reason; reasons that never happened are left out. */
  | { readonly kind: 'failures'; readonly cell: number }
  /** Own cells, one per entry of `names`. */
  | { readonly kind: 'named'; readonly cell: number; readonly names: readonly string[] }
  /** As `named`, with one value per label where there are several; what never happened is left out. */
  | {
      readonly kind: 'counted';
      readonly cell: number;
      readonly names: readonly (string | readonly string[])[];
    }
  | {
      readonly kind: 'histogram';
      readonly cell: number;
      readonly buckets: number;
      readonly subBits: number;
      readonly sumCell: number;
    }
  /** One sample per name, 1 for the state that the word has. */
  | { readonly kind: 'state'; readonly cell: number; readonly names: readonly string[] }
  /** 1 while the word is 0. */
  | { readonly kind: 'is-zero'; readonly cell: number }
  /** What the limits of the renderer left out, by scope. */
  | { readonly kind: 'omitted' }
  | { readonly kind: 'figure'; readonly read: (source: MetricsSource) => Iterable<Sample> };

/** Label values in the order of the metric's labels. */
export interface Sample {
  readonly labels: readonly string[];
  readonly value: number;
}

export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** Base unit, '' for plain numbers. */
  readonly unit: 'seconds' | 'bytes' | '';
  /** One series per Service, per endpoint of a Service port, per method of gRPC of a Service, or for the whole process. */
  readonly scope: 'service' | 'endpoint' | 'method' | 'process';
  /** Labels after those of the scope (`service`; `service`, `port`, `endpoint`; `service`, `method`). */
  readonly labels: readonly string[];
  readonly help: string;
  readonly reading: Reading;
}

export const SCOPE_LABELS: Readonly<Record<Metric['scope'], readonly string[]>> = {
  service: ['service'],
  endpoint: ['service', 'port', 'endpoint'],
  method: ['service', 'method'],
  process: [],
};

/** What a metric says of itself; the rest is as for most. */
export type MetricShape = Pick<Metric, 'name' | 'help' | 'reading'> &
  Partial<Pick<Metric, 'type' | 'unit' | 'labels'>>;
