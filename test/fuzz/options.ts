/** The command line of `npm run fuzz`. */

import { parseArgs } from 'node:util';
import { wholeNumber } from '../support/command-line.ts';

export interface Options {
  readonly targets: readonly string[];
  readonly runs: number;
  readonly ms: number;
  /** Null: a fresh one. */
  readonly seed: number | null;
}

const SECONDS_DEFAULT = 10;

export const help = (
  targets: readonly string[],
): string => `Usage: npm run fuzz -- [TARGET] [options]

Throws mutated inputs at parsers, and checks invariants. A failure prints the command that makes it again.

  TARGET        all (default), or one of
                ${targets.join(', ')}
  --seconds N   time for each target (default: ${SECONDS_DEFAULT}; with --runs: no limit)
  --runs N      inputs for each target (default: no limit)
  --seed S      where the inputs begin (default: a fresh seed)
  -h, --help    prints this
`;

/** Fails with a sentence for the user. */
export function readOptions(args: readonly string[], targets: readonly string[]): Options | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      seconds: { type: 'string' },
      runs: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return 'help';
  const [wanted = 'all', ...rest] = positionals;
  if (rest.length > 0) throw new Error(`Give one target, or all: not "${positionals.join(' ')}"`);
  if (wanted !== 'all' && !targets.includes(wanted)) {
    throw new Error(`No target "${wanted}": there are all, ${targets.join(', ')}`);
  }
  const unlimited = values.seconds === undefined && values.runs !== undefined;
  const seconds = wholeNumber('seconds', values.seconds ?? String(SECONDS_DEFAULT));
  return {
    targets: wanted === 'all' ? targets : [wanted],
    runs: values.runs === undefined ? Number.POSITIVE_INFINITY : wholeNumber('runs', values.runs),
    ms: unlimited ? Number.POSITIVE_INFINITY : seconds * 1_000,
    seed: values.seed === undefined ? null : wholeNumber('seed', values.seed) >>> 0,
  };
}
