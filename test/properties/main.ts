/**
 * `npm run properties`: every test file with a property, with 50 times the inputs and fresh seeds. A failure prints its seed; what
 * it shows is a defect, of the code or of the test. A property that is not through after MAESH_TEST_INPUTS_SECONDS (10)
 * stops there, and the last lines say so. MAESH_TEST_INPUTS=200 multiplies more.
 */

import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tried } from './fast-check.ts';

const ROOT = join(import.meta.dirname, '../..');
const files = globSync('{src,test,demo,bench}/**/*.test.ts', { cwd: ROOT }).filter((file) =>
  /from 'fast-check'/.test(readFileSync(join(ROOT, file), 'utf8')),
);
const folder = mkdtempSync(join(tmpdir(), 'maesh-properties-'));
const report = join(folder, 'report');
writeFileSync(report, '');
const { status } = spawnSync(
  process.execPath,
  [
    '--import=./test/properties/many-inputs.ts',
    '--test',
    '--test-reporter=./test/reporter.ts',
    '--test-concurrency=2',
    '--test-timeout=300000',
    ...files,
  ],
  { cwd: ROOT, stdio: 'inherit', env: { ...process.env, MAESH_TEST_INPUTS_REPORT: report } },
);
const tried = readFileSync(report, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Tried);
rmSync(folder, { recursive: true });
const inputs = tried.reduce((sum, each) => sum + each.inputs, 0);
const short = tried.filter((each) => each.inputs < each.wanted);
process.stdout.write(
  `${tried.length} properties, ${inputs} inputs; ${short.length} stopped by time:\n`,
);
for (const each of short) {
  process.stdout.write(`  ${each.file}: ${each.inputs} of ${each.wanted}\n`);
}
process.exitCode = tried.length === 0 ? 1 : (status ?? 1);
