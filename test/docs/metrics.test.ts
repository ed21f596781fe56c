import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CONTROLLER_METRICS } from '../../src/run/controller/metrics.ts';
import { DEFAULT_METRIC_LIMITS } from '../../src/proxy/telemetry/metric-rows.ts';
import { METHODS_MAX } from '../../src/proxy/ledger/method-table.ts';
import { SCOPE_LABELS } from '../../src/proxy/telemetry/metric.ts';
import { METRICS } from '../../src/proxy/telemetry/metric-table.ts';
import { type Entry, holdList } from '../support/markdown-list.ts';

interface Described {
  readonly name: string;
  readonly type: string;
  readonly help: string;
}

const SCOPES = ['service', 'endpoint', 'method', 'process'] as const;

function entry(metric: Described, labels: readonly string[]): Entry {
  const quoted = labels.map((label) => `\`${label}\``).join(', ');
  const labelled = labels.length === 0 ? 'no labels' : `labels ${quoted}`;
  return [`\`${metric.name}\`: ${metric.type}, ${labelled}.`, metric.help];
}

test('docs/metrics.md lists every metric with type, labels and meaning, and no other', () => {
  for (const scope of SCOPES) {
    const metrics = METRICS.filter((metric) => metric.scope === scope);
    holdList(
      'metrics.md',
      `## Per ${scope === 'service' ? 'Service' : scope}`,
      metrics.map((metric) => entry(metric, [...SCOPE_LABELS[scope], ...metric.labels])),
    );
  }
  const own = CONTROLLER_METRICS.map((metric) => entry(metric, metric.labels));
  holdList('metrics.md', '## Per controller', own);
});

test('docs/metrics.md says the limits as they are, and uses no metric or label that does not exist', () => {
  const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const { services, endpoints } = DEFAULT_METRIC_LIMITS;
  const format = new Intl.NumberFormat('en');
  assert.ok(
    text.includes(`${format.format(services)} Services and ${format.format(endpoints)} endpoints`),
  );
  assert.ok(text.replaceAll(/\s+/g, ' ').includes(`${format.format(METHODS_MAX)} methods of all`));
  const names = new Set([...METRICS, ...CONTROLLER_METRICS].map((metric) => metric.name));
  for (const [name] of text.matchAll(/\bmaesh_[a-z_]+/g)) {
    assert.ok(names.has(name) || names.has(name.replace(/_bucket$/, '')), name);
  }
});

test('the metric table has each name once, sorted, with base units last', () => {
  const names = METRICS.map((metric) => metric.name);
  assert.deepEqual(names, [...new Set(names)].sort());
  for (const { name, type, help } of METRICS) {
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.match(name, /^(?:maesh|process)_[a-z_]+$/);
    assert.match(help, /\.$/);
  }
});
