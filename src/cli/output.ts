/** The `-o` option of every command that prints data. */

import { Option, type Command } from 'commander';

/** Adds `-o, --output text|json`. */
export function addOutput(command: Command): Command {
  const option = new Option('-o, --output <FORMAT>', 'how to print: text or json').default(
    'text',
    'text',
  );
  return command.addOption(option.choices(['text', 'json']));
}

/** Whether the user asked for JSON. */
export function isJson(command: Command): boolean {
  return command.getOptionValue('output') === 'json';
}
