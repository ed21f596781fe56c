/** How the time that is left is shared among the properties that lack inputs. Pure. */

export interface Lack {
  /** Time that the missing inputs would take. */
  readonly needMs: number;
}

/** The cheap ones first: what they leave of their share goes to those behind them. */
export function cheapFirst<T extends Lack>(lacks: readonly T[]): T[] {
  return lacks.toSorted((one, other) => one.needMs - other.needMs);
}

/**
 * The time for the next one. Each that waits has the same right to what is left; nobody gets more than it needs.
 *
 * @param leftMs until the end, for each worker
 * @param waiting how many wait, the next one among them
 */
export function shareOf(next: Lack, leftMs: number, workers: number, waiting: number): number {
  // The last ones cannot use more workers than there are of them.
  const share = (Math.max(0, leftMs) * Math.min(workers, waiting)) / waiting;
  return Math.min(next.needMs, share);
}
