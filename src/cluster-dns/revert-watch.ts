/** Tells a person who edits once from a manager that undoes everything: after some reverts we ask for help instead of writing on. */

/** Reverts of one key within the window that are simply written again. */
const REVERTS_MAX = 5;
const WINDOW_MS = 60 * 60_000;
/** How often we still write while somebody fights: six times in a window, so that it is not forgotten. */
const FIGHT_PAUSE_MS = 10 * 60_000;
/** For how long a revert is told. */
const TOLD_MS = 10 * 60_000;
/** Keys that are remembered; a cluster has one or two. */
const KEYS_MAX = 50;

interface Written {
  /** What was last wanted there, whoever has edited the rest since. */
  wanted: string;
  atMs: number;
  /** The revert of this write is counted. */
  isReverted: boolean;
  /** Times of reverts, at most `REVERTS_MAX` of them. */
  reverts: number[];
}

export class RevertWatch {
  readonly #written = new Map<string, Written>();

  /** A change to `wanted` is due: true when just that was written before. Counts one revert for each of our writes. */
  isRevert(id: string, wanted: string, nowMs: number): boolean {
    const last = this.#written.get(id);
    if (last === undefined || last.wanted !== wanted) return false;
    if (!last.isReverted) last.reverts = [...last.reverts, nowMs].slice(-REVERTS_MAX);
    last.isReverted = true;
    return true;
  }

  isFought(id: string, nowMs: number): boolean {
    const last = this.#written.get(id);
    if (last === undefined) return false;
    return last.reverts.filter((at) => nowMs - at < WINDOW_MS).length >= REVERTS_MAX;
  }

  /** Ids of all that are fought over. */
  fought(nowMs: number): readonly string[] {
    return [...this.#written.keys()].filter((id) => this.isFought(id, nowMs));
  }

  /** Ids of all that were reverted lately, and written again. */
  reverted(nowMs: number): readonly string[] {
    return [...this.#written]
      .filter(([, { reverts }]) => reverts.some((at) => nowMs - at < TOLD_MS))
      .map(([id]) => id)
      .filter((id) => !this.isFought(id, nowMs));
  }

  mayWrite(id: string, nowMs: number): boolean {
    const last = this.#written.get(id);
    if (last === undefined || !this.isFought(id, nowMs)) return true;
    return nowMs - last.atMs >= FIGHT_PAUSE_MS;
  }

  /** Another one wrote it before this watch began; without effect where it knows better. */
  remember(id: string, wanted: string, nowMs: number): void {
    if (wanted !== '' && !this.#written.has(id)) this.wrote(id, wanted, nowMs);
  }

  wrote(id: string, wanted: string, nowMs: number): void {
    const reverts = this.#written.get(id)?.reverts ?? [];
    this.#written.delete(id);
    this.#written.set(id, { wanted, atMs: nowMs, isReverted: false, reverts });
    if (this.#written.size <= KEYS_MAX) return;
    const [oldest] = this.#written.keys();
    if (oldest !== undefined) this.#written.delete(oldest);
  }
}
