/** Which entry of a table has the field with a stamp (`head/stamp.ts`): of those that came lately, so that no name is looked up. */

const CELLS = 64;

export class StampMemo {
  /** By stamp: the stamp itself, and the entry. Connections whose fields have none have no cells. */
  #cells: Float64Array | null = null;

  /** The entry, which may have left the table since; -1 for none. */
  entryOf(stamp: number): number {
    const cells = this.#cells;
    if (cells === null) return -1;
    const cell = 2 * (stamp & (CELLS - 1));
    return cells[cell] === stamp ? (cells[cell + 1] as number) : -1;
  }

  note(stamp: number, entry: number): void {
    this.#cells ??= new Float64Array(2 * CELLS);
    const cell = 2 * (stamp & (CELLS - 1));
    this.#cells[cell] = stamp;
    this.#cells[cell + 1] = entry;
  }
}
