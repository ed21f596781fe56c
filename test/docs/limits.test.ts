import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { SETTINGS } from '../../src/cli/settings.ts';
import { ROWS } from '../../src/compile/annotation/table.ts';
import { parseItems } from '../support/markdown-list.ts';
import { readTables } from '../support/markdown-table.ts';
import { isBound, readConstants, showBound } from './limits/bounds.ts';
import { LIMIT_SECTIONS, renderLimits } from './limits/limits-document.ts';

const DOCS = new URL('../../docs/', import.meta.url);
const FULL = new URL('limits-full.md', DOCS);
const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  bytes: 1,
  KiB: 1_024,
  MiB: 1_048_576,
  ms: 1,
  s: 1_000,
  min: 60_000,
};

const constants = readConstants();
const rows = LIMIT_SECTIONS.flatMap((section) => section.rows);

function valueOf(bound: string): number {
  const [, number = '', unit = ''] = /^([\d,]+) ?([A-Za-z]*)$/.exec(bound) ?? [];
  return Number(number.replaceAll(',', '')) * (UNITS[unit] ?? Number.NaN);
}

test('every bound in the code has a row in test/docs/limits, and every row a bound', () => {
  const told = new Set(rows.map(([, , where]) => where));
  assert.equal(told.size, rows.length, 'no bound has two rows');
  const gone = [...told].filter((where) => !constants.has(where));
  assert.deepEqual(gone, [], 'rows without a constant');
  const missing = [...constants.keys()].filter((where) => isBound(where) && !told.has(where));
  assert.deepEqual(missing, [], 'bounds without a row: add one to a file in test/docs/limits');
  assert.ok(rows.length > 150);
  for (const [what, then, where] of rows) assert.ok(what.length >= 3 && then.length >= 3, where);
});

test('docs/limits-full.md is written from the rows and the code', () => {
  const text = renderLimits(constants);
  if (process.env['UPDATE'] === '1') writeFileSync(FULL, text);
  assert.equal(readFileSync(FULL, 'utf8'), text, 'rewrite it: UPDATE=1 npx node --test this file');
  const shown = parseItems(text);
  for (const item of shown) {
    const [, bound = '', where = ''] =
      /^\*\*.+\*\*: ([\d,]+ ?\w*) \((`.+` \w+)\)\. /.exec(item) ?? [];
    assert.equal(valueOf(bound), constants.get(where.replaceAll('`', '')), item);
  }
  assert.equal(shown.length, rows.length);
});

test('showBound() uses the largest unit that fits', () => {
  assert.equal(showBound('a.ts READ_BYTES', 65_536), '64 KiB');
  assert.equal(showBound('a.ts TCP_BYTES_MAX', 65_535), '65,535 bytes');
  assert.equal(showBound('a.ts IDLE_TIMEOUT_MS', 90_000), '90 s');
  assert.equal(showBound('a.ts QUARANTINE_MS', 600_000), '10 min');
  assert.equal(showBound('a.ts ITEMS_MAX', 16_384), '16,384');
});

test('docs/limits.md has every setting that is a limit, with its default', () => {
  const table = readTables('limits.md').find(({ columns }) => columns[0] === 'Setting');
  const shown = table?.rows.map(([name, byDefault]) => `${name} ${byDefault}`);
  const limits = Object.values(SETTINGS).filter(({ name }) => /-(max|timeout)$/.test(name));
  assert.deepEqual(
    shown?.toSorted(),
    limits.map((setting) => `\`--${setting.name}\` ${setting.default}`).toSorted(),
  );
});

test('docs/limits.md has every annotation that is a limit, with its default', () => {
  const table = readTables('limits.md').find(({ columns }) => columns[0] === 'Annotation');
  const annotations = readFileSync(new URL('annotations.md', DOCS), 'utf8');
  const limits = [...ROWS.keys()].filter((name) =>
    /^(limit|timeout)-|idle-connection-time|body-bytes|callers/.test(name),
  );
  assert.deepEqual(
    table?.rows.map(([name = '']) => name.replaceAll('`', '')).toSorted(),
    limits.toSorted(),
  );
  for (const [name = '', byDefault = ''] of table?.rows ?? []) {
    const section = annotations
      .split('\n### ')
      .find((each) => each.startsWith(name.replaceAll('`', '')));
    const said = /^- Default: (.*)$/m.exec(section ?? '')?.[1]?.replaceAll(/[`,]/g, '');
    assert.equal(said, byDefault.replaceAll('`', ''), name);
  }
});

test('docs/limits.md is one page for people', () => {
  const lines = readFileSync(new URL('limits.md', DOCS), 'utf8').split('\n').length;
  assert.ok(lines <= 130, `${lines} lines`);
});
