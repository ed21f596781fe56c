/** The command line of `npm run properties`. */

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/command-line.ts';

export interface Options {
  /** How many times its ordinary inputs each property is to get. */
  readonly times: number;
  readonly seconds: number;
  /** Only these test files; none: all that have properties. */
  readonly files: readonly string[];
}

export const HELP = `Usage: npm run properties -- [FILE...] [options]

Runs all tests with properties, or those of the files, with many times their ordinary inputs and fresh seeds. The ordinary inputs
are tried in any case; what time is left is shared. The last lines name who got fewer than asked. Exit code 1: a test failed.

  --times N     times the ordinary inputs (default: 50)
  --seconds N   time for all (default: 280)
  -h, --help    prints this

Example: npm run properties -- src/dns/respond.test.ts --times 500
`;

/** Fails with a sentence for the user. */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      times: { type: 'string', default: '50' },
      seconds: { type: 'string', default: '280' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const times = wholeNumber('times', values.times);
  if (times === 0) throw new Error('--times must be 1 or more');
  const missing = positionals.find((file) => !existsSync(file));
  if (missing !== undefined) throw new Error(`No file "${missing}"`);
  return { times, seconds: wholeNumber('seconds', values.seconds), files: positionals };
}
