import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { type Entry, holdList } from '../support/markdown-list.ts';
import { ROOT, template } from './support/chart.ts';
import { rbacRules } from './support/rbac-rules.ts';
import { skipWithout } from './support/tools.ts';
import { valueRows } from './support/chart-values.ts';

test('docs/install.md explains every value with its default, and no other', () => {
  const entries = valueRows().map(([name, byDefault, meaning]): Entry => [
    `${name}. Default: ${byDefault}.`,
    meaning,
  ]);
  holdList('install.md', '## Values', entries);
  assert.ok(entries.length > 50);
});

describe('docs/rbac.md', { skip: skipWithout('helm') }, () => {
  test('has every rule of the chart with its reason, and no other', async () => {
    const inChart = rbacRules(await template('controller: { secretNamespaces: [shop] }'));
    const text = readFileSync(join(ROOT, 'docs/rbac.md'), 'utf8');
    assert.deepEqual([...inChart.keys()].toSorted(), [
      'maesh-agent',
      'maesh-controller',
      'maesh-uninstall',
      'maesh-view',
    ]);
    const sections = [...text.matchAll(/^## `(.+)`$/gm)].map(([, name = '']) => name);
    assert.deepEqual(sections.toSorted(), [...inChart.keys()].toSorted());
    for (const [name, rules] of inChart) {
      holdList(
        'rbac.md',
        `## \`${name}\``,
        rules.map(({ where, resources, names, verbs, why }): Entry => {
          const named = names === '' ? '' : ` (only ${names})`;
          assert.ok(why.length > 20, `${name} ${resources}: no reason`);
          return [`${where}: ${verbs} ${resources}${named}.`, why];
        }),
      );
    }
  });
});
