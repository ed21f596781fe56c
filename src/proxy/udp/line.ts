/** What stands in an order that changes, such as that of the last datagrams: the first one is silent for longest. */

/** Somebody in a line. */
export class Stand<T> {
  readonly who: T;
  line: Line<T> | null = null;
  before: Stand<T> | null = null;
  behind: Stand<T> | null = null;

  constructor(who: T) {
    this.who = who;
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

  remove(stand: Stand<T>): void {
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

  /** To the end, from wherever it is. */
  touch(stand: Stand<T>): void {
    if (this.last === stand) return;
    this.remove(stand);
    this.add(stand);
  }
}
