/**
 * Runs after `npm ci`, on the Node of the machine: makes sure that node_modules/.bin/node is there. npm 10 removes that link again
 * with the packages of other platforms, which have a program of the same name; npm 11 does not.
 */

import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const modules = join(import.meta.dirname, '..', 'node_modules');
const link = join(modules, '.bin', 'node');
const names = [
  `node-${process.platform}-${process.arch}`,
  `node-bin-${process.platform}-${process.arch}`,
];
const name = names.find((each) => existsSync(join(modules, each, 'bin', 'node')));

if (name === undefined) {
  process.stderr.write(
    `maesh: npm brought no Node for ${process.platform} ${process.arch}: install Node 26 yourself\n`,
  );
} else if (!existsSync(link)) {
  mkdirSync(join(modules, '.bin'), { recursive: true });
  symlinkSync(join('..', name, 'bin', 'node'), link);
}
