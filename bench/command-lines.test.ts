import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Exit code and standard error. */
function run(file: string, ...args: string[]): Promise<[code: unknown, err: string]> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [path, ...args], (error, _, err) =>
      resolve([error?.code ?? 0, err]),
    );
  });
}

test('an option that is not understood ends a benchmark with exit code 2 before it measures', async () => {
  for (const file of ['main.ts', 'controller.ts', 'discovery.ts']) {
    const [code, err] = await run(file, '--nope');
    assert.equal(code, 2, file);
    assert.match(err, /^Unknown option '--nope'\nThe options are listed by --help\n$/, file);
  }
  const [code, err] = await run('discovery.ts', '--agents', 'few');
  assert.deepEqual([code, err.split('\n')[0]], [2, 'Cannot use --agents "few": give a number']);
  assert.deepEqual(await run('main.ts', '--help'), [0, '']);
});
