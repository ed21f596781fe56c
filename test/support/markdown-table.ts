/** Reads the pipe tables of a Markdown page, so that tests can hold them against the code. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

export interface MarkdownTable {
  readonly columns: readonly string[];
  /** Cells as they are written, with `\|` turned back. */
  readonly rows: readonly (readonly string[])[];
}

/** All tables of `docs/NAME`, in order. */
export function readTables(name: string): MarkdownTable[] {
  return parseTables(readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8'));
}

export function parseTables(markdown: string): MarkdownTable[] {
  const tables: MarkdownTable[] = [];
  let lines: string[] = [];
  for (const line of [...markdown.split('\n'), '']) {
    if (line.startsWith('|')) lines.push(line);
    else if (lines.length > 0) {
      const [columns, ruler, ...rows] = lines.map(cells);
      assert.ok(
        columns !== undefined && ruler?.every((cell) => /^:?-+:?$/.test(cell)),
        lines[0] ?? '',
      );
      for (const row of rows) assert.equal(row.length, columns.length, row.join(' | '));
      tables.push({ columns, rows });
      lines = [];
    }
  }
  return tables;
}

function cells(line: string): string[] {
  return line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('\\|', '|'));
}
