import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FAILURE_REASONS, FAILURES } from '../../src/model/failure.ts';
import { readTables } from '../support/markdown-table.ts';

function page(name: string): string {
  return readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
}

test('docs/errors.md lists every failure reason with status, blame and cause, and no other', () => {
  const [table, ...others] = readTables('errors.md');
  assert.equal(others.length, 0);
  assert.deepEqual(table?.columns, ['Reason', 'Status', 'Blames', 'Cause', 'What to do']);
  assert.deepEqual(
    table.rows.map((row) => row.slice(0, 4)),
    FAILURE_REASONS.map((reason) => {
      const { status, blames, cause } = FAILURES[reason];
      return [`\`${reason}\``, status === 0 ? 'none' : String(status), blames, cause];
    }),
  );
  for (const [reason = '', , , , remedy = ''] of table.rows) assert.ok(remedy.length >= 20, reason);
});

test('docs/errors.md names only settings and annotations that there are', () => {
  const text = page('errors.md');
  const settings = page('settings.md');
  const annotations = page('annotations.md');
  for (const [quoted] of text.matchAll(/`--[a-z-]+`/g))
    assert.ok(settings.includes(quoted), quoted);
  for (const [, name] of text.matchAll(/`maesh\.dev\/([a-z-]+)`/g)) {
    assert.match(annotations, new RegExp(`^### ${name}( |$)`, 'm'));
  }
});
