/** `maesh version`. */

import { readFileSync } from 'node:fs';

import { Command } from 'commander';

import type { CliContext } from './context.ts';
import { addOutput, isJson } from './output.ts';

/** The version in package.json. */
export function version(): string {
  const path = new URL('../../package.json', import.meta.url);
  const json: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const isPackage = typeof json === 'object' && json !== null && 'version' in json;
  return isPackage ? String(json.version) : 'unknown';
}

export function versionCommand(context: CliContext): Command {
  const command = new Command('version')
    .summary('print the version')
    .description('Prints the versions of maesh and of the Node it runs on.')
    .action(() => {
      const found = {
        maesh: version(),
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
      };
      if (isJson(command)) context.io.out(`${JSON.stringify(found)}\n`);
      else context.io.out(`maesh ${found.maesh} (Node ${found.node}, ${found.platform})\n`);
    });
  return addOutput(command).addHelpText(
    'after',
    '\nExamples:\n  maesh version\n  maesh version -o json | jq -r .maesh',
  );
}
