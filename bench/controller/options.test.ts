import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HELP, readOptions } from './options.ts';

test('readOptions() has the size of the bar by default, and what else is said', () => {
  const usual = readOptions([], {});
  assert.ok(usual !== 'help');
  assert.deepEqual(
    [usual.services, usual.endpoints, usual.agents, usual.memoryMiB, usual.assert],
    [10_000, 10, 200, 1_024, false],
  );
  const small = readOptions(['--services', '300', '--nodes', '3'], { MAESH_ASSERT: '1' });
  assert.ok(small !== 'help');
  assert.deepEqual([small.agents, small.changes, small.assert], [3, 300, true]);
  assert.equal(readOptions(['-h'], {}), 'help');
});

test('readOptions() refuses what it cannot use, with what it can', () => {
  const tell = (...args: string[]): string => {
    try {
      readOptions(args, {});
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  assert.match(tell('--services', '0'), /--services "0": give a whole number from 1 to 20000/);
  assert.match(tell('--agents', '4', '--nodes', '3'), /--agents "4".* from 0 to 3$/);
  assert.match(tell('-o', 'yaml'), /--output "yaml": give text or json/);
});

test('the help names each option', () => {
  for (const name of ['services', 'shadow-endpoints', 'node-flags', 'output', 'keep']) {
    assert.match(HELP, new RegExp(`^ .*--${name}[ =]`, 'm'));
  }
});
