/**
 * Lists of entries on a Markdown page, written from the code or held against it. An entry is a list item: a line that says what it is, and lines that
 * explain it. A table with such texts would be wider than any terminal.
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

/** The lines of one entry, before they are wrapped. */
export type Entry = readonly [head: string, ...explanation: readonly string[]];

const COLUMNS = 160;
/** Markdown takes these for more than text at the start of a line. */
const MARK = /^(?:[-+*>#|:]|\d+[.)]|```)/;

export function renderList(entries: readonly Entry[]): string {
  return entries
    .map((lines) =>
      lines.map((line, at) => `${wrap(line, at === 0 ? '- ' : '  ').join('\n')}\n`).join(''),
    )
    .join('');
}

/** The items of all lists at the left edge, each as one line without its mark. */
export function parseItems(markdown: string): string[] {
  const items: string[] = [];
  let isOpen = false;
  let isCode = false;
  for (const line of markdown.split('\n')) {
    if (/^\s*```/.test(line)) isCode = !isCode;
    if (isCode) continue;
    const isItem = line.startsWith('- ');
    if (isItem) items.push(line.slice(2).trim());
    else if (isOpen && line.startsWith('  ')) items.push(`${items.pop()} ${line.trim()}`);
    isOpen = isItem || (isOpen && line.startsWith('  '));
  }
  return items;
}

/** What stands below a heading, up to the next of any level. */
export function sectionOf(markdown: string, heading: string): string {
  const [, after, ...more] = `\n${markdown}`.split(`\n${heading}\n`);
  assert.ok(after !== undefined && more.length === 0, `one heading "${heading}"`);
  return after.split(/^(?=#+ )/m)[0] ?? '';
}

/** The items of the section below `heading` of `docs/PAGE`. */
export function readItems(page: string, heading: string): string[] {
  return parseItems(sectionOf(readFileSync(pathOf(page), 'utf8'), heading));
}

/** The list below `heading` of `docs/PAGE` has these entries, and no others. UPDATE=1 writes them there. */
export function holdList(page: string, heading: string, entries: readonly Entry[]): void {
  if (process.env['UPDATE'] === '1') {
    const text = readFileSync(pathOf(page), 'utf8');
    const section = sectionOf(text, heading);
    const list = renderList(entries);
    const renewed = section.replace(/(?:^(?:- |  ).*\n)+/m, () => list);
    writeFileSync(
      pathOf(page),
      text.replace(`${heading}\n${section}`, () => `${heading}\n${renewed}`),
    );
  }
  const hint = `docs/${page}, ${heading}: UPDATE=1 node --test with this test writes it`;
  assert.deepEqual(
    readItems(page, heading),
    entries.map((lines) => lines.join(' ').replaceAll(/\s+/g, ' ')),
    hint,
  );
}

function pathOf(page: string): URL {
  return new URL(`../../docs/${page}`, import.meta.url);
}

/** Lines of at most `COLUMNS` bytes; what follows the first is indented as the text of a list item is. */
function wrap(text: string, first: string): string[] {
  const [head = '', ...words] = text.split(/\s+/);
  const lines: string[] = [];
  let line = first + head;
  for (const word of words) {
    if (Buffer.byteLength(`${line} ${word}`) > COLUMNS && !MARK.test(word)) {
      lines.push(line);
      line = `  ${word}`;
    } else line += ` ${word}`;
  }
  return [...lines, line];
}
