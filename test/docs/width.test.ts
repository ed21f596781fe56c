import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT }).filter(
  // Written by the benchmark.
  (page) => !/^docs\/benchmarks\/.*results\.md$/.test(page),
);
const COLUMNS = 160;

/** Lines that a terminal would break, but for code, and words that cannot be broken. */
function tooWide(text: string): string[] {
  let isCode = false;
  return text.split('\n').filter((line) => {
    const isFence = /^\s*```/.test(line);
    if (isFence) isCode = !isCode;
    return !isCode && !isFence && line.length > COLUMNS && /\S\s+\S/.test(line.slice(4));
  });
}

test('no line of the pages is wider than a terminal: break it, or make a list of a wide table', () => {
  assert.ok(PAGES.length > 30);
  for (const page of PAGES) {
    assert.deepEqual(tooWide(readFileSync(join(ROOT, page), 'utf8')), [], page);
  }
});

test('tooWide() finds prose and tables, and leaves code and addresses', () => {
  const long = 'word '.repeat(40);
  assert.deepEqual(tooWide(`${long}\n| ${long} |\n`), [long, `| ${long} |`]);
  assert.deepEqual(tooWide(`\`\`\`\n${long}\n\`\`\`\n  - https://${'a'.repeat(200)}\n`), []);
});
