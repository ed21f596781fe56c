/**
 * What stands in an order, the oldest first, and may leave it at any time.
 *
 * For crowds that change all the time it is cheaper than a `Set`: that makes itself a new table every so often, and each old table
 * keeps the next one, and so all that was ever in them, until the whole heap is collected.
 */

/** Somebody in a line. */
export class Stand<T> {
  readonly who: T;
  line: Line<T> | null = null;
  before: Stand<T> | null = null;
  behind: Stand<T> | null = null;

  constructor(who: T) {
    this.who = who;
  }

  /** Wherever it stands; safe to call twice. */
  leave(): void {
    this.line?.remove(this);
  }
}

export class Line<T> {
  size = 0;
  first: Stand<T> | null = null;
  last: Stand<T> | null = null;

  /** At the end. */
  add(stand: Stand<T>): void {
    stand.line = this;
    stand.before = this.last;
    stand.behind = null;
    if (this.last === null) this.first = stand;
    else this.last.behind = stand;
    this.last = stand;
    this.size++;
  }

  /** Nothing where it stands elsewhere, or nowhere. */
  remove(stand: Stand<T>): void {
    if (stand.line !== this) return;
    const { before, behind } = stand;
    if (before === null) this.first = behind;
    else before.behind = behind;
    if (behind === null) this.last = before;
    else behind.before = before;
    stand.line = null;
    stand.before = null;
    stand.behind = null;
    this.size--;
  }

  /** Who is here now, but for those who leave before it is their turn. */
  *[Symbol.iterator](): Generator<T, void> {
    const all: Stand<T>[] = [];
    for (let stand = this.first; stand !== null; stand = stand.behind) all.push(stand);
    for (const stand of all) if (stand.line === this) yield stand.who;
  }

  /** To the end, from wherever it is; who has left does not come back. */
  touch(stand: Stand<T>): void {
    if (this.last === stand || stand.line !== this) return;
    this.remove(stand);
    this.add(stand);
  }
}
