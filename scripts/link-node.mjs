/**
 * Runs after `npm ci`, on the Node of the machine: makes sure that node_modules/.bin/node is there and starts. npm 10 removes that link
 * again with the packages of other platforms, which have a program of the same name; npm 11 does not.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const modules = join(import.meta.dirname, '..', 'node_modules');
const link = join(modules, '.bin', 'node');
const platform = `${process.platform}-${process.arch}`;
const name = [`node-${platform}`, `node-bin-${platform}`].find((each) =>
  existsSync(join(modules, each, 'bin', 'node')),
);

const problem =
  name === undefined ? `npm has no Node for ${platform}; install Node 26 yourself` : start(name);
if (problem !== '') {
  process.stderr.write(`maesh: ${problem}\n`);
  process.exitCode = 1;
}

/** What keeps the Node of this package from starting, and the way out; '' when it starts. */
function start(name) {
  if (!existsSync(link)) {
    mkdirSync(join(modules, '.bin'), { recursive: true });
    symlinkSync(join('..', name, 'bin', 'node'), link);
  }
  const { status, stderr } = spawnSync(link, ['--version'], { encoding: 'utf8' });
  if (status === 0) return '';
  const remedy = stderr.includes('libatomic')
    ? 'install libatomic (Debian, Ubuntu: apt-get install libatomic1; Fedora: dnf install libatomic)'
    : 'it needs glibc 2.28 or later and libatomic';
  return `the Node that maesh runs on does not start: ${stderr.trim()}; ${remedy}`;
}
