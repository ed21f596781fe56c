import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readItems } from '../support/markdown-list.ts';
import { readTables } from '../support/markdown-table.ts';

const ROOT = join(import.meta.dirname, '../..');
const KEPT =
  /^RFC ((?:9110|9112|9113|6455|8441) §[\d.]+): (.+) `([^`]+)`: "([^"]+)"(?:, case `(.+)`)?\.$/;
const NOT_KEPT = /^RFC (91(?:10|12) §[\d.]+): (.+) The mesh: (.+) Why: (.+)$/;

const kept = readEntries('## Kept', KEPT);
const notKept = readEntries('## Not kept', NOT_KEPT);
const [without, ...more] = readTables('http-duties.md');

/** The groups of `pattern` in each entry. */
function readEntries(heading: string, pattern: RegExp): readonly (readonly string[])[] {
  return readItems('http-duties.md', heading).map((item) => {
    const found = pattern.exec(item);
    assert.ok(found !== null, `${heading}: ${item}`);
    return found.slice(1);
  });
}

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
  assert.ok(kept.length > 50);
  for (const [section = '', duty = '', file = '', title = '', example = ''] of kept) {
    const what = `${section} ${duty}: ${file}`;
    assert.ok(duty.length >= 10 && title.length >= 6, what);
    assert.ok(existsSync(join(ROOT, file)), what);
    assert.ok(
      titles(file).some((known) => known.includes(title)),
      `${what} has no test "${title}"`,
    );
    const source = readFileSync(join(ROOT, file), 'utf8');
    assert.ok(source.includes(example), `${what} has no case ${example}`);
  }
});

test('every duty that is not kept has a reason, and is not said to be kept', () => {
  assert.ok(notKept.length > 5);
  const held = new Set(kept.map(([section, duty]) => `${section} ${duty}`));
  for (const [section = '', duty = '', instead = '', why = ''] of notKept) {
    assert.ok(instead.length >= 10 && why.length >= 40, `${section} ${duty}`);
    assert.ok(!held.has(`${section} ${duty}`), `${section} ${duty}`);
  }
});

test('every section of RFC 9110 §6 to §10 and of RFC 9112 is on the page', () => {
  assert.equal(more.length, 0);
  const rows = without?.rows ?? [];
  const told = new Set([...kept, ...notKept, ...rows].map(([section]) => section));
  assert.deepEqual(
    SECTIONS.filter((section) => !told.has(section)),
    [],
  );
  const both = rows.filter(([section]) => kept.some(([other]) => other === section));
  assert.deepEqual(both, [], 'a section with a duty is not one without');
});
