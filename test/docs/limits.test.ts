import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SETTINGS } from '../../src/cli/settings.ts';
import { ROWS } from '../../src/compile/annotation/table.ts';
import { readTables } from '../support/markdown-table.ts';

const SRC = join(import.meta.dirname, '../../src');
const CONSTANT = /^(?:export )?const ([A-Z][A-Z0-9_]*) = ([0-9_ *<+()]+);$/gm;
/** A constant with such a name is a bound, and must be on the page. */
const BOUND = /(_MAX|_TIMEOUT_MS|BACKLOG)$/;
/** Follow from other bounds. */
const DERIVED = new Set(['BYTES_PER_CHAR_MAX', 'TRAILER_LINES_BYTES_MAX', 'LINE_BYTES_MAX']);
const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 1_024,
  MiB: 1_048_576,
  ms: 1,
  s: 1_000,
  min: 60_000,
};

/** All whole-number constants of src, as `folder/file.ts NAME`. */
function constants(): Map<string, number> {
  const found = new Map<string, number>();
  for (const file of globSync('**/*.ts', { cwd: SRC })) {
    if (/\.(test|fixture|fuzz)\.ts$/.test(file)) continue;
    for (const [, name = '', text = ''] of readFileSync(join(SRC, file), 'utf8').matchAll(
      CONSTANT,
    )) {
      found.set(`${file} ${name}`, evaluate(text.replaceAll('_', '')));
    }
  }
  return found;
}

/** Products and shifts of whole numbers, which is how bounds are written. */
function evaluate(text: string): number {
  const [base = '', shift = '0'] = text.split('<<');
  return (
    base.split('*').reduce((product, factor) => product * Number(factor), 1) * 2 ** Number(shift)
  );
}

function valueOf(bound: string): number {
  const power = /^10\^(\d+)$/.exec(bound);
  if (power !== null) return 10 ** Number(power[1]);
  const [, number = '', unit = ''] = /^(\d+) ?([A-Za-z]*)$/.exec(bound) ?? [];
  return Number(number) * (UNITS[unit] ?? Number.NaN);
}

const tables = readTables('limits.md');

test('docs/limits.md says of each bound in the code what it is', () => {
  const inCode = constants();
  const onPage = new Map<string, string>();
  for (const { columns, rows } of tables) {
    if (columns[3] !== 'In the code') continue;
    for (const [, bound = '', , where = ''] of rows) onPage.set(where.replaceAll('`', ''), bound);
  }
  for (const [where, bound] of onPage) {
    assert.equal(valueOf(bound), inCode.get(where), `${where} is ${inCode.get(where)}`);
  }
  for (const [where, value] of inCode) {
    const name = where.split(' ')[1] ?? '';
    if (!BOUND.test(name) || DERIVED.has(name)) continue;
    assert.ok(onPage.has(where), `docs/limits.md does not have ${where} = ${value}`);
  }
  assert.ok(onPage.size > 50);
});

test('docs/limits.md has every setting that is a limit, with its default', () => {
  const table = tables.find(({ columns }) => columns[0] === 'Setting');
  const shown = table?.rows.map(([name, byDefault]) => `${name} ${byDefault}`);
  const limits = Object.values(SETTINGS).filter(({ name }) => /-(max|timeout)$/.test(name));
  assert.deepEqual(
    shown?.toSorted(),
    limits.map((setting) => `\`--${setting.name}\` ${setting.default}`).toSorted(),
  );
});

test('docs/limits.md has every annotation that is a limit, with its default', () => {
  const table = tables.find(({ columns }) => columns[0] === 'Annotation');
  const annotations = readFileSync(join(SRC, '../docs/annotations.md'), 'utf8');
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
    assert.equal(said, byDefault, name);
  }
});
