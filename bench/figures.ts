/** Measured figures and what is read from them: medians over rounds, and ratios within a round. */

import type { Machine } from './host.ts';

export const STAGES = [
  'small',
  '10k',
  '1m',
  'churn',
  'rate',
  'features',
  'start',
  'memory',
  'scale',
] as const;
export type StageName = (typeof STAGES)[number];

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

/**
 * Median of the ratios within each round: what disturbs the machine for a while disturbs both sides of a ratio.
 * Null when no round has both.
 */
export function ratio(
  stage: Stage | undefined,
  pair: { readonly subject: string; readonly base: string },
  figure: string,
): number | null {
  const ratios = (stage?.samples ?? []).flatMap((sample) => {
    if (sample.subject !== pair.subject) return [];
    const base = stage?.samples.find((s) => s.subject === pair.base && s.round === sample.round);
    const above = sample.figures[figure];
    const below = base?.figures[figure];
    return above === undefined || below === undefined || below === 0 ? [] : [above / below];
  });
  return middle(ratios);
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
