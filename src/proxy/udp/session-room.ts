/**
 * The sessions of one thread that share a limit, and who makes room when it is reached. While there is room, everybody may have all of
 * it. Then a source with more than an equal share gives up what it has itself, and else the source that has most does.
 */

import { Line, type Stand } from './line.ts';

/** A session, as far as the room knows it. */
export interface Sitter {
  /** Source address. */
  readonly address: string;
  readonly inRoom: Stand<Sitter>;
  readonly inSource: Stand<Sitter>;
  /** Nothing is lost with it, as far as anybody can tell. */
  isQuiet(nowMs: number): boolean;
  /** Ends for another one. */
  giveWay(): void;
}

/** So many of those that are silent for longest are looked at: behind them the others are hardly more silent. */
const LOOKS_MAX = 8;

export class SessionRoom {
  readonly #all = new Line<Sitter>();
  readonly #sources = new Map<string, Line<Sitter>>();
  /** The source that has most, or had when it last got one. */
  #most: Line<Sitter> | null = null;

  get size(): number {
    return this.#all.size;
  }

  enter(sitter: Sitter): void {
    this.#all.add(sitter.inRoom);
    let source = this.#sources.get(sitter.address);
    if (source === undefined) this.#sources.set(sitter.address, (source = new Line<Sitter>()));
    source.add(sitter.inSource);
    if (this.#most === null || source.size > this.#most.size) this.#most = source;
  }

  leave(sitter: Sitter): void {
    const source = sitter.inSource.line;
    if (source === null) return;
    this.#all.remove(sitter.inRoom);
    source.remove(sitter.inSource);
    if (source.size === 0) this.#sources.delete(sitter.address);
  }

  /** A datagram of it came. */
  touch(sitter: Sitter): void {
    this.#all.touch(sitter.inRoom);
    sitter.inSource.line?.touch(sitter.inSource);
  }

  /** Who may be given up for a new session of this source: null while all that it could take from wait for an answer. */
  giver(address: string, nowMs: number): Sitter | null {
    const own = this.#sources.get(address);
    const share = this.#all.size / (this.#sources.size + (own === undefined ? 1 : 0));
    if (own !== undefined && own.size + 1 > share) return quiet(own, nowMs);
    const most = this.#most !== null && this.#most.size > share ? quiet(this.#most, nowMs) : null;
    return most ?? quiet(this.#all, nowMs);
  }
}

function quiet({ first }: Line<Sitter>, nowMs: number): Sitter | null {
  let stand = first;
  for (let looks = 0; stand !== null && looks < LOOKS_MAX; looks++) {
    if (stand.who.isQuiet(nowMs)) return stand.who;
    stand = stand.behind;
  }
  return null;
}
