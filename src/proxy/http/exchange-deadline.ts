/** The time limits of one exchange, as clock milliseconds; Infinity where there is none. */

import type { TimeoutPolicy } from '../../model/policy.ts';

/** `deadline` is the limit of a request that its caller chose. */
export type TimeLimit = 'request' | 'deadline' | 'connect' | 'try' | 'idle';

/** How often to look at a peer that we do not read from, or that takes its time to read from us. */
const LOOK_MS = 500;
/** Looks per idle limit at least. */
const LOOKS = 4;

export class ExchangeDeadline {
  lastActivityMs = 0;
  #requestMs = Infinity;
  /** The limit of the request is that of its caller. */
  #isCallers = false;
  #connectMs = Infinity;
  #tryMs = Infinity;
  #tryLimitMs = 0;
  #idleMs = 0;
  #onTheirWay = 0;

  /** A request begins; until its policies are known only `idleMs` holds. */
  reset(now: number, idleMs: number): void {
    this.lastActivityMs = now;
    this.#requestMs = Infinity;
    this.#idleMs = idleMs;
    this.#onTheirWay = 0;
    this.endTry();
  }

  /** `callerMs` is when its caller wants no more of it. Returns when its time is over. */
  setRequest(now: number, limits: TimeoutPolicy, callerMs: number): number {
    const limitMs = limits.requestMs > 0 ? now + limits.requestMs : Infinity;
    this.#isCallers = callerMs < limitMs;
    this.#requestMs = this.#isCallers ? callerMs : limitMs;
    this.#idleMs = limits.idleMs;
    return this.#requestMs;
  }

  beginTry(now: number, limits: TimeoutPolicy, connected: boolean): void {
    this.#connectMs = !connected && limits.connectMs > 0 ? now + limits.connectMs : Infinity;
    this.#tryMs = Infinity;
    this.#tryLimitMs = limits.tryMs;
  }

  /** The time for one try begins when the whole request is out: before that the caller may be the slow one. */
  requestSent(now: number): void {
    if (this.#tryLimitMs > 0) this.#tryMs = now + this.#tryLimitMs;
  }

  connected(now: number): void {
    this.lastActivityMs = now;
    this.#connectMs = Infinity;
  }

  /** Until the first limit that goes on between two tries. */
  leftMs(now: number): number {
    const idleMs = this.#idleMs > 0 ? this.lastActivityMs + this.#idleMs : Infinity;
    return Math.min(this.#requestMs, idleMs) - now;
  }

  endTry(): void {
    this.#connectMs = Infinity;
    this.#tryMs = Infinity;
  }

  /** Milliseconds between two looks while somebody is slow. */
  get lookMs(): number {
    return this.#idleMs > 0 ? Math.min(LOOK_MS, this.#idleMs / LOOKS) : LOOK_MS;
  }

  /**
   * Bytes that leave are activity as those that arrive: `bytes` are all that wait for slow readers. The other side may be silent
   * because we do not read from it.
   */
  noteMovement(bytes: number, now: number): void {
    if (bytes === this.#onTheirWay) return;
    this.#onTheirWay = bytes;
    this.lastActivityMs = now;
  }

  /** The earliest of all; `waiting` is true until the response head came. */
  due(waiting: boolean): number {
    let due = this.#idleMs > 0 ? this.lastActivityMs + this.#idleMs : Infinity;
    if (this.#requestMs < due) due = this.#requestMs;
    if (!waiting) return due;
    if (this.#connectMs < due) due = this.#connectMs;
    return this.#tryMs < due ? this.#tryMs : due;
  }

  /** Which limit is over at `now`, '' when none is. */
  expired(now: number, waiting: boolean): TimeLimit | '' {
    if (now >= this.#requestMs) return this.#isCallers ? 'deadline' : 'request';
    if (waiting && now >= this.#connectMs) return 'connect';
    if (waiting && now >= this.#tryMs) return 'try';
    return this.#idleMs === 0 || now < this.lastActivityMs + this.#idleMs ? '' : 'idle';
  }
}
