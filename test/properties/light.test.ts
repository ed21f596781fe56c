import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeOrder } from './order.ts';

const folder = mkdtempSync(join(tmpdir(), 'maesh-light-'));
after(() => rmSync(folder, { recursive: true }));

/** Tries a property with this body as `npm run properties` tries one that lacks inputs. */
function tryAlone(body: string) {
  const file = join(folder, 'alone.test.mjs');
  writeFileSync(
    file,
    `import { createRequire } from 'node:module';
    import { test } from 'node:test';
    import * as fc from 'fast-check';
    const require = createRequire(import.meta.url);
    test('alone', () => fc.assert(fc.asyncProperty(fc.nat(), async () => { ${body} })));`,
  );
  const only = { test: 'alone', index: 0, inputs: 20 };
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return spawnSync(
    process.execPath,
    ['--expose-internals', `--import=${join(import.meta.dirname, 'many-inputs.ts')}`, file],
    {
      encoding: 'utf8',
      env: { ...env, ...writeOrder({ factor: 50, ms: 60_000, only, report: '' }) },
    },
  );
}

test('nothing notes owners while one property is tried alone', () => {
  const body = "if (require('internal/async_hooks').initHooksExist()) throw new Error('noted');";
  const { status, stdout } = tryAlone(body);
  assert.equal(status, 0, stdout);
});

test('what nobody catches fails a property that is tried alone', () => {
  for (const body of [
    "void Promise.reject(new Error('left alone'));",
    "setTimeout(() => { throw new Error('left alone'); });",
  ]) {
    const { status, stdout } = tryAlone(body);
    assert.equal(status, 1, stdout);
    assert.match(stdout, /left alone/);
  }
});
