/** What holds for the bed's cluster by its own means holds by kubectl alone, as for a cluster that was there before. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bed } from './bed/bed.ts';

const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'these are tests of the bed';

test('the tests of the bed pass against a cluster of KUBECONFIG', { skip }, async (t) => {
  // In place of Docker Hub's image of Node.
  const node = { binds: [{ from: process.execPath, to: '/opt/node' }], entrypoint: ['/opt/node'] };
  const env = { PATH: '/opt:/usr/bin:/bin' };
  const bed = await Bed.start({ images: { 'node:26': { ...node, env } } });
  t.after(() => bed.stop());
  const file = join(import.meta.dirname, 'bed.cluster.ts');
  const reporter = ['--test-reporter=tap', '--test-timeout=300000'];
  // A test runner within a test runner would report to the outer one.
  const fresh = ['env', '-u', 'NODE_TEST_CONTEXT'];
  const { code, stdout, stderr } = await bed.run(
    [...fresh, process.execPath, '--test', ...reporter, file],
    {
      MAESH_TEST_EXTERNAL: '1',
    },
  );
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, /^# pass 9$/m);
  assert.match(stdout, /^# skipped 0$/m);
  const namespaces = await bed.kubectl(['get', 'namespaces', '-o', 'name']);
  assert.doesNotMatch(namespaces, /shop/);
});
