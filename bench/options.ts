/** The command line of the benchmark. */

import { parseArgs } from 'node:util';
import { join } from 'node:path';
import { STAGES, type StageName } from './figures.ts';
import { allowedCores, cacheDir } from './host.ts';

export interface BenchOptions {
  readonly quick: boolean;
  readonly only: readonly StageName[];
  readonly rounds: number;
  readonly out: string;
  readonly assert: boolean;
  /** Command line of maesh to measure; '' builds the checkout and takes that. */
  readonly maesh: string;
  readonly proxyCore: number;
  readonly loadCore: number;
}

export const HELP = `Usage: npm run bench -- [options]
  --quick          short runs, one round: shows that it works, figures are only a hint
  --only STAGES    comma-separated: ${STAGES.join(', ')} (default: all)
  --rounds N       rounds, 1 to 100 (default: 5; 1 with --quick)
  --out DIR        where the report goes (default: docs/benchmarks; with --quick the cache folder);
                   stages that are not measured keep the figures that are there
  --cores P,L      core of the proxy, core of load and upstream (default: the first two)
  --maesh FILE     command line of maesh to measure (default: builds the checkout and takes that)
  --assert         exit code 1 when a bar is missed
`;

/** Fails with a sentence for the user. */
export function readOptions(args: readonly string[], root: string): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: STAGES.join(',') },
      rounds: { type: 'string' },
      out: { type: 'string' },
      cores: { type: 'string' },
      maesh: { type: 'string', default: '' },
      assert: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick } = values;
  const [proxyCore, loadCore] = readCores(values.cores);
  return {
    quick,
    only: values.only.split(',').map(stageName),
    rounds: readRounds(values.rounds ?? (quick ? '1' : '5')),
    out: values.out ?? (quick ? join(cacheDir(), 'bench') : join(root, 'docs/benchmarks')),
    assert: values.assert,
    maesh: values.maesh,
    proxyCore,
    loadCore,
  };
}

function stageName(text: string): StageName {
  const name = STAGES.find((stage) => stage === text);
  if (name === undefined) throw new Error(`No stage "${text}": there are ${STAGES.join(', ')}`);
  return name;
}

function readRounds(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= 100) return rounds;
  throw new Error(`Cannot use --rounds "${text}": give a whole number from 1 to 100`);
}

function readCores(text: string | undefined): [number, number] {
  const allowed = allowedCores();
  const [proxy = -1, load = -1, ...more] = text?.split(',').map(Number) ?? allowed.slice(0, 2);
  if (allowed.length < 2) {
    throw new Error('Cannot measure on one core: the proxy and the load need one each');
  }
  if (
    more.length === 0 &&
    proxy !== load &&
    [proxy, load].every((core) => allowed.includes(core))
  ) {
    return [proxy, load];
  }
  throw new Error(`Cannot use --cores "${text}": give two of ${allowed.join(', ')}, such as "0,1"`);
}
