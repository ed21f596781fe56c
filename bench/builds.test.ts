import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resolveCommit } from './builds.ts';

test('resolveCommit() refuses what is no commit, an option of git above all', () => {
  for (const name of ['no-such-commit', '--all', '']) {
    assert.throws(
      () => resolveCommit(import.meta.dirname, name),
      new RegExp(`^Error: Cannot find the commit "${name}" in the history of `),
    );
  }
});
