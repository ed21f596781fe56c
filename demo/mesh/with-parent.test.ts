import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const GUARD = new URL('./with-parent.ts', import.meta.url).href;

/** A program that would run for ever, with a worker thread as the mesh has them. */
const PROGRAM = `
  import { Worker } from 'node:worker_threads';
  new Worker('setInterval(() => {}, 1000)', { eval: true }).once('online', () => console.log('up'));
`;

test('a process with the guard ends once the pipe from its parent closes', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: `--import=${GUARD}` },
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  assert.equal(child.exitCode, null);
  child.stdin.destroy();
  assert.deepEqual(await ended, [null, 'SIGTERM']);
});
