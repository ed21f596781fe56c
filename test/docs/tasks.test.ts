import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { ROWS } from '../../src/compile/annotation/table.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync('docs/tasks/*.md', { cwd: ROOT }).toSorted();
const BLOCK = /^```yaml\n([\s\S]*?)^```$/gm;
const ANNOTATION = /\bmaesh\.dev\/([A-Za-z0-9-]+)/g;

function manifestsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(BLOCK)]
    .map(([, block = '']) => block)
    .filter((block) => block.includes('apiVersion'));
}

async function check(
  manifest: string,
): Promise<{ code: number | null; services: unknown; out: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-tasks-'));
  try {
    const path = join(folder, 'web.yaml');
    writeFileSync(path, manifest);
    const { code, out } = await maesh(['check', '--strict', '-o', 'json', '-f', path]);
    return { code, services: (JSON.parse(out) as { services: unknown }).services, out };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('every manifest of docs/tasks compiles without an error or a warning', async () => {
  let manifests = 0;
  for (const page of PAGES) {
    for (const manifest of manifestsOf(page)) {
      manifests += 1;
      const { code, services, out } = await check(manifest);
      assert.equal(code, 0, `${page}: ${out}`);
      assert.equal(services, 1, page);
    }
  }
  assert.ok(manifests >= 9, `${manifests} manifests found`);
});

test('a manifest with a mistake is found', async () => {
  const [good = ''] = manifestsOf('docs/tasks/retries.md');
  const { code } = await check(good.replace("retry-attempts: '3'", "retry-attempts: 'lots'"));
  assert.equal(code, 1);
});

test('docs/tasks names only annotations that there are', () => {
  let named = 0;
  for (const page of PAGES) {
    for (const [, name = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(ANNOTATION)) {
      named += 1;
      assert.ok(ROWS.has(name), `${page}: maesh.dev/${name}`);
    }
  }
  assert.ok(named > 20, `${named} annotations found`);
});

test('the index of docs/tasks has every page', () => {
  const index = readFileSync(join(ROOT, 'docs/tasks/README.md'), 'utf8');
  for (const page of PAGES) {
    const name = page.slice('docs/tasks/'.length);
    if (name !== 'README.md') assert.ok(index.includes(`](${name})`), name);
  }
});
