/** What holds for the bed's cluster by its own means holds by kubectl alone, as for a cluster that was there before. */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Bed } from './bed/bed.ts';
import { buildRoot, maeshImages } from './mesh/image.ts';

const skip = process.env['MAESH_TEST_EXTERNAL'] === '1' && 'these are tests of the bed';
let bed: Bed;
let imageFolder: string;

before(async () => {
  if (skip !== false) return;
  imageFolder = await buildRoot();
  // In place of Docker Hub's image of Node.
  const node = { binds: [{ from: process.execPath, to: '/opt/node' }], entrypoint: ['/opt/node'] };
  const env = { PATH: '/opt:/usr/bin:/bin' };
  const images = { 'node:26': { ...node, env }, ...maeshImages(imageFolder, 'here') };
  bed = await Bed.start({ images });
});

after(async () => {
  if (skip !== false) return;
  await bed.stop();
  rmSync(imageFolder, { recursive: true });
});

for (const [what, file] of [
  ['the bed', 'bed.cluster.ts'],
  ['the mesh', 'mesh.cluster.ts'],
] as const) {
  test(`the tests of ${what} pass against a cluster of KUBECONFIG`, { skip }, async () => {
    const reporter = ['--test-reporter=tap', '--test-timeout=900000'];
    // A test runner within a test runner would report to the outer one.
    const fresh = ['env', '-u', 'NODE_TEST_CONTEXT'];
    const { code, stdout, stderr } = await bed.run(
      [...fresh, process.execPath, '--test', ...reporter, join(import.meta.dirname, file)],
      { MAESH_TEST_EXTERNAL: '1', MAESH_TEST_IMAGE: 'maesh/maesh:here' },
    );
    assert.equal(code, 0, `${stdout}${stderr}`);
    // All of them, and none by being left out.
    const [, tests] = /^# tests (\d+)$/m.exec(stdout) ?? [];
    assert.ok(Number(tests) >= 9, `${tests} tests`);
    assert.match(stdout, new RegExp(`^# pass ${tests}$`, 'm'));
    const namespaces = await bed.kubectl(['get', 'namespaces', '-o', 'name']);
    assert.doesNotMatch(namespaces, /shop|maesh/);
  });
}
