import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const HERE = import.meta.dirname;

/** Runs `npm run properties` or `npm run fuzz` as a user does. */
function tool(main: string, ...args: readonly string[]) {
  // Else what fails is told in the binary form that this process would read.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(HERE, main), ...args],
    { encoding: 'utf8', cwd: join(HERE, '../..'), env },
  );
  return { status, stdout, stderr };
}

for (const [name, main] of [
  ['properties', 'main.ts'],
  ['fuzz', '../fuzz/main.ts'],
] as const) {
  test(`npm run ${name} prints its usage, and runs nothing`, () => {
    const { status, stdout, stderr } = tool(main, '--help');
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, new RegExp(`^Usage: npm run ${name} -- .*--help`, 's'));
  });

  for (const [args, sentence] of [
    [['--nonsense'], "Unknown option '--nonsense'"],
    [['--seconds', 'x'], '--seconds must be a whole number, not "x"'],
    [['no-such'], 'No '],
  ] as const) {
    test(`npm run ${name} refuses ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = tool(main, ...args);
      assert.deepEqual([status, stdout], [2, '']);
      assert.ok(stderr.startsWith(sentence), stderr);
      assert.match(stderr, /^[^\n]*\n[^\n]*--help\n$/);
    });
  }
}

test('npm run properties tries the properties of one file', () => {
  const { status, stdout } = tool('main.ts', 'src/base/slices.test.ts', '--times', '2');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /1 got 2 times their inputs, 0 fewer, 0 less than .*; 0 failures\n$/);
});

test('npm run properties tries the ordinary inputs whatever the time, and says who got no more', () => {
  const { status, stdout } = tool('main.ts', 'src/base/slices.test.ts', '--seconds', '0');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /\n {2}only the ordinary 100 inputs: src\/base\/slices\.test\.ts: /);
  assert.match(stdout, / 0 got 50 times their inputs, 1 fewer, 0 less than .*; 0 failures\n$/);
});

test('npm run properties ends with the files that failed', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'maesh-failing-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'failing.test.mjs');
  writeFileSync(
    file,
    `import { test } from 'node:test';
    import * as fc from 'fast-check';
    test('it fails', () => fc.assert(fc.property(fc.nat(), (n) => n < 10)));`,
  );
  const { status, stdout } = tool('main.ts', file, 'src/base/slices.test.ts', '--seconds', '0');
  assert.equal(status, 1, stdout);
  assert.match(stdout, /Counterexample: \[10\]/);
  assert.match(stdout, / 1 failures\n {2}failed: \S+failing\.test\.mjs\n$/);
  assert.doesNotMatch(stdout, /only the ordinary/);
});
