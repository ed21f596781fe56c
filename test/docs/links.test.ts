import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync(['*.md', '*/*.md', 'docs/**/*.md', 'examples/**/*.md'], {
  cwd: ROOT,
}).filter((page) => !page.startsWith('node_modules'));
/** Folders that a path between backquotes may start in without saying so. */
const BASES = ['', 'src/'];
const PATH = /`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|md|yaml|sh|mjs))(?=[ `:])/g;
const ANCHOR = /\]\(([^)#\s]*)#([^)\s]+)\)/g;
const LINK = /\]\(([^)#\s]+)(?:#[^)]*)?\)/g;

/** Measured on demand, and kept only when the figures are worth it. */
const MADE = new Set(['docs/benchmarks/results.md']);

test('every link and path on a page leads to something', () => {
  const broken: string[] = [];
  for (const page of PAGES) {
    const text = readFileSync(join(ROOT, page), 'utf8');
    for (const [, link = ''] of text.matchAll(LINK)) {
      const target = join(dirname(page), link);
      if (/^https?:/.test(link) || MADE.has(target)) continue;
      if (!existsSync(join(ROOT, target))) broken.push(`${page}: ${link}`);
    }
    for (const [, path = ''] of text.matchAll(PATH)) {
      if (path.includes('NAME')) continue;
      const found = [...BASES.map((base) => base + path), join(dirname(page), path)];
      if (!found.some((each) => existsSync(join(ROOT, each)))) broken.push(`${page}: ${path}`);
    }
  }
  assert.deepEqual(broken, []);
});

test('every link to a heading leads to one', () => {
  const broken: string[] = [];
  let anchors = 0;
  for (const page of PAGES) {
    for (const [, file = '', anchor = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(
      ANCHOR,
    )) {
      if (/^https?:/.test(file)) continue;
      anchors += 1;
      const target = file === '' ? page : join(dirname(page), file);
      if (!headingsOf(target).has(anchor)) broken.push(`${page}: ${file}#${anchor}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(anchors > 50, `${anchors} links to headings found`);
});

/** The headings of a page, as GitHub makes anchors of them. */
function headingsOf(page: string): ReadonlySet<string> {
  const text = readFileSync(join(ROOT, page), 'utf8');
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/(?<!\w)_|_(?!\w)/g, '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
  return new Set(headings);
}

test('docs/README.md leads to every page in docs', () => {
  const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8');
  const linked = new Set([...index.matchAll(LINK)].map(([, link]) => link));
  const pages = globSync(['*.md', '*.yaml', '*.json', '*/README.md'], { cwd: join(ROOT, 'docs') });
  assert.deepEqual(
    pages.filter((page) => page !== 'README.md' && !linked.has(page)),
    [],
  );
});

test('docs/troubleshooting.md quotes messages that the code has', () => {
  const page = readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8');
  const files = [...globSync('src/**/*.ts', { cwd: ROOT }), 'bin/maesh'];
  const code = files.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
  const quoted = [...page.matchAll(/`(Cannot [^`"…]*)/g)].map(([, text = '']) => text);
  assert.ok(quoted.length >= 4);
  assert.deepEqual(
    quoted.filter((text) => !code.includes(text)),
    [],
  );
});
