/** The command line of the benchmark. */

import { parseArgs } from 'node:util';
import { join } from 'node:path';
import { COMPARABLE, TOGETHER } from './compare.ts';
import { GROUPS, STAGES, type StageName } from './figures.ts';
import { allowedCores, cacheDir } from './host.ts';

export interface BenchOptions {
  readonly quick: boolean;
  readonly only: readonly StageName[];
  readonly rounds: number;
  /** Length of one measured run. */
  readonly seconds: number;
  readonly out: string;
  readonly assert: boolean;
  /** Writes the report of what was measured before, and measures nothing. */
  readonly report: boolean;
  /** Command line of maesh to measure; '' builds the checkout and takes that. */
  readonly maesh: string;
  /** Commit to measure in place of the checkout; '' for none. */
  readonly commit: string;
  /** Commit to compare with, in place of other proxies; '' for none. */
  readonly against: string;
  /** Both commits get their load at the same time. */
  readonly together: boolean;
  readonly proxyCore: number;
  readonly loadCore: number;
}

export const HELP = `Usage: npm run bench -- [options]
  --quick          short runs, one round: shows that it works, figures are only a hint
  --only STAGES    comma-separated: ${STAGES.join(', ')} (default: all);
                   "h2" stands for ${GROUPS['h2']?.join(', ')};
                   "tls" and "tcp" for all that begin so
  --rounds N       rounds, 1 to 100 (default: 5; 1 with --quick)
  --seconds N      length of a measured run, 1 to 600 (default: 8; 2 with --quick)
  --out DIR        where the report goes (default: docs/benchmarks; with --quick or --against the cache folder);
                   stages that are not measured keep the figures that are there
  --cores P,L      core of the proxy, core of load and upstream (default: the first two)
  --maesh FILE     command line of maesh to measure (default: builds the checkout and takes that)
  --commit C       builds that commit and measures it in place of the checkout
  --against C      builds that commit too and compares the two, in place of other proxies
  --together       both get their load at the same time, for a busy machine; takes small, 10k, 1m, churn, h2, tls,
                   tcp-bulk, tcp-churn and udp
  --report         writes the report from the figures that are there; measures nothing
  --assert         exit code 1 when a bar is missed
`;

/** Fails with a sentence for the user. */
export function readOptions(args: readonly string[], root: string): BenchOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      out: { type: 'string' },
      cores: { type: 'string' },
      maesh: { type: 'string', default: '' },
      commit: { type: 'string', default: '' },
      against: { type: 'string', default: '' },
      together: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      assert: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick, against, maesh, commit, together } = values;
  if (maesh !== '' && commit !== '') {
    throw new Error('Cannot use --maesh and --commit together: both say which maesh is measured');
  }
  if (together && against === '') {
    throw new Error('Cannot use --together without --against: it is for two commits');
  }
  const [proxyCore, loadCore] = readCores(values.cores);
  const kept = quick || against !== '' ? join(cacheDir(), 'bench') : join(root, 'docs/benchmarks');
  return {
    quick,
    only: readStages(values.only, stagesFor(against, together)),
    rounds: readCount('rounds', values.rounds ?? (quick ? '1' : '5'), 100),
    seconds: readCount('seconds', values.seconds ?? (quick ? '2' : '8'), 600),
    out: values.out ?? kept,
    assert: values.assert,
    report: values.report,
    maesh,
    commit,
    against,
    together,
    proxyCore,
    loadCore,
  };
}

function stagesFor(against: string, together: boolean): readonly StageName[] {
  if (together) return TOGETHER;
  return against === '' ? STAGES : COMPARABLE;
}

function readStages(text: string | undefined, allowed: readonly StageName[]): readonly StageName[] {
  if (text === undefined) return allowed;
  const names = text.split(',').flatMap((each): readonly string[] => GROUPS[each] ?? [each]);
  return names.map((each) => {
    const name = allowed.find((stage) => stage === each);
    if (name !== undefined) return name;
    const where = new Map([
      [COMPARABLE, ' with --against'],
      [TOGETHER, ' with --together'],
    ]).get(allowed);
    throw new Error(`No stage "${each}"${where ?? ''}: there are ${allowed.join(', ')}`);
  });
}

function readCount(option: string, text: string, greatest: number): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= greatest) return count;
  throw new Error(`Cannot use --${option} "${text}": give a whole number from 1 to ${greatest}`);
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
