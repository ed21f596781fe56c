/**
 * Sessions of one thread that share a limit, that of their Service or that of the thread, and who makes room when it is reached. While there is room, everybody may have all of
 * it. Then a source with more than an equal share gives up what it has itself, and else the source that has most does.
 */

import type { Guest } from '../net/caller-room.ts';
import { Line, Stand } from './line.ts';

/** A session, as far as the room knows it. */
export interface Sitter extends Guest {
  /** Nothing is lost with it, as far as anybody can tell. */
  isQuiet(nowMs: number): boolean;
  /** Ends for another one. */
  giveWay(): void;
}

/** The place of a session in one room. */
export class Seat {
  readonly inRoom: Stand<Sitter>;
  readonly inSource: Stand<Sitter>;

  constructor(who: Sitter) {
    this.inRoom = new Stand(who);
    this.inSource = new Stand(who);
  }
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

  enter({ inRoom, inSource }: Seat): void {
    const { address } = inRoom.who;
    this.#all.add(inRoom);
    let source = this.#sources.get(address);
    if (source === undefined) this.#sources.set(address, (source = new Line<Sitter>()));
    source.add(inSource);
    if (this.#most === null || source.size > this.#most.size) this.#most = source;
  }

  leave({ inRoom, inSource }: Seat): void {
    const source = inSource.line;
    if (source === null) return;
    this.#all.remove(inRoom);
    source.remove(inSource);
    if (source.size === 0) this.#sources.delete(inRoom.who.address);
  }

  /** A datagram of it came. */
  touch({ inRoom, inSource }: Seat): void {
    this.#all.touch(inRoom);
    inSource.line?.touch(inSource);
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
