/** `maesh version`. */

import { Command } from 'commander';

import { readVersion } from '../base/version.ts';
import type { CliContext } from './context.ts';
import { printableJson } from '../base/printable.ts';
import { addOutput, isJson } from './output.ts';

export function versionCommand(context: CliContext): Command {
  const command = new Command('version')
    .summary('print the version')
    .description('Prints the versions of maesh and of the Node it runs on.')
    .action(() => {
      const found = {
        maesh: readVersion(),
        node: process.versions.node,
        platform: `${process.platform}-${process.arch}`,
      };
      if (isJson(command)) context.io.out(`${printableJson(found)}\n`);
      else context.io.out(`maesh ${found.maesh} (Node ${found.node}, ${found.platform})\n`);
    });
  return addOutput(command).addHelpText(
    'after',
    '\nExamples:\n  maesh version\n  maesh version -o json | jq -r .maesh',
  );
}
