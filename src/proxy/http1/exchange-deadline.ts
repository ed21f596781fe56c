/** The time limits of one exchange, as clock milliseconds; Infinity where there is none. */

import type { FailureReason } from '../../model/failure.ts';
import type { TimeoutPolicy } from '../../model/policy.ts';

export class ExchangeDeadline {
  lastActivityMs = 0;
  #requestMs = Infinity;
  #connectMs = Infinity;
  #tryMs = Infinity;
  #idleMs = 0;

  /** A request begins; until its policies are known only `idleMs` holds. */
  reset(now: number, idleMs: number): void {
    this.lastActivityMs = now;
    this.#requestMs = Infinity;
    this.#idleMs = idleMs;
    this.endTry();
  }

  setRequest(now: number, limits: TimeoutPolicy): void {
    this.#requestMs = limits.requestMs > 0 ? now + limits.requestMs : Infinity;
    this.#idleMs = limits.idleMs;
  }

  beginTry(now: number, limits: TimeoutPolicy, connected: boolean): void {
    this.#connectMs = !connected && limits.connectMs > 0 ? now + limits.connectMs : Infinity;
    this.#tryMs = limits.tryMs > 0 ? now + limits.tryMs : Infinity;
  }

  connected(): void {
    this.#connectMs = Infinity;
  }

  endTry(): void {
    this.#connectMs = Infinity;
    this.#tryMs = Infinity;
  }

  /** The earliest of all; `waiting` is true until the response head came. */
  due(waiting: boolean): number {
    let due = this.#idleMs > 0 ? this.lastActivityMs + this.#idleMs : Infinity;
    if (this.#requestMs < due) due = this.#requestMs;
    if (!waiting) return due;
    if (this.#connectMs < due) due = this.#connectMs;
    return this.#tryMs < due ? this.#tryMs : due;
  }

  /** What is over at `now`, '' when nothing is. */
  expired(now: number, waiting: boolean, bodyDone: boolean): FailureReason | '' {
    if (now >= this.#requestMs) return 'request_timeout';
    if (waiting && now >= this.#connectMs) return 'connect_timeout';
    if (waiting && now >= this.#tryMs) return 'try_timeout';
    if (this.#idleMs === 0 || now < this.lastActivityMs + this.#idleMs) return '';
    if (!waiting) return 'response_idle_timeout';
    return bodyDone ? 'try_timeout' : 'request_body_timeout';
  }
}
