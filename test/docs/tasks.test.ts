import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadManifests } from '../../src/cli/load.ts';
import { maesh } from '../../src/cli/maesh.fixture.ts';
import { SETTINGS } from '../../src/cli/settings.ts';
import { ROWS } from '../../src/compile/annotation/table.ts';
import { FAILURES } from '../../src/model/failure.ts';
import type { Problem } from '../../src/model/service.ts';
import { TestCa } from '../support/certificates.ts';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = globSync('docs/tasks/*.md', { cwd: ROOT }).toSorted();
const BLOCK = /^```yaml\n([\s\S]*?)^```$/gm;
/** An answer of the proxy itself, as a page shows it. */
const ANSWER = /^maesh: ([a-z_]+): .*$/gm;
const ANNOTATION = /\bmaesh\.dev\/([A-Za-z0-9-]+)/g;

function manifestsOf(page: string): string[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(BLOCK)]
    .map(([, block = '']) => block)
    .filter((block) => block.includes('apiVersion'));
}

const ca = await TestCa.make();
const { cert, key } = await ca.issue({ names: ['web.shop.maesh'], lastsMs: 90 * 86_400_000 });
const coded = (text: string): string => Buffer.from(text).toString('base64');
/** What pages name beside their manifests. */
const BESIDE = `apiVersion: v1
kind: ConfigMap
metadata: { name: web-ca, namespace: shop, labels: { maesh.dev/upstream-ca: 'true' } }
data: { ca.crt: ${JSON.stringify(ca.pem)} }
---
apiVersion: v1
kind: Secret
metadata: { name: web-tls, namespace: shop }
type: kubernetes.io/tls
data: { tls.crt: ${coded(cert)}, tls.key: ${coded(key)} }
`;

/** What `maesh check -f` finds, and how many Services there are. */
async function check(
  manifest: string,
): Promise<{ problems: readonly Problem[]; services: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-tasks-'));
  try {
    const path = join(folder, 'web.yaml');
    writeFileSync(path, manifest);
    const beside = join(folder, 'beside.yaml');
    writeFileSync(beside, BESIDE);
    const { problems, snapshot } = await loadManifests({
      paths: [path, beside],
      serviceCidr: SETTINGS.serviceCidr.default,
      podCidr: SETTINGS.pods.default,
    });
    return { problems, services: snapshot.services.size };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('every manifest of docs/tasks compiles without an error or a warning', async () => {
  let manifests = 0;
  for (const page of PAGES) {
    for (const manifest of manifestsOf(page)) {
      manifests += 1;
      const { problems, services } = await check(manifest);
      assert.deepEqual(problems, [], page);
      assert.equal(services, manifest.match(/^kind: Service$/gm)?.length, page);
    }
  }
  assert.ok(manifests >= 9, `${manifests} manifests found`);
});

test('a manifest with a mistake is found', async () => {
  const [good = ''] = manifestsOf('docs/tasks/retries.md');
  const { problems } = await check(good.replace("retry-attempts: '3'", "retry-attempts: 'lots'"));
  assert.deepEqual(
    problems.map(({ severity, value }) => ({ severity, value })),
    [{ severity: 'error', value: 'lots' }],
  );
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

test('what docs/tasks shows of the answers of the mesh is what it answers', () => {
  let shown = 0;
  for (const page of PAGES) {
    for (const [line, reason = ''] of readFileSync(join(ROOT, page), 'utf8').matchAll(ANSWER)) {
      shown += 1;
      const cause = Object.entries(FAILURES).find(([name]) => name === reason)?.[1].cause;
      assert.equal(line, `maesh: ${reason}: ${cause}`, page);
    }
  }
  assert.ok(shown >= 4, `${shown} answers found`);
});

/** Each command of a page with what the page says that it prints, and the manifest above it. */
function* printed(page: string): Generator<{ command: string; text: string; manifest: string }> {
  let [command, manifest] = ['', ''];
  const blocks = readFileSync(join(ROOT, page), 'utf8').matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm);
  for (const [, language = '', body = ''] of blocks) {
    if (language === 'yaml') manifest = body;
    else if (language === '') command = body;
    else if (language === 'text') yield { command, text: body, manifest };
  }
}

test('what docs/tasks shows of a command is no more than the command prints', async (t) => {
  let [tails, explained] = [0, 0];
  for (const page of PAGES) {
    for (const { command, text, manifest } of printed(page)) {
      const [, last] = /\| tail -(\d+)\n$/.exec(command) ?? [];
      if (last !== undefined) {
        tails += 1;
        assert.equal(text.trimEnd().split('\n').length, Number(last), `${page}: ${command}`);
      }
      const [, url] = /^bin\/maesh explain (\S+) -f web\.yaml$/m.exec(command) ?? [];
      if (url === undefined) continue;
      explained += 1;
      const folder = mkdtempSync(join(tmpdir(), 'maesh-tasks-'));
      t.after(() => rmSync(folder, { recursive: true }));
      writeFileSync(join(folder, 'web.yaml'), manifest);
      const { out } = await maesh(['explain', url, '-f', folder]);
      assert.ok(out.includes(text), `${page}: it prints\n${out}`);
    }
  }
  assert.ok(tails > 0 && explained > 0);
});

test('the index of docs/tasks has every page', () => {
  const index = readFileSync(join(ROOT, 'docs/tasks/README.md'), 'utf8');
  for (const page of PAGES) {
    const name = page.slice('docs/tasks/'.length);
    if (name !== 'README.md') assert.ok(index.includes(`](${name})`), name);
  }
});
