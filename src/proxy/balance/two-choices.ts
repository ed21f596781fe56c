/** Of two endpoints drawn by weight, the one that costs less; the first one on a tie, so that idle shares follow the weights. */

import type { Candidate } from './picker.ts';

/**
 * The probability of each candidate, exactly: candidate i wins as the first draw against every second that costs as much
 * or more, and as the second draw against every first that costs more. Sorted by cost, both are sums over what follows.
 */
export function twoChoiceOdds(
  candidates: readonly Candidate[],
  costs: readonly number[],
): number[] {
  if (candidates.length <= 1) return candidates.map(() => 1);
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  const entries = candidates.map(({ weight }, index) => {
    const share = weight / total;
    return { index, share, cost: costs[index] ?? 0, first: share / (1 - share) };
  });
  entries.sort((a, b) => b.cost - a.cost);
  const odds = candidates.map(() => 0);
  let dearer = 0;
  let dearerFirst = 0;
  for (const same of Map.groupBy(entries, ({ cost }) => cost).values()) {
    const asMuch = dearer + same.reduce((sum, { share }) => sum + share, 0);
    for (const { index, share, first } of same) {
      odds[index] = first * (asMuch - share) + share * dearerFirst;
    }
    dearer = asMuch;
    dearerFirst += same.reduce((sum, { first }) => sum + first, 0);
  }
  return odds;
}
