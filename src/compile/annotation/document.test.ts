import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { renderAnnotations } from './document.ts';
import { ROWS } from './table.ts';

const FILE = new URL('../../../docs/annotations.md', import.meta.url);

test('docs/annotations.md says what the table says, no more and no less', () => {
  if (process.env['UPDATE'] === '1') writeFileSync(FILE, renderAnnotations());
  const text = readFileSync(FILE, 'utf8');
  assert.equal(text, renderAnnotations(), 'rewrite it: UPDATE=1 node --test this file');
  const headings = [...text.matchAll(/^### (\S+)/gm)].map(([, name]) => name);
  assert.deepEqual(headings, [...ROWS.keys()]);
});
