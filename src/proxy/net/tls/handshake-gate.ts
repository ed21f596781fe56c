/**
 * When TLS handshakes of callers begin. Each one holds up its thread for about half a millisecond, so one begins per turn of the event
 * loop and everybody else has a turn in between. Source addresses take turns, and only so many are under way. One that waits for its
 * peer costs nothing but its place: the slow ones give way to those that wait, so that nobody keeps the places.
 */

import type { Clock } from '../../../base/clock.ts';
import type { Guard } from '../../../base/guard.ts';
import type { DeadlineWheel, Expiring } from '../deadline-wheel.ts';
import type { Turn } from '../socket.ts';

/** A caller whose first message has come. */
export interface Shaker {
  /** The address that it comes from, as far as it is known. */
  readonly source: string;
  /** Begins; it may call `leave` at any time from then on. */
  shake(): void;
  /** Gives up its place, as others wait and it is slow. It has left when this returns. */
  giveWay(): void;
}

/**
 * More are not under way at once: what they still cost, all their second messages may ask for in one turn of the runtime. In a
 * cluster a handshake is over within a millisecond or two, so that this is more than a thread can do.
 */
export const UNDER_WAY_MAX = 64;
/** Who is under way for longer gives way to anyone that waits. */
export const PATIENCE_MS = 1_000;
/** The same where it is a matter of fairness, or many wait. An honest peer is faster, if it is not at the other end of the world. */
export const SHORT_PATIENCE_MS = 200;
/** More than these that wait are many. */
const MANY = UNDER_WAY_MAX / 4;

export interface GateParts {
  readonly later: (task: Turn) => void;
  readonly clock: Clock;
  readonly wheel: Pick<DeadlineWheel, 'arm' | 'disarm'>;
  readonly guard: Pick<Guard, 'caught'>;
}

export class HandshakeGate implements Turn, Expiring {
  /** When the next one may have to give way. */
  deadlineMs = Infinity;
  wheelTick = 0;
  wheelIndex = 0;
  readonly #parts: GateParts;
  /** By source, in the order of their turns. */
  readonly #queues = new Map<string, Set<Shaker>>();
  #waiting = 0;
  /** Since when; the oldest first. */
  readonly #underWay = new Map<Shaker, number>();
  /** How many of each source are under way. */
  readonly #shares = new Map<string, number>();
  #hasTurn = false;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** Those that have not begun. */
  get waiting(): number {
    return this.#waiting;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  enter(shaker: Shaker): void {
    const queue = this.#queues.get(shaker.source);
    if (queue === undefined) this.#queues.set(shaker.source, new Set([shaker]));
    else queue.add(shaker);
    this.#waiting++;
    this.#plan();
  }

  /** It is over, or gave up. */
  leave(shaker: Shaker): void {
    if (this.#dequeue(shaker) || !this.#underWay.delete(shaker)) return;
    this.#share(shaker.source, -1);
    this.#plan();
  }

  onTurn(): void {
    this.#hasTurn = false;
    this.#parts.wheel.disarm(this);
    let goesOn = true;
    try {
      goesOn = this.#beginNext();
    } catch (error) {
      this.#parts.guard.caught('proxy', error);
    }
    if (goesOn) this.#plan();
  }

  /** Not in the turn of the timer: what peers have sent meanwhile is read first, and who is done by that has left. */
  onDeadline(): void {
    this.deadlineMs = Infinity;
    this.#plan();
  }

  onDefect(error: unknown): void {
    this.#parts.guard.caught('proxy', error);
  }

  #plan(): void {
    if (this.#hasTurn || this.#waiting === 0) return;
    this.#hasTurn = true;
    this.#parts.later(this);
  }

  /** False when there is nothing to do until somebody comes, leaves or is slow. */
  #beginNext(): boolean {
    const next = this.#nextOne();
    if (next === null) return false;
    const { source } = next;
    this.#dequeue(next);
    // The others of this source wait behind those of all others.
    const rest = this.#queues.get(source);
    if (rest !== undefined) {
      this.#queues.delete(source);
      this.#queues.set(source, rest);
    }
    this.#underWay.set(next, this.#parts.clock.nowMs());
    this.#share(source, 1);
    next.shake();
    return true;
  }

  /** Null where there is none, or no place for it. */
  #nextOne(): Shaker | null {
    const [first = NOBODY] = this.#queues.values();
    if (this.#underWay.size < UNDER_WAY_MAX) return firstOf(first);
    // Each in its turn; but if nobody gives way to that one, somebody may to who has less.
    for (const next of [firstOf(first), firstOf(this.#leastServed())])
      if (next !== null && this.#makeRoomFor(next.source)) return next;
    return null;
  }

  /** The queue of the source that has the fewest under way. Only `UNDER_WAY_MAX` sources can have any. */
  #leastServed(): ReadonlySet<Shaker> {
    let best = NOBODY;
    let fewest = Infinity;
    for (const [source, queue] of this.#queues) {
      const share = this.#shareOf(source);
      if (share < fewest) [best, fewest] = [queue, share];
      if (share === 0) break;
    }
    return best;
  }

  /**
   * Of those whose time is over, the oldest of the source with most gives way to one of this source. False for nobody as yet: the
   * wheel tells when there may be one.
   */
  #makeRoomFor(source: string): boolean {
    const nowMs = this.#parts.clock.nowMs();
    const own = this.#shareOf(source);
    const areMany = this.#waiting > MANY;
    let slow: Shaker | null = null;
    let most = 0;
    let soonestMs = Infinity;
    for (const [shaker, sinceMs] of this.#underWay) {
      const share = this.#shareOf(shaker.source);
      const isShort = share > own + 1 || (areMany && share >= own);
      const overMs = sinceMs + (isShort ? SHORT_PATIENCE_MS : PATIENCE_MS);
      if (overMs > nowMs) soonestMs = Math.min(soonestMs, overMs);
      else if (share > most) [slow, most] = [shaker, share];
    }
    if (slow === null) {
      this.deadlineMs = Math.min(this.deadlineMs, soonestMs);
      this.#parts.wheel.arm(this);
      return false;
    }
    slow.giveWay();
    this.leave(slow);
    return true;
  }

  /** False when it does not wait. */
  #dequeue(shaker: Shaker): boolean {
    const queue = this.#queues.get(shaker.source);
    if (queue === undefined || !queue.delete(shaker)) return false;
    if (queue.size === 0) this.#queues.delete(shaker.source);
    this.#waiting--;
    return true;
  }

  #shareOf(source: string): number {
    return this.#shares.get(source) ?? 0;
  }

  #share(source: string, change: 1 | -1): void {
    const share = this.#shareOf(source) + change;
    if (share === 0) this.#shares.delete(source);
    else this.#shares.set(source, share);
  }
}

const NOBODY: ReadonlySet<Shaker> = new Set();

function firstOf(queue: ReadonlySet<Shaker>): Shaker | null {
  const [first = null] = queue;
  return first;
}
