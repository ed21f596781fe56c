import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseItems, renderList, sectionOf } from './markdown-list.ts';

test('parseItems() reads back what renderList() writes, in lines that fit', () => {
  const long = Array.from({ length: 80 }, (_, at) => `word${at}`).join(' ');
  const entries = [
    ['`a`: default 1.', long],
    ['`b`', `${'x '.repeat(78)}- y 1. z`, 'End.'],
  ] as const;
  const text = renderList(entries);
  assert.deepEqual(
    parseItems(`Before.\n\n${text}\nBehind.\n`),
    entries.map((lines) => lines.join(' ')),
  );
  for (const line of text.split('\n')) {
    assert.ok(line.length <= 162, line);
    assert.match(line, /^(?:- `|  [a-zE]|$)/);
  }
});

test('parseItems() takes no item from a block of code', () => {
  assert.deepEqual(parseItems('```\n- a\n```\n- b\n'), ['b']);
});

test('sectionOf() ends at the next heading of any level', () => {
  assert.equal(sectionOf('# a\n\n## b\nx\n### c\ny\n## d\n', '## b'), 'x\n');
  assert.throws(() => sectionOf('## a\n\n## a\n', '## a'), /one heading/);
});
