/**
 * Deadlines of all connections of a thread in one coarse wheel: arming costs a few stores and never a timer.
 *
 * An item sits in at most one slot and knows its place there. Moving its deadline later touches nothing: the wheel looks
 * at the item when the old slot comes up and files it again. What is closed must be disarmed: a wheel that held on to
 * dead connections until their deadline would keep seconds of them alive under churn.
 */

import type { Clock, Timer } from '../../base/clock.ts';

export interface Expiring {
  /** Clock milliseconds; Infinity when nothing is due. */
  deadlineMs: number;
  /** Owned by the wheel; 0 when not filed. */
  wheelTick: number;
  /** Owned by the wheel: the place in the slot. */
  wheelIndex: number;
  onDeadline(nowMs: number): void;
  /** `onDeadline` threw: gives up what is its own. */
  onDefect(error: unknown): void;
}

/** Resolution of every deadline: it fires up to this much late, never early; later where the thread has stood still. */
export const DEADLINE_TICK_MS = 20;
const SLOTS = 1024;
/** A thread that was not let run for longer has stood still: nobody has looked at what came meanwhile. */
const STILL_TICKS = 3;
/** So many ticks in a row may pass without that it fires: a thread that stands still again and again has time limits, too. */
const HELD_TICKS_MAX = 3;

export class DeadlineWheel {
  /** Time of the last tick: good enough for idle checks, and free. */
  nowMs: number;
  readonly #clock: Clock;
  readonly #slots: Expiring[][] = Array.from({ length: SLOTS }, () => []);
  readonly #hasReadAll: () => boolean;
  #tick: number;
  /** As of the last call of `advance`. */
  #seenTick: number;
  /** Ticks in a row in which it did not fire. */
  #held = 0;
  #timer: Timer | undefined;

  /** `hasReadAll`: whether the thread knows all that has come over the network. */
  constructor(clock: Clock, hasReadAll: () => boolean = () => true) {
    this.#clock = clock;
    this.#hasReadAll = hasReadAll;
    this.nowMs = clock.nowMs();
    this.#tick = Math.floor(this.nowMs / DEADLINE_TICK_MS);
    this.#seenTick = this.#tick;
  }

  /** How many items are filed. */
  get size(): number {
    return this.#slots.reduce((sum, slot) => sum + slot.length, 0);
  }

  start(): void {
    this.#timer ??= this.#clock.every(DEADLINE_TICK_MS, () => this.advance());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Files an item whose `deadlineMs` was set or brought forward. */
  arm(item: Expiring): void {
    if (item.deadlineMs === Infinity) return;
    const due = Math.ceil(item.deadlineMs / DEADLINE_TICK_MS);
    const last = this.#tick + SLOTS - 1;
    const tick = due <= this.#tick ? this.#tick + 1 : due > last ? last : due;
    if (item.wheelTick !== 0) {
      if (item.wheelTick <= tick) return;
      this.#unfile(item);
    }
    const slot = this.#slots[tick % SLOTS] as Expiring[];
    item.wheelTick = tick;
    item.wheelIndex = slot.length;
    slot.push(item);
  }

  /** Forgets an item: it never fires, and nothing here keeps it alive. Safe to call twice. */
  disarm(item: Expiring): void {
    item.deadlineMs = Infinity;
    if (item.wheelTick !== 0) this.#unfile(item);
  }

  /** Fires what is due. Called by the timer; tests with a manual clock need nothing else. */
  advance(): void {
    const now = this.#clock.nowMs();
    this.nowMs = now;
    const target = Math.floor(now / DEADLINE_TICK_MS);
    if (this.#holds(target)) return;
    // After a long stall every slot is visited once, not once per missed tick.
    if (target - this.#tick > SLOTS) this.#tick = target - SLOTS;
    while (this.#tick < target) {
      this.#tick++;
      this.#fire(this.#tick, now);
    }
  }

  /**
   * Timers of the runtime come before the network does. After a stall, what came in time, and was not read, would count as late: an
   * answer, a handshake, a sign of life. So it is read first.
   */
  #holds(target: number): boolean {
    const stood = target - this.#seenTick > STILL_TICKS;
    this.#seenTick = target;
    const isBehind = stood || (this.#held > 0 && !this.#hasReadAll());
    this.#held = isBehind && this.#held < HELD_TICKS_MAX ? this.#held + 1 : 0;
    return this.#held > 0;
  }

  /** Takes from the end, since items may disarm each other; what is filed again goes to another slot. */
  #fire(tick: number, now: number): void {
    const slot = this.#slots[tick % SLOTS] as Expiring[];
    for (let item = slot.pop(); item !== undefined; item = slot.pop()) {
      item.wheelTick = 0;
      if (item.deadlineMs > now) this.arm(item);
      else
        try {
          item.onDeadline(now);
        } catch (error) {
          item.onDefect(error);
        }
    }
  }

  #unfile(item: Expiring): void {
    const slot = this.#slots[item.wheelTick % SLOTS] as Expiring[];
    item.wheelTick = 0;
    const last = slot.pop() as Expiring;
    if (last === item) return;
    slot[item.wheelIndex] = last;
    last.wheelIndex = item.wheelIndex;
  }
}
