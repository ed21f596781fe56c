/** The `-o` option of every command that prints data. */

import { Option, type Command } from 'commander';

import { printableLines } from '../base/printable.ts';

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

/** A document for `-o json`: nothing in it steers the terminal. With `indent`, on several lines. */
export function jsonText(value: unknown, indent = 0): string {
  return printableLines(JSON.stringify(value, null, indent));
}
