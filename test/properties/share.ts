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
 * The time for the next one. Each that waits has the same right to what is left. What is expected to need less has it too: it ends
 * with its last input, and a guess from a moment when the machine was idle must not end it before.
 *
 * @param leftMs until the end, for each worker
 * @param waiting how many wait, the next one among them
 */
export function shareOf(leftMs: number, workers: number, waiting: number): number {
  // The last ones cannot use more workers than there are of them.
  return (Math.max(0, leftMs) * Math.min(workers, waiting)) / waiting;
}
