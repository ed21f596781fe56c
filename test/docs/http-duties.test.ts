import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTables } from '../support/markdown-table.ts';

const ROOT = join(import.meta.dirname, '../..');
const [kept, against, without, ...more] = readTables('http-duties.md');

/** All sections of RFC 9110 §6 to §10, and of RFC 9112 §2 to §11, as far as they have text of their own. */
const SECTIONS = [
  ...range('9110 §6', [
    '',
    '.1',
    '.2',
    '.3',
    '.4',
    '.4.1',
    '.4.2',
    '.5',
    '.5.1',
    '.5.2',
    '.6',
    '.6.1',
    '.6.2',
  ]),
  ...range('9110 §7', [
    '.1',
    '.2',
    '.3',
    '.3.1',
    '.3.2',
    '.3.3',
    '.4',
    '.5',
    '.6',
    '.6.1',
    '.6.2',
    '.6.3',
    '.7',
    '.8',
  ]),
  ...range('9110 §8', ['.1', '.2', '.3', '.4', '.5', '.6', '.7', '.8']),
  ...range('9110 §9', [
    '.1',
    '.2',
    '.2.1',
    '.2.2',
    '.2.3',
    '.3',
    '.3.1',
    '.3.2',
    '.3.3',
    '.3.4',
    '.3.5',
    '.3.6',
    '.3.7',
    '.3.8',
  ]),
  ...range('9110 §10', [
    '.1',
    '.1.1',
    '.1.2',
    '.1.3',
    '.1.4',
    '.1.5',
    '.1.6',
    '.2',
    '.2.1',
    '.2.2',
    '.2.3',
    '.2.4',
  ]),
  ...range('9112 §', [
    '2.1',
    '2.2',
    '2.3',
    '3',
    '3.1',
    '3.2',
    '3.2.1',
    '3.2.2',
    '3.2.3',
    '3.2.4',
    '3.3',
    '4',
    '5',
    '5.1',
    '5.2',
  ]),
  ...range('9112 §', [
    '6',
    '6.1',
    '6.2',
    '6.3',
    '7',
    '7.1',
    '7.1.1',
    '7.1.2',
    '7.1.3',
    '7.2',
    '7.3',
    '7.4',
    '8',
  ]),
  ...range('9112 §', [
    '9.1',
    '9.2',
    '9.3',
    '9.3.1',
    '9.3.2',
    '9.4',
    '9.5',
    '9.6',
    '9.7',
    '9.8',
    '10.1',
    '10.2',
    '11.1',
    '11.2',
  ]),
];

function range(prefix: string, ends: readonly string[]): string[] {
  return ends.map((end) => prefix + end);
}

/** The titles of all tests of a file, as they stand in its source. */
function titles(file: string): string[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return [...source.matchAll(/^ *(?:test|it)\(\s*(['`])(.*?)\1, /gmsu)].map(
    ([, , title = '']) => title,
  );
}

test('every duty that is kept names a test that there is', () => {
  assert.deepEqual(kept?.columns, ['RFC', 'Duty', 'Test', 'Title', 'Case']);
  assert.equal(more.length, 0);
  for (const [section = '', duty = '', quoted = '', title = '', example = ''] of kept.rows) {
    const file = quoted.replaceAll('`', '');
    const what = `${section} ${duty}: ${file}`;
    assert.match(section, /^91(10|12) §\d/, what);
    assert.ok(duty.length >= 10 && title.length >= 6, what);
    assert.ok(existsSync(join(ROOT, file)), what);
    assert.ok(
      titles(file).some((known) => known.includes(title)),
      `${what} has no test "${title}"`,
    );
    const text = example.replace(/^`(.*)`$/, '$1');
    assert.ok(readFileSync(join(ROOT, file), 'utf8').includes(text), `${what} has no case ${text}`);
  }
});

test('every duty that is not kept has a reason, and is not said to be kept', () => {
  assert.deepEqual(against?.columns, ['RFC', 'Duty', 'What the mesh does', 'Why']);
  const held = new Set(kept?.rows.map(([section, duty]) => `${section} ${duty}`));
  for (const [section = '', duty = '', instead = '', why = ''] of against.rows) {
    assert.ok(instead.length >= 10 && why.length >= 40, `${section} ${duty}`);
    assert.ok(!held.has(`${section} ${duty}`), `${section} ${duty}`);
  }
});

test('every section of RFC 9110 §6 to §10 and of RFC 9112 is in a table', () => {
  const told = new Set(
    [kept, against, without].flatMap((table) => table?.rows.map(([section]) => section) ?? []),
  );
  assert.deepEqual(
    SECTIONS.filter((section) => !told.has(section)),
    [],
  );
  const both = without?.rows.filter(([section]) => kept?.rows.some(([other]) => other === section));
  assert.deepEqual(both, [], 'a section with a duty is not one without');
});
