/** Measured figures and what is read from them: medians over rounds, and ratios within a round. */

import type { Machine } from './host.ts';

const HTTP2_STAGES = ['h2-20', 'h2-100', 'h2-h1', 'grpc'] as const;
const TLS_STAGES = ['tls-new', 'tls-resumed', 'tls-bulk', 'tls-endpoints'] as const;
const TCP_LOOPS = ['tcp-bulk', 'tcp-churn'] as const;
/** Stages whose load is as much as fits. */
export const CLOSED_LOOPS = [
  'small',
  '10k',
  '1m',
  'churn',
  ...TLS_STAGES,
  ...HTTP2_STAGES,
  ...TCP_LOOPS,
  'udp',
] as const;
export const STAGES = [
  ...CLOSED_LOOPS,
  'rate',
  'features',
  'start',
  'memory',
  'tcp-memory',
  'threads',
  'scale',
] as const;
export type StageName = (typeof STAGES)[number];

/** Stages that go by one name on the command line. */
export const GROUPS: Readonly<Record<string, readonly StageName[]>> = {
  h2: HTTP2_STAGES,
  tls: TLS_STAGES,
  tcp: [...TCP_LOOPS, 'tcp-memory'],
};

export interface Sample {
  /** `maesh`, `haproxy`, …, or the variant of a feature. */
  readonly subject: string;
  /** From 1. */
  readonly round: number;
  readonly figures: Readonly<Record<string, number>>;
}

export interface Stage {
  readonly name: StageName;
  /** Day of the measurement, `2026-11-22`. */
  readonly day: string;
  /** Commit that was measured, with `+` when the checkout had changes. */
  readonly commit: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly samples: readonly Sample[];
}

/** Stages by name: what one run measured, or several runs together. */
export type Figures = Readonly<Partial<Record<StageName, Stage>>>;

export function subjects(stage: Stage): string[] {
  return [...new Set(stage.samples.map((sample) => sample.subject))];
}

/** All values of one figure, in order of the rounds. */
function values(stage: Stage | undefined, subject: string, figure: string): number[] {
  const found = (stage?.samples ?? []).filter((sample) => sample.subject === subject);
  return found.flatMap((sample) => sample.figures[figure] ?? []);
}

/** Median over the rounds; null when not measured. */
export function median(stage: Stage | undefined, subject: string, figure: string): number | null {
  return middle(values(stage, subject, figure));
}

export interface Pair {
  readonly subject: string;
  readonly base: string;
}

/**
 * Median of the ratios within each round: what disturbs the machine for a while disturbs both sides of a ratio.
 * Null when no round has both.
 */
export function ratio(stage: Stage | undefined, pair: Pair, figure: string): number | null {
  return middle(ratios(stage, pair, figure));
}

/** Subject ÷ base for each round that has both. */
export function ratios(stage: Stage | undefined, pair: Pair, figure: string): number[] {
  return roundsOf(stage, pair).flatMap(({ subject, base }) => {
    const above = subject.figures[figure];
    const below = base.figures[figure];
    return above === undefined || below === undefined || below === 0 ? [] : [above / below];
  });
}

/** Both samples of each round that has both. */
export function roundsOf(
  stage: Stage | undefined,
  pair: Pair,
): { readonly subject: Sample; readonly base: Sample }[] {
  const samples = stage?.samples ?? [];
  return samples.flatMap((subject) => {
    if (subject.subject !== pair.subject) return [];
    const base = samples.find((s) => s.subject === pair.base && s.round === subject.round);
    return base === undefined ? [] : [{ subject, base }];
  });
}

/** The middle value, the mean of the two middle ones when even; null when empty. */
export function middle(list: readonly number[]): number | null {
  const sorted = [...list].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const high = sorted[half];
  if (high === undefined) return null;
  const low = sorted.length % 2 === 0 ? (sorted[half - 1] ?? high) : high;
  return (low + high) / 2;
}

/**
 * Where the median of all possible rounds lies with 95 %, whatever their distribution: the k-th value from either end, with
 * the greatest k that is beyond it in 2.5 % of all cases at most. Fewer than six values are not enough: least and greatest.
 * Null when empty.
 */
export function medianInterval(
  list: readonly number[],
): { readonly low: number; readonly high: number } | null {
  const sorted = [...list].sort((a, b) => a - b);
  const count = sorted.length;
  // Chance that exactly k of the values are below the median, and that k or fewer are.
  let chance = 0.5 ** count;
  let below = chance;
  let k = 0;
  while (below <= 0.025 && k < count) {
    k += 1;
    chance *= (count - k + 1) / k;
    below += chance;
  }
  const from = Math.max(k - 1, 0);
  const [low, high] = [sorted[from], sorted[count - 1 - from]];
  return low === undefined || high === undefined ? null : { low, high };
}
