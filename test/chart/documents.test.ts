import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { parseTables, readTables } from '../support/markdown-table.ts';
import { ROOT, template } from './support/chart.ts';
import { rbacRows } from './support/rbac-table.ts';
import { skipWithout } from './support/tools.ts';
import { valueRows } from './support/values-table.ts';

/** With UPDATE=1, writes the rows into the table of a page that has this head; the formatter aligns it. */
function renew(
  page: string,
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  if (process.env['UPDATE'] !== '1') return;
  const path = join(ROOT, 'docs', page);
  const lines = readFileSync(path, 'utf8').split('\n');
  const from = lines.findIndex(
    (line) => line.startsWith('|') && columns.every((name) => line.includes(` ${name} `)),
  );
  assert.ok(from >= 0, `${page} has no table ${columns.join()}`);
  const count = lines.slice(from).findIndex((line) => !line.startsWith('|'));
  const ruler = columns.map(() => '---');
  const table = [columns, ruler, ...rows].map(
    (row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`,
  );
  lines.splice(from, count, ...table);
  writeFileSync(path, lines.join('\n'));
}

test('docs/install.md explains every value with its default, and no other', () => {
  const columns = ['Value', 'Default', 'Meaning'];
  const rows = valueRows();
  renew('install.md', columns, rows);
  const table = readTables('install.md').find((each) => each.columns[0] === 'Value');
  assert.deepEqual(table?.columns, columns);
  assert.deepEqual(table.rows, rows);
  assert.ok(rows.length > 50);
});

describe('docs/rbac.md', { skip: skipWithout('helm') }, () => {
  test('has every rule of the chart with its reason, and no other', async () => {
    const inChart = rbacRows(await template());
    const columns = ['Where', 'Resources', 'Names', 'Verbs', 'Why'];
    const text = readFileSync(join(ROOT, 'docs/rbac.md'), 'utf8');
    assert.deepEqual([...inChart.keys()].toSorted(), [
      'maesh-agent',
      'maesh-controller',
      'maesh-uninstall',
      'maesh-view',
    ]);
    if (process.env['UPDATE'] === '1') {
      const sections = text.split(/^(?=## )/m).map((section) => {
        const name = /^## `(.+)`/.exec(section)?.[1] ?? '';
        const rows = inChart.get(name);
        if (rows === undefined) return section;
        const table = [columns, columns.map(() => '---'), ...rows].map(
          (row) => `| ${row.join(' | ')} |\n`,
        );
        return section.replace(/(?:^\|.*\n)+/m, () => table.join(''));
      });
      writeFileSync(join(ROOT, 'docs/rbac.md'), sections.join(''));
    }
    const onPage = new Map(
      readFileSync(join(ROOT, 'docs/rbac.md'), 'utf8')
        .split(/^(?=## )/m)
        .flatMap((section) => {
          const name = /^## `(.+)`/.exec(section)?.[1];
          const [table] = parseTables(section);
          if (name === undefined || table === undefined) return [];
          assert.deepEqual(table.columns, columns);
          return [[name, table.rows] as const];
        }),
    );
    for (const [name, rows] of inChart) {
      for (const row of rows) assert.ok(row[4].length > 20, `${name} ${row.join(' ')}: no reason`);
      assert.deepEqual(onPage.get(name), rows, name);
    }
    assert.deepEqual([...onPage.keys()].toSorted(), [...inChart.keys()].toSorted());
  });
});
