import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CONTROLLER_METRICS } from '../../src/run/controller/metrics.ts';
import { DEFAULT_METRIC_LIMITS } from '../../src/proxy/telemetry/metric-rows.ts';
import { SCOPE_LABELS } from '../../src/proxy/telemetry/metric.ts';
import { METRICS } from '../../src/proxy/telemetry/metric-table.ts';
import { readTables } from '../support/markdown-table.ts';

const SCOPES = ['service', 'endpoint', 'process'] as const;

test('docs/metrics.md lists every metric with type, labels and meaning, and no other', () => {
  const tables = readTables('metrics.md');
  assert.equal(tables.length, SCOPES.length + 1);
  assert.deepEqual(
    tables.at(-1)?.rows,
    CONTROLLER_METRICS.map(({ name, type, labels, help }) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(', '),
      help,
    ]),
  );
  for (const [i, scope] of SCOPES.entries()) {
    const expected = METRICS.filter((metric) => metric.scope === scope).map((metric) => [
      `\`${metric.name}\``,
      metric.type,
      [...SCOPE_LABELS[scope], ...metric.labels].map((label) => `\`${label}\``).join(', '),
      metric.help,
    ]);
    assert.deepEqual(tables[i]?.columns, ['Metric', 'Type', 'Labels', 'Meaning']);
    assert.deepEqual(tables[i].rows, expected);
  }
});

test('docs/metrics.md says the limits as they are, and uses no metric or label that does not exist', () => {
  const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const { services, endpoints } = DEFAULT_METRIC_LIMITS;
  const format = new Intl.NumberFormat('en');
  assert.ok(
    text.includes(`${format.format(services)} Services and ${format.format(endpoints)} endpoints`),
  );
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
