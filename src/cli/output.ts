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

/** Text that comes from elsewhere, with control characters escaped: nothing in it may steer the terminal. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (char) => {
    return char === '\n' ? '\\n' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
