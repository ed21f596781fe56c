/**
 * Sessions of one thread that share a limit: that of their Service, of an endpoint or of the thread. It says who makes room when the limit
 * is reached. While there is room, everybody may have all of it. Then a source with more than an equal share, and more than an eighth,
 * gives up what it has itself, and else the source that has most does, if that is more than so much.
 *
 * Whoever forges sources opens a session with each datagram, and nobody answers. So those that were never answered have half of the
 * room while others want it, and as long as they have more, none goes that was answered. The older half of these keeps its place for a
 * second: in a mere overload some are answered in time. Of the others the oldest goes first, so that a flood refuses nobody.
 */

import { Line, Stand } from '../../base/line.ts';
import type { Guest } from '../net/caller-room.ts';

/** A session, as far as the room knows it. */
export interface Sitter extends Guest {
  /** Nothing is lost with it, as far as anybody can tell. */
  isQuiet(nowMs: number): boolean;
  /** Ends for another one. */
  giveWay(): void;
}

/** The place of a session in one room. */
export class Seat {
  readonly who: Sitter;
  readonly inRoom: Stand<Sitter>;
  readonly inSource: Stand<Sitter>;
  /** Until the session is answered. */
  readonly inWaiting: Stand<Seat>;
  readonly inLoose: Stand<Seat>;

  constructor(who: Sitter) {
    this.who = who;
    this.inRoom = new Stand(who);
    this.inSource = new Stand(who);
    this.inWaiting = new Stand<Seat>(this);
    this.inLoose = new Stand<Seat>(this);
  }
}

/** Sessions that somebody may have to choose from. */
class Bench {
  /** The one that is silent for longest first. */
  readonly all = new Line<Sitter>();
  /** Those that were never answered, and do not keep their place: the oldest first. */
  readonly loose = new Line<Seat>();
}

/** So many of those that are silent for longest are looked at: behind them the others are hardly more silent. */
const LOOKS_MAX = 8;
/** The part of a room that waits for a first answer and keeps its place. */
const KEPT_PART = 1 / 4;
/** More of a room than this part wait for a first answer: one of them makes room. */
const WAITING_PART = 1 / 2;
/** A source has this part, however many sources there are: most may be forged, or gone. */
const SOURCE_PART = 1 / 8;

export class SessionRoom {
  readonly #room = new Bench();
  /** Those that were never answered, and keep their place: the one that is silent for longest first. */
  readonly #kept = new Line<Seat>();
  readonly #sources = new Map<string, Bench>();
  /** The source that has most, or had when it last got one. */
  #most: Bench | null = null;

  get size(): number {
    return this.#room.all.size;
  }

  enter(seat: Seat, wasAnswered = false): void {
    const { address } = seat.who;
    let source = this.#sources.get(address);
    if (source === undefined) this.#sources.set(address, (source = new Bench()));
    this.#room.all.add(seat.inRoom);
    source.all.add(seat.inSource);
    if (this.#most === null || source.all.size > this.#most.all.size) this.#most = source;
    if (wasAnswered) return;
    this.#room.loose.add(seat.inWaiting);
    source.loose.add(seat.inLoose);
    this.#keepOldest();
  }

  leave(seat: Seat): void {
    const { inRoom, inSource, who } = seat;
    if (inRoom.line === null) return;
    inRoom.line.remove(inRoom);
    inSource.line?.remove(inSource);
    if (this.#sources.get(who.address)?.all.size === 0) this.#sources.delete(who.address);
    this.answered(seat);
  }

  /** Its first answer came. */
  answered({ inWaiting, inLoose }: Seat): void {
    if (inWaiting.line === null) return;
    inWaiting.line.remove(inWaiting);
    inLoose.line?.remove(inLoose);
    this.#keepOldest();
  }

  /** A datagram of it came. */
  touch({ inRoom, inSource, inWaiting }: Seat): void {
    this.#room.all.touch(inRoom);
    inSource.line?.touch(inSource);
    if (inWaiting.line === this.#kept) this.#kept.touch(inWaiting);
  }

  /** Who may be given up for a new session of this source: null while all that it could take from wait for an answer. */
  giver(address: string, nowMs: number): Sitter | null {
    const { all, loose } = this.#room;
    const own = this.#sources.get(address);
    const equal = all.size / (this.#sources.size + (own === undefined ? 1 : 0));
    const share = Math.max(equal, all.size * SOURCE_PART);
    const isOver = own !== undefined && own.all.size + 1 > share;
    if (this.#kept.size + loose.size > all.size * WAITING_PART)
      return isOver ? waitingOf(own, nowMs) : this.#giverInFlood(share, nowMs);
    if (isOver) return quietOf(own, nowMs) ?? looseOf(own);
    const most = this.#most !== null && this.#most.all.size > share ? this.#most : this.#room;
    return quietOf(most, nowMs) ?? quietOf(this.#room, nowMs) ?? looseOf(this.#room);
  }

  #giverInFlood(share: number, nowMs: number): Sitter | null {
    if (this.#most !== null && this.#most.all.size > share) {
      // It may be a gateway that talks: what it has that was answered is no part of the flood.
      const ofMost = looseOf(this.#most);
      if (ofMost !== null) return ofMost;
    }
    const oldest = this.#kept.first?.who.who;
    return oldest?.isQuiet(nowMs) === true ? oldest : waitingOf(this.#room, nowMs);
  }

  #keepOldest(): void {
    const { all, loose } = this.#room;
    while (loose.first !== null && this.#kept.size < all.size * KEPT_PART) {
      const { inWaiting, inLoose } = loose.first.who;
      loose.remove(inWaiting);
      inLoose.line?.remove(inLoose);
      this.#kept.add(inWaiting);
    }
  }
}

function waitingOf(bench: Bench, nowMs: number): Sitter | null {
  return looseOf(bench) ?? quietOf(bench, nowMs);
}

function looseOf({ loose }: Bench): Sitter | null {
  return loose.first?.who.who ?? null;
}

function quietOf({ all }: Bench, nowMs: number): Sitter | null {
  let stand = all.first;
  for (let looks = 0; stand !== null && looks < LOOKS_MAX; looks++) {
    if (stand.who.isQuiet(nowMs)) return stand.who;
    stand = stand.behind;
  }
  return null;
}
