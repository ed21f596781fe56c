import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseTables } from '../support/markdown-table.ts';

const ROOT = join(import.meta.dirname, '../..');
/** How far a rounded count may be off before the row must be written anew. */
const TOLERANCE = 0.1;

const ACCESS = [
  'connection',
  'credentials',
  'exec-plugin',
  'file-value',
  'kubeconfig',
  'run-plugin',
].map((name) => `src/kube/api/${name}.ts`);
const REFLECTOR = ['json-lines', 'kind-feed', 'reflector', 'source', 'watched-kind'].map(
  (name) => `src/kube/api/${name}.ts`,
);

/** By row of the table, the files that are counted; `!` leaves one out. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  'Kubernetes client, next rows apart': [
    'src/kube/api/*.ts',
    ...[...ACCESS, ...REFLECTOR].map((file) => `!${file}`),
  ],
  'kubeconfig, credentials, plugins': ACCESS,
  Reflector: REFLECTOR,
  'Leader election': ['src/leader/leader-election.ts', 'src/leader/lease.ts'],
  'Go templates, for `maesh install`': ['src/install/template/*.ts'],
  'Chart, values, JSON schema': ['chart', 'values', 'schema'].map(
    (name) => `src/install/${name}.ts`,
  ),
  'YAML and JSON texts': ['src/kube/text/*.ts'],
  'Prometheus text': ['src/proxy/telemetry/prometheus.ts'],
  'Checks of manifests': ['src/compile/annotation/*.ts', 'src/compile/expression/*.ts'],
  'Admin API, ten paths': ['src/admin/*.ts'],
  'SVG bar charts of the bench': ['bench/chart.ts'],
  'View of the demo': ['demo/view/view.ts'],
};
/** A part of a file. */
const PARTS = ['JSON log'];

function linesOf(patterns: readonly string[]): number {
  const left = patterns.filter((pattern) => pattern.startsWith('!')).map((one) => one.slice(1));
  const files = globSync(
    patterns.filter((pattern) => !pattern.startsWith('!')),
    { cwd: ROOT },
  ).filter((file) => !/\.(test|fixture|fuzz)\.ts$/.test(file) && !left.includes(file));
  assert.ok(files.length > 0, patterns.join(' '));
  return files
    .map((file) => readFileSync(join(ROOT, file), 'utf8').split('\n').length - 1)
    .reduce((sum, lines) => sum + lines, 0);
}

const page = readFileSync(join(ROOT, 'docs/decisions/dependencies.md'), 'utf8');

test('the table of own code says how long it is', () => {
  const table = parseTables(page).find(({ columns }) => columns[1] === 'Lines');
  const rows = table?.rows ?? [];
  assert.deepEqual(
    rows.map(([what]) => what).filter((what = '') => !PARTS.includes(what)),
    Object.keys(FILES),
  );
  for (const [what = '', shown = ''] of rows) {
    const files = FILES[what];
    if (files === undefined) continue;
    const lines = linesOf(files);
    const told = Number(shown.replace(',', ''));
    assert.ok(Math.abs(told - lines) <= lines * TOLERANCE, `${what}: ${lines}, not ${shown}`);
  }
});

test('the table of libraries has each dependency, and its version', () => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    dependencies: Readonly<Record<string, string>>;
  };
  const table = parseTables(page).find(({ columns }) => columns[0] === 'Package');
  const shown = table?.rows.map(([text = '']) => text.replaceAll('`', '')) ?? [];
  const used = Object.entries(dependencies).map(
    ([name, version]) => `${name} ${version.split('.')[0] ?? ''}`,
  );
  assert.deepEqual(shown.toSorted(), used.toSorted());
});
