/** Whether what happens by chance happens as often as its odds say, over all requests together. */

export class OddsSum {
  count = 0;
  #excess = 0;
  #variance = 0;

  /** Something that was to happen with probability `odds` did or did not. */
  add(odds: number, happened: boolean): void {
    this.count++;
    this.#excess += (happened ? 1 : 0) - odds;
    this.#variance += odds * (1 - odds);
  }

  /** Standard deviations between what happened and what was expected; beyond 4 is one chance in 16,000. */
  get deviation(): number {
    return this.#variance === 0 ? 0 : Math.abs(this.#excess) / Math.sqrt(this.#variance);
  }
}
