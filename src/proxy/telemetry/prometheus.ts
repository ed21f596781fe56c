/**
 * The metrics in Prometheus' text format 0.0.4, made in short turns so that a scrape never holds up the event loop.
 * A Service or endpoint appears with its first traffic: an idle mesh of 10,000 Services has a short page.
 */

import type { Clock } from '../../base/clock.ts';
import { slices } from '../../base/slices.ts';
import { FAILURE_REASONS } from '../../model/failure.ts';
import { bucketEdgeMs } from '../ledger/layout.ts';
import {
  DEFAULT_METRIC_LIMITS,
  escapeLabel,
  type MethodRow,
  type MetricLimits,
  MetricRows,
  type Row,
} from './metric-rows.ts';
import type { Metric, Reading, Sample } from './metric.ts';
import { CODE_CLASSES, METRICS } from './metric-table.ts';
import type { MetricsSource } from './metrics-source.ts';

/** The page in slices of some 64 KiB. Leaving the iteration early is fine. */
export function renderMetrics(
  source: MetricsSource,
  clock: Clock,
  limits: MetricLimits = DEFAULT_METRIC_LIMITS,
): AsyncGenerator<string, void, undefined> {
  return slices(metricParts(source, limits), clock);
}

function* metricParts(
  source: MetricsSource,
  limits: MetricLimits,
): Generator<string, void, undefined> {
  const rows = new MetricRows(source, limits);
  yield* rows.collect();
  for (const metric of METRICS) yield* familyParts(metric, rows, source);
}

function* familyParts(
  metric: Metric,
  rows: MetricRows,
  source: MetricsSource,
): Generator<string, void, undefined> {
  yield `# HELP ${metric.name} ${escapeHelp(metric.help)}\n# TYPE ${metric.name} ${metric.type}\n`;
  if (metric.scope === 'process') {
    yield processText(metric, rows, source);
    return;
  }
  if (metric.scope === 'method') {
    const text = methodText(metric);
    for (const row of rows.methods) yield text(row);
    return;
  }
  const text = slotText(metric, metric.scope, source);
  for (const row of metric.scope === 'service' ? rows.services : rows.endpoints) yield text(row);
}

function processText(metric: Metric, rows: MetricRows, source: MetricsSource): string {
  let samples: Iterable<Sample> = [];
  if (metric.reading.kind === 'figure') samples = metric.reading.read(source);
  else if (metric.reading.kind === 'omitted') {
    samples = [
      { labels: ['endpoint'], value: rows.omittedEndpoints },
      { labels: ['service'], value: rows.omittedServices },
    ];
  }
  let text = '';
  for (const sample of samples) {
    const pairs = metric.labels.map(
      (name, i) => `${name}="${escapeLabel(sample.labels[i] ?? '')}"`,
    );
    text += `${metric.name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(sample.value)}\n`;
  }
  return text;
}

type SlotScope = 'service' | 'endpoint';

/** The text of one metric for one slot, with everything that does not depend on the slot worked out before. */
function slotText(metric: Metric, scope: SlotScope, source: MetricsSource): (row: Row) => string {
  const { ledger } = source;
  const { name, reading } = metric;
  const line = (row: Row, value: number): string => `${name}{${row.labels}} ${numberText(value)}\n`;
  switch (reading.kind) {
    case 'own':
      return (row) => line(row, clampGauge(metric, ledger.sum(scope, row.slot, reading.cell)));
    case 'word':
      return (row) => line(row, clampGauge(metric, ledger.word(scope, row.slot, reading.cell)));
    case 'is-zero':
      return (row) => line(row, ledger.word(scope, row.slot, reading.cell) === 0 ? 1 : 0);
    case 'classes':
      return cellsText(metric, reading.cell, CODE_CLASSES, { scope, source, keepZero: true });
    case 'named':
      return cellsText(metric, reading.cell, reading.names, { scope, source, keepZero: true });
    case 'counted':
      return cellsText(metric, reading.cell, reading.names, { scope, source, keepZero: false });
    case 'failures':
      return cellsText(metric, reading.cell, FAILURE_REASONS, { scope, source, keepZero: false });
    case 'state':
      return (row) =>
        row.hasBreaker ? stateText(metric, row, ledger.word(scope, row.slot, reading.cell)) : '';
    case 'histogram':
      return histogramText(name, reading, scope, source);
    case 'figure':
    case 'omitted':
      break;
  }
  throw new TypeError(`${name} is no metric of a ${scope}`);
}

/** Counts that several threads change in turn may be seen half changed; a gauge never shows less than none. */
function clampGauge(metric: Metric, value: number): number {
  return metric.type === 'gauge' && value < 0 ? 0 : value;
}

interface CellsOptions {
  readonly scope: SlotScope;
  readonly source: MetricsSource;
  readonly keepZero: boolean;
}

function cellsText(
  metric: Metric,
  cell: number,
  values: readonly LabelValues[],
  { scope, source, keepZero }: CellsOptions,
): (row: Row) => string {
  const cells = new Float64Array(values.length);
  const text = namedText(metric, values, keepZero);
  return (row) => {
    source.ledger.sumInto(scope, row.slot, cell, cells);
    return text(row.labels, cells);
  };
}

/** One value, or one per label. */
type LabelValues = string | readonly string[];

function labelsText({ labels }: Metric, values: LabelValues): string {
  const each = typeof values === 'string' ? [values] : values;
  return each.map((value, i) => `,${labels[i]}="${value}"`).join('');
}

function namedText(
  metric: Metric,
  values: readonly LabelValues[],
  keepZero: boolean,
): (labels: string, cells: Float64Array) => string {
  const tails = values.map((value) => `${labelsText(metric, value)}} `);
  return (labels, cells) => {
    let text = '';
    for (let i = 0; i < cells.length; i++) {
      const count = cells[i] ?? 0;
      if (count !== 0 || keepZero)
        text += `${metric.name}{${labels}${tails[i]}${numberText(count)}\n`;
    }
    return text;
  };
}

/** As `slotText`, of a method. */
function methodText(metric: Metric): (row: MethodRow) => string {
  const { name, reading } = metric;
  if (reading.kind === 'counted') {
    const text = namedText(metric, reading.names, false);
    const { cell, names } = reading;
    return ({ labels, cells }) => text(labels, cells.subarray(cell, cell + names.length));
  }
  if (reading.kind !== 'histogram') throw new TypeError(`${name} is no metric of a method`);
  const text = bucketsText(name, reading);
  const { cell, buckets, sumCell } = reading;
  return ({ labels, cells }) =>
    text(labels, cells.subarray(cell, cell + buckets), cells[sumCell] ?? 0);
}

function stateText(metric: Metric, row: Row, state: number): string {
  const names = metric.reading.kind === 'state' ? metric.reading.names : [];
  let text = '';
  for (let i = 0; i < names.length; i++) {
    text += `${metric.name}{${row.labels},${metric.labels[0]}="${names[i]}"} ${i === state ? 1 : 0}\n`;
  }
  return text;
}

/** Buckets are exported per doubling: at the upper edge of every `2 ** subBits`-th one, and at infinity. */
function histogramText(
  name: string,
  reading: Extract<Reading, { kind: 'histogram' }>,
  scope: SlotScope,
  source: MetricsSource,
): (row: Row) => string {
  const cells = new Float64Array(reading.buckets);
  const text = bucketsText(name, reading);
  return (row) => {
    source.ledger.sumInto(scope, row.slot, reading.cell, cells);
    return text(row.labels, cells, source.ledger.sum(scope, row.slot, reading.sumCell));
  };
}

function bucketsText(
  name: string,
  { buckets, subBits }: Extract<Reading, { kind: 'histogram' }>,
): (labels: string, cells: Float64Array, sumMs: number) => string {
  const per = 1 << subBits;
  const edges = Array.from({ length: buckets }, (_, i) =>
    i % per === 0 && i < buckets - 1 ? edgeText(i, subBits, buckets) : '',
  );
  return (labels, cells, sumMs) => {
    let count = 0;
    let text = '';
    for (let i = 0; i < buckets; i++) {
      count += cells[i] ?? 0;
      if (edges[i] !== '') text += `${name}_bucket{${labels},le="${edges[i]}"} ${count}\n`;
    }
    if (count === 0) return '';
    text += `${name}_bucket{${labels},le="+Inf"} ${count}\n`;
    return `${text}${name}_sum{${labels}} ${numberText(sumMs / 1000)}\n${name}_count{${labels}} ${count}\n`;
  };
}

/** Seconds without the noise of binary fractions: the edges are whole microseconds. */
function edgeText(index: number, subBits: number, buckets: number): string {
  return String(Math.round(bucketEdgeMs(index, subBits, buckets) * 1000) / 1e6);
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
