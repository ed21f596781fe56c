/**
 * When TLS handshakes of callers begin. Each one holds up its thread for about half a millisecond, so one begins per turn of the event
 * loop and everybody else has a turn in between. Source addresses take turns, and only so many are under way.
 */

import type { Guard } from '../../../base/guard.ts';
import type { Turn } from '../socket.ts';

/** A caller whose first message has come. */
export interface Shaker {
  readonly address: string;
  /** Begins; it may call `leave` at any time from then on. */
  shake(): void;
  /** Gives up, as others wait and it is slow. */
  giveWay(): void;
}

/**
 * More are not under way at once: what they still cost, all their second messages may ask for in one turn of the runtime. In a
 * cluster a handshake is over within a millisecond or two, so that this is more than a thread can do.
 */
export const UNDER_WAY_MAX = 64;

export class HandshakeGate implements Turn {
  readonly #later: (task: Turn) => void;
  readonly #guard: Guard;
  /** By source address, in the order of their turns. */
  readonly #waiting = new Map<string, Set<Shaker>>();
  /** By source address, the oldest first. */
  readonly #underWay = new Map<string, Set<Shaker>>();
  #underWayCount = 0;
  #hasTurn = false;

  constructor(later: (task: Turn) => void, guard: Guard) {
    this.#later = later;
    this.#guard = guard;
  }

  /** Those that have not begun. */
  get waiting(): number {
    let sum = 0;
    for (const { size } of this.#waiting.values()) sum += size;
    return sum;
  }

  get underWay(): number {
    return this.#underWayCount;
  }

  enter(shaker: Shaker): void {
    join(this.#waiting, shaker);
    if (this.#isFull) this.#makeRoomFor(shaker.address);
    this.#plan();
  }

  /** It is over, or gave up. */
  leave(shaker: Shaker): void {
    if (part(this.#waiting, shaker) || !part(this.#underWay, shaker)) return;
    this.#underWayCount--;
    this.#plan();
  }

  onTurn(): void {
    this.#hasTurn = false;
    try {
      this.#beginNext();
    } catch (error) {
      this.#guard.caught('proxy', error);
    }
    this.#plan();
  }

  get #isFull(): boolean {
    return this.#underWayCount >= UNDER_WAY_MAX;
  }

  #plan(): void {
    if (this.#hasTurn || this.#isFull || this.#waiting.size === 0) return;
    this.#hasTurn = true;
    this.#later(this);
  }

  #beginNext(): void {
    const [entry] = this.#waiting;
    if (entry === undefined || this.#isFull) return;
    const [address, same] = entry;
    const [next] = same;
    if (next === undefined) return;
    part(this.#waiting, next);
    // The others of this source wait behind those of all others.
    if (this.#waiting.delete(address)) this.#waiting.set(address, same);
    join(this.#underWay, next);
    this.#underWayCount++;
    next.shake();
  }

  /** The source that has most under way gives up its oldest one, where it has more than this one would have. */
  #makeRoomFor(address: string): void {
    let most: ReadonlySet<Shaker> = NOBODY;
    for (const shakers of this.#underWay.values()) if (shakers.size > most.size) most = shakers;
    if ((this.#underWay.get(address)?.size ?? 0) + 1 >= most.size) return;
    const [oldest] = most;
    oldest?.giveWay();
  }
}

const NOBODY: ReadonlySet<Shaker> = new Set();

function join(all: Map<string, Set<Shaker>>, shaker: Shaker): void {
  const same = all.get(shaker.address);
  if (same === undefined) all.set(shaker.address, new Set([shaker]));
  else same.add(shaker);
}

/** False when it was not there. */
function part(all: Map<string, Set<Shaker>>, shaker: Shaker): boolean {
  const same = all.get(shaker.address);
  if (same === undefined || !same.delete(shaker)) return false;
  if (same.size === 0) all.delete(shaker.address);
  return true;
}
