/** Two commits of maesh side by side: what the newer one costs, in units of the older one. */

import type { StageName, Pair, Figures, Stage } from './figures.ts';
import { CLOSED_LOOPS, median, medianInterval, ratio, ratios, roundsOf } from './figures.ts';
import { makeMaesh } from './peers/maesh.ts';
import type { Peer } from './peers/peer.ts';
import { DOUBTFUL_PERCENT } from './stages/stage.ts';
import { LAYOUTS, shown, type Column } from './tables.ts';
import { formatNumber, type Table } from './text.ts';

/** Stages that take any number of peers: the others have a maesh of their own. */
export const COMPARABLE: readonly StageName[] = [
  ...CLOSED_LOOPS,
  'rate',
  'start',
  'memory',
  'threads',
];

/** Stages of whose load each pair of peers can take half. */
export const TOGETHER: readonly StageName[] = CLOSED_LOOPS;

/** Not costs, so that a ratio of them says nothing. */
const NO_COST = new Set(['failed', 'foreignPercent', 'lateP99Micros', 'upstreamMicros']);

export interface Contest {
  /** The commits, as tables name them. */
  readonly newer: string;
  readonly older: string;
  peersFor(stage: StageName): readonly Peer[];
}

export interface Contestant {
  readonly command: string;
  readonly commit: string;
}

/** Both run with the same Services and policies; with small requests, with every feature too. */
export function contest(newer: Contestant, older: Contestant): Contest {
  const usual = [newer, older].map(({ command, commit }) =>
    makeMaesh(subjectOf('maesh', commit), 'usual', command),
  );
  const all = [newer, older].map(({ command, commit }) =>
    makeMaesh(subjectOf('maesh-all', commit), 'all', command),
  );
  return {
    newer: newer.commit,
    older: older.commit,
    peersFor: (stage) => (stage === 'small' ? [...usual, ...all] : usual),
  };
}

/** A row for each figure of each stage: medians, the ratio new ÷ old within a round, and how sure that is. */
export function comparison(figures: Figures, { newer, older }: Contest): Table {
  const rows = COMPARABLE.flatMap((name) => {
    const stage = figures[name];
    if (stage === undefined) return [];
    return ['maesh', 'maesh-all'].flatMap((program) =>
      LAYOUTS[name].columns.flatMap((column) => {
        const pair = { subject: subjectOf(program, newer), base: subjectOf(program, older) };
        const isCost = column.per === undefined && !NO_COST.has(column.figure);
        const row = isCost ? rowOf(stage, pair, column) : null;
        return row === null ? [] : [[`${name}, ${program}: ${column.title}`, ...row]];
      }),
    );
  });
  return { head: ['', newer, older, 'new ÷ old', 'from', 'to', 'rounds', 'disturbed'], rows };
}

function rowOf(stage: Stage, pair: Pair, column: Column): string[] | null {
  const found = ratios(stage, pair, column.figure);
  const interval = medianInterval(found);
  if (interval === null) return null;
  const disturbed = roundsOf(stage, pair).filter(({ subject, base }) =>
    [subject, base].some(({ figures }) => (figures['foreignPercent'] ?? 0) > DOUBTFUL_PERCENT),
  );
  const cell = (subject: string): string => {
    const value = median(stage, subject, column.figure);
    return formatNumber(value === null ? null : shown(column, value), column.digits);
  };
  return [
    cell(pair.subject),
    cell(pair.base),
    formatNumber(ratio(stage, pair, column.figure), 3),
    formatNumber(interval.low, 3),
    formatNumber(interval.high, 3),
    `${found.length}`,
    `${disturbed.length}`,
  ];
}

function subjectOf(program: string, commit: string): string {
  return `${program}@${commit}`;
}
